/** The head of an open room: its name and topic, whether it is muted, and the way to its people. */

import { h, unseen } from "../dom.js";
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
  const kind = h("span", { class: "room-kind" });
  const topic = h("p", { class: "topic", dir: "auto" });
  const muteButton = h("button", { type: "button", class: "icon-button mute", title: text.mute, onclick: () => void toggle() });
  const peopleButton = h("button", { type: "button", class: "button quiet", id: "people-button", onclick: people }, icon("people"), h("span", {}, text.people));
  let muted = false;

  /** Its new messages make no noise, or make it again. */
  async function toggle() {
    const wanted = !muted;
    try {
      await mute(wanted);
      announce(wanted ? text.muted : text.unmuted);
    } catch (error) {
      const problem = problemOf(error);
      tell(text.mute, problem.code === "bad_request" ? text.noMute : problemWords(problem), words.people.close);
    }
  }

  return {
    element: h("div", { class: "room-head" }, h("div", { class: "room-name" }, h("div", { class: "heading-row" }, kind, heading), topic), muteButton, peopleButton),
    /**
     * @param {RoomState} state
     * @param {string} title
     */
    update(state, title) {
      if (heading.textContent !== title) heading.textContent = title;
      if (kind.dataset.kind !== state.kind) {
        kind.dataset.kind = state.kind;
        kind.replaceChildren(icon(state.kind === "direct" ? "people" : state.kind === "private" ? "lock" : "hash"), unseen(text[state.kind]));
      }
      muted = state.muted;
      if (muteButton.getAttribute("aria-pressed") !== String(muted)) {
        muteButton.setAttribute("aria-pressed", String(muted));
        muteButton.replaceChildren(icon(muted ? "bellOff" : "bell"), unseen(text.mute));
      }
      topic.textContent = state.topic;
      topic.hidden = state.topic === "";
    },
  };
}
