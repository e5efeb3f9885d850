/** Roles and the scopes that they give. */
import { call, may, rows } from "./api.js";
import { badge, badges, empty, h, icon, table } from "./dom.js";
import { t } from "./words.js";

/** @param {any} role */
const scopes = ({ everything, scopes: given = [] }) => {
  if (everything) return badge(t("roles.everything"), "on");
  return badges(given, t("roles.nothing"));
};

/** @param {any} role */
const name = (role) =>
  may("roles:write") && !role.everything
    ? h("a", { class: "strong", href: `#/roles/${encodeURIComponent(role.name)}` }, role.name)
    : h("span", { class: "strong" }, role.name);

const columns = () => [
  { label: t("roles.name"), cell: name },
  { label: t("roles.description"), cell: (/** @type {any} */ role) => role.description || "–" },
  { label: t("roles.scopes"), class: "wide", cell: scopes },
];

/** @returns {Promise<import("./main.js").Page>} */
export const show = async () => {
  const { data } = await call("GET", "/roles");
  const create = h("a", { class: "button primary", href: "#/roles/new" }, icon("plus"), t("roles.new"));
  const top = h("div", { class: "top" }, h("p", { class: "lead" }, t("roles.lead")), may("roles:write") && create);
  const list = rows(data).length ? table(t("roles.title"), columns(), rows(data)) : empty(t("app.none"));
  return { title: t("roles.title"), nodes: [top, list] };
};
