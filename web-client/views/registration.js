/** For admins: who may create an account, and the links that invite. */

import { auto, h, unseen } from "../dom.js";
import { list } from "../frames.js";
import { fullTime } from "../time.js";
import { settingsWords } from "../settings_words.js";
import { words } from "../words.js";
import { problemLine } from "./controls.js";
import { choice, field } from "./dialog.js";
import { steadyId } from "./dialogs.js";
import { form } from "./form.js";
import { showLink } from "./link_box.js";

const USES_MAX = 1000;
const HOURS_MAX = 24 * 365;

/**
 * @param {import("./settings.js").Context} context
 * @returns {import("./settings.js").Section}
 */
export function registrationView({ chat, announce }) {
  const text = settingsWords.registration;
  const problem = problemLine();
  const mode = choice(text.mode, "registration", [
    { value: "open", label: text.open, note: text.openNote },
    { value: "closed", label: text.closed, note: text.closedNote },
  ]);
  const radios = [...mode.element.querySelectorAll("input")];
  // Until it is known how it is.
  mode.element.disabled = true;
  const setting = form({
    heading: settingsWords.settings.tabs.registration,
    body: [mode.element],
    action: words.message.save,
    announce,
    async act() {
      await chat.change("set_registration", { mode: mode.value });
      return settingsWords.account.saved;
    },
  });

  const uses = field(text.uses, { type: "number", min: 1, max: USES_MAX, value: "1", inputmode: "numeric" });
  const hours = field(text.hours, { type: "number", min: 1, max: HOURS_MAX, value: "72", inputmode: "numeric" });
  const made = h("div");
  let idFor = steadyId();
  const invite = form({
    heading: text.invites,
    body: [h("p.hint", text.invitesNote), h("div.fields", uses.element, hours.element)],
    action: text.create,
    announce,
    async act({ complain }) {
      const fields = { uses: Number(uses.input.value), hours: Number(hours.input.value) };
      if (!within(fields.uses, USES_MAX)) return complain(text.between(1, USES_MAX), uses.input);
      if (!within(fields.hours, HOURS_MAX)) return complain(text.between(1, HOURS_MAX), hours.input);
      const { reply } = await chat.change("create_invite", fields, idFor(fields));
      // The next one is another one.
      idFor = steadyId();
      showLink(made, text.link, String(reply.link), settingsWords.links.until(fullTime(Number(reply.until))));
      await load();
    },
  });
  const rows = h("ul.rows");

  const load = () =>
    problem.attempt(async () => {
      const reply = await chat.ask("list_invites", {});
      rows.replaceChildren(...list(reply.invites).map(row));
    });

  /** @param {any} one */
  function row(one) {
    const over = one.revoked === true || one.used >= one.uses || one.until < Date.now();
    const state = one.revoked ? text.revoked : one.used >= one.uses ? text.used : one.until < Date.now() ? text.ended : text.until(fullTime(one.until));
    const revoke = async () => {
      await chat.change("revoke_invite", { invite: one.invite });
      announce(text.revoked);
      await load();
    };
    const button = h("button.button.small", { onclick: () => problem.attempt(revoke) }, text.revoke, unseen(` ${text.by(one.by)}`));
    return h(
      "li.row-item",
      h("div.row-main", h("span", auto, text.by(one.by)), h("span.hint", `${text.count(one.used, one.uses)}, ${state}`)),
      !over && button,
    );
  }

  void chat.ask("server", {}).then((reply) => {
    for (const radio of radios) radio.checked = radio.value === reply.registration;
    mode.element.disabled = false;
  }, problem.say);
  void load();
  return { element: h("div.settings-body", problem.element, setting.element, invite.element, made, rows) };
}

/**
 * @param {number} value
 * @param {number} most
 */
function within(value, most) {
  return Number.isInteger(value) && value >= 1 && value <= most;
}
