/** What lists have in common: their addresses, filters and pages. */
import { h, icon } from "./dom.js";
import { t } from "./i18n.js";

/**
 * Return the hash of a list with these parameters; empty ones are left out.
 * @param {string} list @param {Record<string, string | null>} values
 */
export const listAddress = (list, values) => {
  const present = Object.entries(values).filter(([, value]) => value);
  return present.length ? `#/${list}?${new URLSearchParams(/** @type {any} */ (present))}` : `#/${list}`;
};

/**
 * Make the form above a list, with a link that shows the whole list again. The hash gets the filters,
 * so that a link to the list contains them.
 * @param {string} list @param {{name: string, node: Node, input: any}[]} fields
 * @param {Record<string, string | null>} [kept] parameters that have no field
 */
export const filterForm = (list, fields, kept = {}) => {
  const apply = (/** @type {Event} */ event) => {
    event.preventDefault();
    const typed = fields.map(({ name, input }) => [name, input.value.trim()]);
    location.hash = listAddress(list, { ...kept, ...Object.fromEntries(typed) });
  };
  const isFiltered = [...Object.values(kept), ...fields.map(({ input }) => input.value)].some(Boolean);
  const clear = isFiltered && h("a", { class: "button quiet", href: `#/${list}` }, t("list.clear"));
  const buttons = h("div", { class: "buttons" }, h("button", {}, icon("search"), t("list.filter")), clear);
  return h("form", { class: "filter", role: "search", onsubmit: apply }, ...fields.map(({ node }) => node), buttons);
};

/**
 * Make the links to the first and next page; the browser's Back leads to the previous one.
 * @param {string} list @param {URLSearchParams} query @param {string | null} next the cursor of the next page
 */
export const pager = (list, query, next) => {
  const link = (/** @type {string | null} */ cursor) => listAddress(list, { ...Object.fromEntries(query), cursor });
  const first = query.has("cursor") && h("a", { class: "button", href: link(null) }, t("app.first"));
  const following = next && h("a", { class: "button", rel: "next", href: link(next) }, t("app.next"));
  return (first || following) && h("nav", { class: "buttons", "aria-label": t("app.pages") }, first, following);
};
