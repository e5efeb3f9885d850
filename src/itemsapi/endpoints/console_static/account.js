/** The account page: the user's roles and scopes, and the password form. */
import { auth, call, mustChangePassword, ApiError, toApiError } from "./api.js";
import { badges, h, meanings } from "./dom.js";
import { form } from "./forms.js";
import { keptCredentials } from "./temporary_password.js";
import { setFlash } from "./flash.js";
import { newPasswordField, passwordField, usernameField } from "./passwords.js";
import { t, term } from "./i18n.js";

/** @param {any} me */
const facts = (me) => {
  const names = auth.getSnapshot().scope.split(" ").filter(Boolean);
  const scopes = names.map((name) => ({ name, meaning: term("scope", name) }));
  const pairs = [
    [t("users.name"), h("strong", {}, me.username)],
    me.roles && [t("account.roles"), badges(me.roles, t("account.noRoles"))],
    [t("account.scopes"), meanings(scopes, t("account.noScopes"))],
  ];
  const shown = pairs.filter(Boolean).map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)));
  return h("section", { class: "panel" }, h("h2", {}, t("account.you")), h("dl", { class: "facts tall" }, ...shown));
};

/** Codes after which the response, with the new tokens, may be lost. */
const UNSURE_CODES = ["network_error", "refresh_superseded"];

/** Throw, without a response, an error that says that the password may have changed. @param {unknown} error */
const throwIfUnsure = (error) => {
  const known = toApiError(error);
  throw UNSURE_CODES.includes(known.code) ? new ApiError(0, { code: "password_unsure" }) : known;
};

/**
 * Make the form that changes the password.
 * @param {{username: string, currentLabel: string, submitLabel: string, reload: () => void}} of `currentLabel` labels
 *   the current password; its field is hidden if the user has just typed it at the sign-in
 */
const passwordForm = ({ username, currentLabel, submitLabel, reload }) => {
  const current = passwordField({ name: "current_password", label: currentLabel, autocomplete: "current-password" });
  const next = newPasswordField({ name: "new_password", label: t("account.new") });
  const showCurrent = (/** @type {boolean} */ visible) => (current.node.hidden = current.input.disabled = !visible);
  showCurrent(!keptCredentials().password);
  const submit = async (/** @type {any} */ { current_password = keptCredentials().password, new_password }) => {
    const passwords = { currentPassword: current_password, newPassword: new_password };
    await auth.changePassword(passwords).catch(throwIfUnsure).catch((error) => {
      if (error.errors?.some((/** @type {any} */ each) => each.field === current.name)) showCurrent(true);
      throw error;
    });
    setFlash("account.changed");
    reload();
  };
  return form({ before: [usernameField(username)], fields: [current, next], submitLabel, submit });
};

/** Make the page that replaces a temporary password; no other page works before. @param {() => void} reload @returns {import("./main.js").Page} */
const temporaryPasswordPage = (reload) => {
  const why = h("p", { class: "notice", role: "status" }, t("account.temporary"));
  const { username } = keptCredentials();
  const passwordPanel = passwordForm({ username, currentLabel: t("account.temporaryPassword"), submitLabel: t("account.set"), reload });
  return { title: t("account.mustChange"), nodes: [why, h("div", { class: "panel" }, passwordPanel)], form: passwordPanel };
};

/** @param {import("./main.js").Request} request @returns {Promise<import("./main.js").Page>} */
export const show = async ({ reload }) => {
  if (mustChangePassword()) return temporaryPasswordPage(reload);
  const { data } = await call("GET", "/me");
  const passwordPanel = passwordForm({ username: data.username, currentLabel: t("account.current"), submitLabel: t("account.change"), reload });
  const password = h("section", { class: "panel" }, h("h2", {}, t("account.password")), passwordPanel);
  return { title: t("account.title"), nodes: [facts(data), password] };
};
