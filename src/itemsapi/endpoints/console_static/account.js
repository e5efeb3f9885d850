/** My account: who I am, and my password. */
import { auth, call, mustChange, Refusal, refusal } from "./api.js";
import { toast } from "./dialog.js";
import { badge, h } from "./dom.js";
import { form, secret } from "./forms.js";
import { t } from "./words.js";

/** @param {string[]} words */
const badges = (words) => h("span", { class: "tags" }, ...words.map((word) => badge(word)));

/** @param {any} me */
const facts = (me) => {
  const scopes = auth.getSnapshot().scope.split(" ").filter(Boolean);
  const pairs = [
    [t("users.name"), h("strong", {}, me.username)],
    me.roles && [t("account.roles"), badges(me.roles)],
    [t("account.scopes"), badges(scopes)],
  ];
  const shown = pairs.filter(Boolean).map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)));
  return h("section", { class: "panel" }, h("h2", {}, t("account.you")), h("dl", { class: "facts tall" }, ...shown));
};

/** What may mean that the answer to the change was lost, and its new tokens with it. */
const LOST = ["network_error", "refresh_superseded"];

/** Without an answer nobody knows which password holds. @param {unknown} error */
const unsure = (error) => {
  const known = refusal(error);
  throw LOST.includes(known.code) ? new Refusal(0, { code: "password_unsure" }) : known;
};

/** @param {string} username for the password manager @param {() => void} reload */
const password = (username, reload) => {
  const current = secret({ name: "current_password", label: t("account.current"), autocomplete: "current-password" });
  const fresh = secret({ name: "new_password", label: t("account.new"), hint: t("account.newHint"), autocomplete: "new-password" });
  const name = h("input", { name: "username", value: username, autocomplete: "username", hidden: true, readonly: true });
  const act = async (/** @type {any} */ { current_password, new_password }) => {
    const passwords = { currentPassword: current_password, newPassword: new_password };
    await auth.changePassword(passwords).catch(unsure);
    toast(t("account.changed"));
    reload();
  };
  const made = form({ fields: [current, fresh], extra: [name], go: t("account.change"), act });
  return h("section", { class: "panel" }, h("h2", {}, t("account.password")), made);
};

/** @param {import("./main.js").Request} request @returns {Promise<import("./main.js").Page>} */
export const show = async ({ reload }) => {
  if (mustChange()) return { title: t("account.mustChange"), nodes: [h("p", { class: "notice" }, t("account.oneTime")), password("", reload)] };
  const { data } = await call("GET", "/me");
  return { title: t("account.title"), nodes: [facts(data), password(data.username, reload)] };
};
