/** The page of one role: create it, change its scopes, delete it. */
import { call, rows } from "./api.js";
import { finish, withErrorNotice } from "./actions.js";
import { askConfirmation } from "./dialog.js";
import { h } from "./dom.js";
import { checkboxes, field, form, checkedValues } from "./forms.js";
import { t, term } from "./i18n.js";

const done = (/** @type {string} */ words) => finish(words, "#/roles");

/** @param {string} name */
const address = (name) => `/roles/${encodeURIComponent(name)}`;

const scopeBoxes = async (/** @type {string[]} */ selected) => {
  const { data } = await call("GET", "/scopes");
  const all = rows(data).map(({ name, meaning }) => ({ value: name, hint: term("scope", name) ?? meaning }));
  return checkboxes(t("roles.scopes"), "scopes", all, selected);
};

/** @param {string} name */
const deleteButton = (name) => {
  const remove = async () => {
    if (!(await askConfirmation(t("roles.deleteAsk", { name }), t("item.delete")))) return;
    await call("DELETE", address(name));
    done(t("roles.deleted", { name }));
  };
  return h("button", { type: "button", class: "danger", onclick: withErrorNotice(remove) }, t("item.delete"));
};

/** @param {import("./main.js").Request} request @returns {Promise<import("./main.js").Page>} */
export const show = async ({ id }) => {
  const roles = id === "new" ? [] : rows((await call("GET", "/roles")).data);
  const role = roles.find(({ name }) => name === id);
  if (id !== "new" && !role) return { title: t("app.unknown"), nodes: [] };
  const name = field({ name: "name", label: t("roles.name"), value: role?.name, required: true, maxlength: 40, readonly: Boolean(role) });
  const description = field({ name: "description", label: t("roles.description"), value: role?.description, maxlength: 500 });
  const submit = async (/** @type {any} */ typed, /** @type {HTMLFormElement} */ formElement) => {
    const body = { description: typed.description, scopes: checkedValues(formElement, "scopes") };
    await call("PUT", address(typed.name), { body });
    done(t("roles.saved", { name: typed.name }));
  };
  const back = h("a", { class: "button", href: "#/roles" }, t("app.back"));
  const others = role ? [back, deleteButton(role.name)] : [back];
  const extra = [await scopeBoxes(role?.scopes ?? [])];
  const formElement = form({ fields: [name, description], extra, submitLabel: t("item.save"), others, submit, keep: { version: null } });
  return { title: role?.name ?? t("roles.new"), nodes: [h("div", { class: "panel" }, formElement)], form: role ? undefined : formElement };
};
