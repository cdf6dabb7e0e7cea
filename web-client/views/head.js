/** The head of an open room: its name and topic, whether it is muted, and the way to its people. */

import { auto, h, set, unseen, write } from "../dom.js";
import { icon } from "../icons.js";
import { problemOf } from "../refusal.js";
import { problemWords, words } from "../words.js";
import { tell } from "./dialogs.js";

/**
 * @typedef {import("../types.js").RoomState} RoomState
 *
 * @param {object} context
 * @param {(on: boolean) => Promise<void>} context.mute
 * @param {() => void} context.people opens the panel
 * @param {(text: string) => void} context.announce
 */
export function headView({ mute, people, announce }) {
  const text = words.room;
  const heading = h("h1", { dir: "auto", id: "room-heading" });
  const kind = h("span.room-kind");
  const topic = h("p.topic", auto);
  const muteButton = h("button.icon-button.mute", { title: text.mute, onclick: () => void toggle() });
  const peopleButton = h("button.button.quiet", { id: "people-button", onclick: people }, icon("people"), h("span", text.people));
  let muted = false;

  /** Its new messages make no noise, or make it again. */
  async function toggle() {
    const wanted = !muted;
    try {
      await mute(wanted);
      announce(wanted ? text.muted : text.unmuted);
    } catch (error) {
      tell(text.mute, problemWords(problemOf(error)));
    }
  }

  return {
    element: h("div.room-head", h("div.room-name", h("div.heading-row", kind, heading), topic), muteButton, peopleButton),
    /**
     * @param {RoomState} state
     * @param {string} title
     */
    update(state, title) {
      write(heading, title);
      set(heading, { title });
      if (kind.dataset.kind !== state.kind) {
        kind.dataset.kind = state.kind;
        kind.replaceChildren(icon(state.kind === "direct" ? "people" : state.kind === "private" ? "lock" : "hash"), unseen(words.kinds[state.kind]));
      }
      muted = state.muted;
      if (muteButton.getAttribute("aria-pressed") !== String(muted)) {
        muteButton.setAttribute("aria-pressed", String(muted));
        muteButton.replaceChildren(icon(muted ? "bellOff" : "bell"), unseen(text.mute));
      }
      write(topic, state.topic);
      set(topic, { title: state.topic });
      topic.hidden = state.topic === "";
    },
  };
}
