/** The list of users: search, their roles and state. */
import { call, hasScope, rows } from "./api.js";
import { withErrorNotice } from "./actions.js";
import { askConfirmation, toast } from "./dialog.js";
import { badge, badges, empty, h, icon, table } from "./dom.js";
import { field } from "./forms.js";
import { tCount, timeElement } from "./formats.js";
import { t } from "./i18n.js";
import { filterForm, pager } from "./lists.js";

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
    {
      label: t("users.name"),
      class: "wide",
      cell: (/** @type {any} */ user) => h("a", { class: "strong", href: `#/users/${user.id}` }, user.username),
    },
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
  const q = query.get("q") ?? "";
  const { data } = await call("GET", "/users", { query: { limit: LIMIT, q, cursor: query.get("cursor") } });
  const users = rows(data);
  const create = h("a", { class: "button primary", href: "#/users/new" }, icon("plus"), t("users.new"));
  const count = h("p", { class: "lead", role: "status" }, tCount("users.count", users.length));
  const top = h("div", { class: "top" }, count, hasScope("users:write") && create);
  const search = field({ name: "q", label: t("users.search"), type: "search", value: q, maxlength: 64, autocapitalize: "none", spellcheck: "false" });
  const list = users.length ? table(t("users.title"), columns(reload), users) : empty(t("users.nothing"));
  return { title: t("users.title"), nodes: [top, filterForm("users", [search]), list, pager("users", query, data.next_cursor)] };
};
