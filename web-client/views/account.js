/** One's own account: the name that others see, the password, a copy of what one may see, and its end. */

import { h } from "../dom.js";
import { byteLength } from "../text.js";
import { settingsWords } from "../settings_words.js";
import { words } from "../words.js";
import { refusedAs } from "./controls.js";
import { field } from "./dialog.js";
import { steadyId } from "./dialogs.js";
import { form } from "./form.js";
import { PASSWORD_MAX, PASSWORD_MIN } from "./login.js";

/**
 * @param {import("./settings.js").Context} context
 * @returns {import("./settings.js").Section}
 */
export function accountView({ chat, store, announce, close }) {
  const text = settingsWords.account;
  const me = store.me;
  const display = field(text.display, { maxLength: 64, autocomplete: "nickname", value: me?.display === me?.name ? "" : (me?.display ?? "") }, text.displayHint(me?.name ?? ""));
  const profileId = steadyId();
  const profile = form({
    heading: text.profile,
    body: [display.element],
    action: words.message.save,
    announce,
    async act() {
      const wanted = display.input.value.trim() || (me?.name ?? "");
      await chat.change("set_profile", { display: wanted }, profileId(wanted));
      return text.saved;
    },
  });

  const old = field(text.oldPassword, { type: "password", autocomplete: "current-password" });
  const fresh = field(words.login.newPassword, { type: "password", autocomplete: "new-password" }, words.login.passwordHint);
  const passwordId = steadyId();
  const password = form({
    heading: words.login.password,
    body: [h("p.hint", text.passwordNote), old.element, fresh.element],
    action: text.changePassword,
    announce,
    async act({ complain }) {
      const [was, now] = [old.input.value, fresh.input.value];
      if (was === "") return complain(words.login.passwordMissing, old.input);
      if (byteLength(now) < PASSWORD_MIN) return complain(words.login.passwordShort, fresh.input);
      if (byteLength(now) > PASSWORD_MAX) return complain(words.login.passwordLong, fresh.input);
      const changed = () => {
        old.input.value = fresh.input.value = "";
        return text.passwordChanged;
      };
      return chat.change("change_password", { old: was, new: now }, passwordId([was, now])).then(changed, refusedAs("forbidden", () => complain(text.wrongPassword, old.input)));
    },
  });

  const data = form({
    heading: text.data,
    body: [h("p", text.dataText)],
    action: text.dataAction,
    announce,
    async act() {
      await chat.media.everything(`${me?.name ?? ""}.jsonl`);
      return text.dataSaved;
    },
  });

  const proof = field(text.proof, { type: "password", autocomplete: "current-password" });
  const endId = steadyId();
  const end = form({
    heading: text.end,
    body: [h("p", text.endText), proof.element],
    action: text.endAction,
    harm: true,
    announce,
    async act({ complain }) {
      const given = proof.input.value;
      if (given === "") return complain(words.login.passwordMissing, proof.input);
      await chat.deleteAccount(given, endId(given)).then(close, refusedAs("forbidden", () => complain(text.wrongPassword, proof.input)));
    },
  });
  return { element: h("div.settings-body", profile.element, password.element, data.element, end.element) };
}
