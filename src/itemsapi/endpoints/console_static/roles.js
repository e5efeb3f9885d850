/** The list of roles and their scopes. */
import { call, hasScope, rows } from "./api.js";
import { badge, empty, h, icon, meanings, table } from "./dom.js";
import { t, term, translateServerText } from "./i18n.js";

/** @param {any} role */
const scopes = ({ everything, scopes: names = [] }) => {
  if (everything) return badge(t("roles.everything"), "on");
  return meanings(names.map((/** @type {string} */ name) => ({ name, meaning: term("scope", name) })), t("roles.nothing"));
};

/** @param {any} role */
const name = (role) =>
  hasScope("roles:write") && !role.everything
    ? h("a", { class: "strong", href: `#/roles/${encodeURIComponent(role.name)}` }, role.name)
    : h("span", { class: "strong" }, role.name);

const columns = () => [
  { label: t("roles.name"), cell: name },
  { label: t("roles.description"), cell: (/** @type {any} */ role) => translateServerText(role.description).text || "–" },
  { label: t("roles.scopes"), class: "wide", cell: scopes },
];

/** @returns {Promise<import("./main.js").Page>} */
export const show = async () => {
  const { data } = await call("GET", "/roles");
  const create = h("a", { class: "button primary", href: "#/roles/new" }, icon("plus"), t("roles.new"));
  const top = h("div", { class: "top" }, h("p", { class: "lead" }, t("roles.lead")), hasScope("roles:write") && create);
  const list = rows(data).length ? table(t("roles.title"), columns(), rows(data)) : empty(t("app.none"));
  return { title: t("roles.title"), nodes: [top, list] };
};
