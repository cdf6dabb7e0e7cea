/** Where one is logged in, and the way to end that. */

import { h, unseen } from "../dom.js";
import { list } from "../frames.js";
import { fullTime } from "../time.js";
import { settingsWords } from "../settings_words.js";
import { problemLine } from "./controls.js";

/** @typedef {{ session: string, time: number | null, agent: string, current: boolean }} Session  without a time when it is older than that is kept */

/**
 * @param {import("./settings.js").Context} context
 * @returns {import("./settings.js").Section}
 */
export function sessionsView({ chat, announce }) {
  const text = settingsWords.sessions;
  const rows = h("ul.rows");
  const problem = problemLine();
  const element = h("div.settings-body", h("h3", text.heading), h("p.hint", text.note), problem.element, rows);

  const load = async () => {
    const reply = await chat.ask("list_sessions", {});
    const sessions = list(reply.sessions).filter((one) => typeof one?.session === "string");
    rows.replaceChildren(...sessions.map(row));
  };

  /** @param {Session} session */
  function row(session) {
    const name = deviceName(session.agent);
    const end = async () => {
      await chat.change("end_session", { session: session.session });
      announce(text.ended);
      await load();
      /** @type {HTMLElement | null} */ (rows.querySelector("button"))?.focus();
    };
    const button = h("button.button.small", { onclick: () => problem.attempt(end) }, text.end, unseen(` ${name}`));
    return h(
      "li.row-item",
      h("div.row-main", h("span", { dir: "auto", title: session.agent }, name), typeof session.time === "number" && h("span.hint", text.since(fullTime(session.time)))),
      session.current ? h("span.hint", text.current) : button,
    );
  }

  void problem.attempt(load);
  return { element };
}

/**
 * A browser and a system, as far as its User-Agent tells.
 * @param {unknown} agent
 */
export function deviceName(agent) {
  if (typeof agent !== "string" || agent === "") return settingsWords.sessions.unknown;
  const browser = [/Edg\//, /OPR\//, /Firefox\//, /Chrome\//, /Safari\//].findIndex((mark) => mark.test(agent));
  const system = [/Android/, /iPhone|iPad/, /Windows/, /Mac OS X/, /CrOS/, /Linux/].findIndex((mark) => mark.test(agent));
  const one = ["Edge", "Opera", "Firefox", "Chrome", "Safari"][browser];
  const other = ["Android", "iOS", "Windows", "macOS", "ChromeOS", "Linux"][system];
  if (!one && !other) return agent.slice(0, 60);
  return [one, other].filter(Boolean).join(", ");
}
