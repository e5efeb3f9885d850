/** The list of items: filter, order, pages. */
import { call, hasScope } from "./api.js";
import { badge, empty, h, icon, table } from "./dom.js";
import { choice, field } from "./forms.js";
import { tCount, formatMoney, number, t, timeElement } from "./i18n.js";

const LIMIT = 25;

/** @returns {Record<string, string>} */
const orders = () => ({
  "-created_at": t("items.newest"),
  "-updated_at": t("items.recent"),
  name: t("items.byName"),
  price: t("items.byPrice"),
  "-price": t("items.byPriceDown"),
  quantity: t("items.byQuantity"),
});

/** Return the link to the list with these parameters. @param {Record<string, string | null>} values */
const address = (values) => {
  const present = Object.entries(values).filter(([, value]) => value);
  return present.length ? `#/items?${new URLSearchParams(/** @type {any} */ (present))}` : "#/items";
};

/** @param {URLSearchParams} query */
const filter = (query) => {
  const q = field({ name: "q", label: t("items.search"), type: "search", value: query.get("q") ?? "" });
  const tag = field({ name: "tag", label: t("items.tag"), value: query.get("tag") ?? "" });
  const sort = choice(t("items.sort"), "sort", orders(), query.get("sort") ?? "-created_at");
  const applyButton = h("button", {}, icon("search"), t("items.filter"));
  const apply = (/** @type {Event} */ event) => {
    event.preventDefault();
    const order = sort.input.value === "-created_at" ? null : sort.input.value;
    location.hash = address({ q: q.input.value.trim(), tag: tag.input.value.trim(), sort: order });
  };
  const nodes = [q.node, tag.node, sort.node, h("div", { class: "field" }, applyButton)];
  return h("form", { class: "filter", role: "search", onsubmit: apply }, ...nodes);
};

const tagged = (/** @type {string[]} */ tags) =>
  tags.length ? h("span", { class: "tags" }, ...tags.map((tag) => h("a", { class: "tag", href: address({ tag }) }, tag))) : "–";

const columns = () => [
  {
    label: t("items.name"),
    class: "wide",
    cell: (/** @type {any} */ item) => h("a", { class: "strong", href: `#/items/${item.id}` }, item.name),
  },
  { label: t("items.sku"), cell: (/** @type {any} */ item) => h("code", {}, item.sku ?? "–") },
  { label: t("items.price"), class: "figure", cell: (/** @type {any} */ item) => formatMoney(item.price, item.currency) },
  { label: t("items.quantity"), class: "figure", cell: (/** @type {any} */ item) => number(item.quantity) },
  { label: t("items.tags"), cell: (/** @type {any} */ item) => tagged(item.tags) },
  { label: t("items.updated"), cell: (/** @type {any} */ item) => timeElement(item.updated_at) },
];

/** Make the links to the first and next page; the browser's Back leads to the previous one. */
const pager = (/** @type {URLSearchParams} */ query, /** @type {string | null} */ next) => {
  const values = Object.fromEntries(query);
  const first = query.has("cursor") && h("a", { class: "button", href: address({ ...values, cursor: null }) }, t("app.first"));
  const on = next && h("a", { class: "button", rel: "next", href: address({ ...values, cursor: next }) }, t("app.next"));
  return (first || on) && h("nav", { class: "buttons", "aria-label": t("app.pages") }, first, on);
};

const create = () => h("a", { class: "button primary", href: "#/items/new" }, icon("plus"), t("items.new"));

/** @param {import("./main.js").Request} request @returns {Promise<import("./main.js").Page>} */
export const show = async ({ query }) => {
  const { data } = await call("GET", "/items", { query: { limit: LIMIT, ...Object.fromEntries(query) } });
  const filtered = query.has("q") || query.has("tag");
  const count = h("p", { class: "lead", role: "status" }, tCount("items.count", data.items.length));
  const clear = h("a", { class: "button", href: "#/items" }, t("items.clear"));
  const nothing = filtered ? empty(t("items.nothing"), clear) : empty(t("items.none"), hasScope("items:write") ? create() : "");
  const top = h("div", { class: "top" }, count, filtered ? badge(t("items.filtered"), "on") : null, hasScope("items:write") && create());
  const list = data.items.length ? table(t("items.title"), columns(), data.items) : nothing;
  return { title: t("items.title"), nodes: [top, filter(query), list, pager(query, data.next_cursor)] };
};
