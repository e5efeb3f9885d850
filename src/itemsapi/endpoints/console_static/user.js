/** One user, for operators: create, give roles, set another password. */
import { call, rows } from "./api.js";
import { toast } from "./dialog.js";
import { h } from "./dom.js";
import { boxes, field, form, ticked } from "./forms.js";
import { fresh, whose } from "./passwords.js";
import { t } from "./words.js";

const back = () => h("a", { class: "button", href: "#/users" }, t("app.back"));

const leave = (/** @type {string} */ words) => {
  toast(words);
  location.hash = "#/users";
};

/** Boxes for all roles, those of the user ticked. @param {string[]} held */
const roleBoxes = async (held) => {
  const { data } = await call("GET", "/roles");
  const all = rows(data).map(({ name, description }) => ({ value: name, hint: description }));
  return boxes(t("users.roles"), "roles", all, held);
};

const firstPassword = () => fresh({ name: "password", label: t("users.password") });

const creating = async () => {
  const username = field({
    name: "username",
    label: t("users.name"),
    required: true,
    maxlength: 64,
    autocomplete: "off",
    autocapitalize: "none",
    spellcheck: "false",
  });
  const act = async (/** @type {any} */ typed, /** @type {HTMLFormElement} */ made) => {
    const body = { username: typed.username, password: typed.password, roles: ticked(made, "roles") };
    const { data } = await call("POST", "/users", { body });
    leave(t("users.created.done", { name: data.username }));
  };
  const fields = [username, firstPassword()];
  const made = form({ fields, extra: [await roleBoxes([])], go: t("users.create"), others: [back()], act });
  return { title: t("users.new"), nodes: [h("div", { class: "panel" }, made)], form: made };
};

/** @param {any} user @param {string | null} etag */
const roles = async (user, etag) => {
  const act = async (/** @type {any} */ _, /** @type {HTMLFormElement} */ made) => {
    await call("PATCH", `/users/${user.id}`, { body: { roles: ticked(made, "roles") }, etag });
    leave(t("users.saved", { name: user.username }));
  };
  return form({ fields: [], extra: [await roleBoxes(user.roles)], go: t("item.save"), others: [back()], act });
};

/** @param {any} user */
const password = (user) => {
  const act = async (/** @type {any} */ typed) => {
    await call("PUT", `/users/${user.id}/password`, { body: { password: typed.password } });
    leave(t("users.passwordSet", { name: user.username }));
  };
  const made = form({ before: [whose(user.username)], fields: [firstPassword()], go: t("users.setPassword"), act });
  return h("section", { class: "panel" }, h("h2", {}, t("users.setPassword")), made);
};

/** @param {import("./main.js").Request} request @returns {Promise<import("./main.js").Page>} */
export const show = async ({ id }) => {
  if (id === "new") return creating();
  const { data: user, etag } = await call("GET", `/users/${encodeURIComponent(String(id))}`);
  const panel = h("div", { class: "panel" }, await roles(user, etag));
  return { title: t("users.editRoles", { name: user.username }), nodes: [panel, password(user)] };
};
