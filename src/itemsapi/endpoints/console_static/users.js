/** The list of users: their roles and state. */
import { call, hasScope, rows } from "./api.js";
import { withErrorNotice } from "./actions.js";
import { askConfirmation, toast } from "./dialog.js";
import { badge, badges, empty, h, icon, table } from "./dom.js";
import { t, timeElement } from "./i18n.js";

const LIMIT = 50;

/** @param {any} user @param {() => void} reload */
const toggle = (user, reload) => {
  const name = user.username;
  const toggleState = async () => {
    if (!user.disabled && !(await askConfirmation(t("users.disableAsk", { name }), t("users.disable")))) return;
    const { etag } = await call("GET", `/users/${user.id}`);
    await call("PATCH", `/users/${user.id}`, { body: { disabled: !user.disabled }, etag });
    toast(t(user.disabled ? "users.isEnabled" : "users.isDisabled", { name }));
    reload();
  };
  return h("button", { onclick: withErrorNotice(toggleState) }, t(user.disabled ? "users.enable" : "users.disable"));
};

/** @param {any} user @param {() => void} reload */
const actions = (user, reload) => {
  const edit = h("a", { class: "button", href: `#/users/${user.id}` }, t("users.edit"));
  return h("div", { class: "buttons" }, edit, toggle(user, reload));
};

/** @param {() => void} reload */
const columns = (reload) => {
  const all = [
    { label: t("users.name"), class: "wide", cell: (/** @type {any} */ user) => h("span", { class: "strong" }, user.username) },
    { label: t("users.roles"), cell: (/** @type {any} */ user) => badges(user.roles, t("users.noRoles")) },
    { label: t("users.state"), cell: (/** @type {any} */ user) => state(user) },
    { label: t("users.created"), cell: (/** @type {any} */ user) => timeElement(user.created_at) },
  ];
  const change = { label: t("users.actions"), class: "figure acts", cell: (/** @type {any} */ user) => actions(user, reload) };
  return hasScope("users:write") ? [...all, change] : all;
};

const state = (/** @type {any} */ user) =>
  user.disabled ? badge(t("users.disabled"), "off") : badge(t("users.active"), "on");

/** @param {import("./main.js").Request} request @returns {Promise<import("./main.js").Page>} */
export const show = async ({ query, reload }) => {
  const { data } = await call("GET", "/users", { query: { limit: LIMIT, cursor: query.get("cursor") } });
  const create = h("a", { class: "button primary", href: "#/users/new" }, icon("plus"), t("users.new"));
  const list = rows(data).length ? table(t("users.title"), columns(reload), rows(data)) : empty(t("app.none"));
  const next = data.next_cursor && h("a", { class: "button", href: `#/users?cursor=${encodeURIComponent(data.next_cursor)}` }, t("app.next"));
  return { title: t("users.title"), nodes: [h("div", { class: "top" }, hasScope("users:write") && create), list, next] };
};
