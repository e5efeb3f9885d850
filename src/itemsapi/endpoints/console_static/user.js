/** The page of one user: create the user, change roles, set another password, end sessions. */
import { call, hasScope, rows } from "./api.js";
import { finish, withErrorNotice } from "./actions.js";
import { askConfirmation, toast } from "./dialog.js";
import { badges, h } from "./dom.js";
import { draftOf } from "./drafts.js";
import { checkboxes, field, form, checkedValues } from "./forms.js";
import { newPasswordField, usernameField } from "./passwords.js";
import { sessionCards } from "./sessions.js";
import { t, translateServerText } from "./i18n.js";

const back = () => h("a", { class: "button", href: "#/users" }, t("app.back"));

const done = (/** @type {string} */ words) => finish(words, "#/users");

/** Make checkboxes for all roles, with those of the user checked. @param {string[]} selected */
const roleBoxes = async (selected) => {
  const { data } = await call("GET", "/roles");
  const all = rows(data).map(({ name, description }) => ({ value: name, hint: translateServerText(description).text }));
  return checkboxes(t("users.roles"), "roles", all, selected);
};

const firstPassword = () => newPasswordField({ name: "password", label: t("users.password") });

const createPage = async () => {
  const username = field({
    name: "username",
    label: t("users.name"),
    required: true,
    maxlength: 64,
    autocomplete: "off",
    autocapitalize: "none",
    spellcheck: "false",
  });
  const submit = async (/** @type {any} */ typed, /** @type {HTMLFormElement} */ formElement) => {
    const body = { username: typed.username, password: typed.password, roles: checkedValues(formElement, "roles") };
    const { data } = await call("POST", "/users", { body });
    done(t("users.created.done", { name: data.username }));
  };
  const fields = [username, firstPassword()];
  const formElement = form({ fields, extra: [await roleBoxes([])], submitLabel: t("users.create"), others: [back()], submit, keep: { version: null } });
  return { title: t("users.new"), nodes: [h("div", { class: "panel" }, formElement)], form: formElement };
};

/** @param {any} user @param {string | null} etag */
const rolesForm = async (user, etag) => {
  const submit = async (/** @type {any} */ _, /** @type {HTMLFormElement} */ formElement) => {
    await call("PATCH", `/users/${user.id}`, { body: { roles: checkedValues(formElement, "roles") }, etag: draftOf()?.version ?? etag });
    done(t("users.saved", { name: user.username }));
  };
  return form({ fields: [], extra: [await roleBoxes(user.roles)], submitLabel: t("item.save"), others: [back()], submit, keep: { version: etag } });
};

/** @param {any} user @param {string | null} etag */
const rolesPanel = async (user, etag) => {
  if (hasScope("users:write")) return h("div", { class: "panel" }, await rolesForm(user, etag));
  return h("section", { class: "panel" }, h("h2", {}, t("users.roles")), badges(user.roles, t("users.noRoles")), back());
};

/** @param {any} user */
const passwordPanel = (user) => {
  const submit = async (/** @type {any} */ typed) => {
    await call("PUT", `/users/${user.id}/password`, { body: { password: typed.password } });
    done(t("users.passwordSet", { name: user.username }));
  };
  const formElement = form({ before: [usernameField(user.username)], fields: [firstPassword()], submitLabel: t("users.setPassword"), submit });
  return h("section", { class: "panel" }, h("h2", {}, t("users.setPassword")), formElement);
};

/** Make the list of the user's sessions, which an operator may end. @param {any} user @param {() => void} reload */
const sessionsSection = async (user, reload) => {
  const list = `/users/${user.id}/sessions`;
  const name = user.username;
  const sessions = rows((await call("GET", list)).data);
  const endAll = async () => {
    if (!(await askConfirmation(t("users.endSessionsAsk", { name }), t("users.endSessions")))) return;
    await call("DELETE", list);
    toast(t("users.sessionsEnded", { name }));
    reload();
  };
  const button = sessions.length > 0 && h("button", { class: "danger", onclick: withErrorNotice(endAll) }, t("users.endSessions"));
  const none = !sessions.length && h("p", { class: "lead" }, t("users.noSessions", { name }));
  const top = h("div", { class: "top" }, h("h2", {}, t("users.sessions")), button);
  return h("section", { class: "part" }, top, none, sessionCards(sessions, list, reload));
};

/** @param {import("./main.js").Request} request @returns {Promise<import("./main.js").Page>} */
export const show = async ({ id, reload }) => {
  if (id === "new") return createPage();
  const { data: user, etag } = await call("GET", `/users/${encodeURIComponent(String(id))}`);
  const roles = await rolesPanel(user, etag);
  const password = hasScope("users:write") && passwordPanel(user);
  const sessions = hasScope("sessions:write") && (await sessionsSection(user, reload));
  return { title: user.username, nodes: [roles, password, sessions] };
};
