/** A room's name and topic, in a dialog. */

import { words } from "../words.js";
import { refusedAs } from "./controls.js";
import { field, openDialog } from "./dialog.js";
import { ROOM_NAME_MAX, steadyId } from "./dialogs.js";

/**
 * A room's name and topic, as its creator or an admin may change them.
 * @param {import("../chat.js").Chat} chat
 * @param {{ room: number, name: string, topic: string }} room
 * @param {() => void} [done]
 */
export function editRoom(chat, room, done = () => {}) {
  const text = words.newRoom;
  const name = field(text.name, { maxLength: 200, value: room.name });
  const topic = field(text.topic, { maxLength: 200, value: room.topic });
  const idFor = steadyId();
  openDialog({
    heading: words.people.changeHeading(room.name),
    body: [name.element, topic.element],
    action: words.message.save,
    async act(dialog) {
      const wanted = name.input.value.trim();
      if (wanted === "") return dialog.complain(text.missing, name.input);
      if ([...wanted].length > ROOM_NAME_MAX) return dialog.complain(text.long, name.input);
      const fields = { room: room.room, name: wanted, topic: topic.input.value.trim() };
      const changed = () => {
        dialog.close();
        done();
      };
      await chat.change("set_room", fields, idFor(fields)).then(changed, refusedAs("conflict", () => dialog.complain(text.taken, name.input)));
    },
  });
}
