/** One role, for operators: create it, change what it gives, delete it. */
import { call, rows } from "./api.js";
import { attempt } from "./attempt.js";
import { confirms, toast } from "./dialog.js";
import { h } from "./dom.js";
import { boxes, field, form, ticked } from "./forms.js";
import { t } from "./words.js";

const leave = (/** @type {string} */ words) => {
  toast(words);
  location.hash = "#/roles";
};

/** @param {string} name */
const address = (name) => `/roles/${encodeURIComponent(name)}`;

const scopeBoxes = async (/** @type {string[]} */ given) => {
  const { data } = await call("GET", "/scopes");
  const all = rows(data).map(({ name, meaning }) => ({ value: name, hint: meaning }));
  return boxes(t("roles.scopes"), "scopes", all, given);
};

/** @param {string} name */
const remover = (name) => {
  const drop = async () => {
    if (!(await confirms(t("roles.deleteAsk", { name }), t("item.delete")))) return;
    await call("DELETE", address(name));
    leave(t("roles.deleted", { name }));
  };
  return h("button", { type: "button", class: "danger", onclick: attempt(drop) }, t("item.delete"));
};

/** @param {import("./main.js").Request} request @returns {Promise<import("./main.js").Page>} */
export const show = async ({ id }) => {
  const known = id === "new" ? [] : rows((await call("GET", "/roles")).data);
  const role = known.find(({ name }) => name === id);
  if (id !== "new" && !role) return { title: t("app.unknown"), nodes: [] };
  const name = field({ name: "name", label: t("roles.name"), value: role?.name, required: true, maxlength: 40, readonly: Boolean(role) });
  const description = field({ name: "description", label: t("roles.description"), value: role?.description, maxlength: 500 });
  const act = async (/** @type {any} */ typed, /** @type {HTMLFormElement} */ made) => {
    const body = { description: typed.description, scopes: ticked(made, "scopes") };
    await call("PUT", address(typed.name), { body });
    leave(t("roles.saved", { name: typed.name }));
  };
  const back = h("a", { class: "button", href: "#/roles" }, t("app.back"));
  const others = role ? [back, remover(role.name)] : [back];
  const extra = [await scopeBoxes(role?.scopes ?? [])];
  const made = form({ fields: [name, description], extra, go: t("item.save"), others, act });
  return { title: role?.name ?? t("roles.new"), nodes: [h("div", { class: "panel" }, made)], form: role ? undefined : made };
};
