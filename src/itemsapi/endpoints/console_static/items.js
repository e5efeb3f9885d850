/** The list of items: filter, order, pages; for operators with the owners. */
import { call, hasScope } from "./api.js";
import { empty, h, icon, table } from "./dom.js";
import { choice, field } from "./forms.js";
import { formatMoney, number, tCount, timeElement } from "./formats.js";
import { t } from "./i18n.js";
import { filterForm, listAddress, pager } from "./lists.js";
import { loadUserNames } from "./user_names.js";

const LIMIT = 25;

/** The first order is the default: it is not in the address. @returns {Record<string, string>} */
const orders = () => ({
  "": t("items.newest"),
  "-updated_at": t("items.recent"),
  name: t("items.byName"),
  price: t("items.byPrice"),
  "-price": t("items.byPriceDown"),
  quantity: t("items.byQuantity"),
});

/** @param {URLSearchParams} query */
const filter = (query) => {
  const q = field({ name: "q", label: t("items.search"), type: "search", value: query.get("q") ?? "" });
  const tag = field({ name: "tag", label: t("items.tag"), value: query.get("tag") ?? "" });
  const sort = choice(t("items.sort"), "sort", orders(), query.get("sort") ?? "");
  return filterForm("items", [q, tag, sort], { owner_id: query.get("owner_id") });
};

const tagged = (/** @type {string[]} */ tags) =>
  tags.length ? h("span", { class: "tags" }, ...tags.map((tag) => h("a", { class: "tag", href: listAddress("items", { tag }) }, tag))) : "–";

/** Make the column of the owners, each with a link to their items. @param {Map<string, string>} names */
const ownerColumn = (names) => ({
  label: t("items.owner"),
  cell: (/** @type {any} */ { owner_id }) => h("a", { href: listAddress("items", { owner_id }) }, names.get(owner_id) ?? owner_id),
});

/** @param {Map<string, string> | null} names of the owners, null without the right to see their items */
const columns = (names) => [
  {
    label: t("items.name"),
    class: "wide",
    cell: (/** @type {any} */ item) => h("a", { class: "strong", href: `#/items/${item.id}` }, item.name),
  },
  ...(names ? [ownerColumn(names)] : []),
  { label: t("items.sku"), cell: (/** @type {any} */ item) => h("code", {}, item.sku ?? "–") },
  { label: t("items.price"), class: "figure", cell: (/** @type {any} */ item) => formatMoney(item.price, item.currency) },
  { label: t("items.quantity"), class: "figure", cell: (/** @type {any} */ item) => number(item.quantity) },
  { label: t("items.tags"), cell: (/** @type {any} */ item) => tagged(item.tags) },
  { label: t("items.updated"), cell: (/** @type {any} */ item) => timeElement(item.updated_at) },
];

const create = () => h("a", { class: "button primary", href: "#/items/new" }, icon("plus"), t("items.new"));

/** Load the names of the owners, or null for a user who sees only their own items. @param {any[]} items */
const loadOwners = async (items) => (hasScope("items:admin") ? loadUserNames(items.map(({ owner_id }) => owner_id)) : null);

/** @param {import("./main.js").Request} request @returns {Promise<import("./main.js").Page>} */
export const show = async ({ query }) => {
  const { data } = await call("GET", "/items", { query: { limit: LIMIT, ...Object.fromEntries(query) } });
  const names = await loadOwners(data.items);
  const filtered = ["q", "tag", "owner_id"].some((name) => query.has(name));
  const count = h("p", { class: "lead", role: "status" }, tCount("items.count", data.items.length));
  const nothing = filtered ? empty(t(data.next_cursor ? "items.nothing_yet" : "items.nothing")) : empty(t("items.none"), hasScope("items:write") ? create() : "");
  const top = h("div", { class: "top" }, count, hasScope("items:write") && create());
  const list = data.items.length ? table(t("items.title"), columns(names), data.items) : nothing;
  return { title: t("items.title"), nodes: [top, filter(query), list, pager("items", query, data.next_cursor)] };
};
