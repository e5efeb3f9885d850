/** The audit trail, newest first, of one event or one user if asked for. */
import { call, hasScope, rows } from "./api.js";
import { empty, h, table } from "./dom.js";
import { choice, field } from "./forms.js";
import { tCount, timeElement } from "./formats.js";
import { knownTerms, t, term } from "./i18n.js";
import { filterForm, listAddress, pager } from "./lists.js";
import { findUserId, loadUserNames } from "./user_names.js";

const LIMIT = 50;
const ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** @param {any} details */
const formatDetails = (details) => {
  const pairs = Object.entries(details).filter(([, value]) => value !== null && value !== "");
  const words = pairs.map(([name, value]) => `${name}: ${value}`);
  return h("span", { class: "small", lang: "en" }, words.join(" · ") || "–");
};

/** Make the words for an event, and its name, which filters the list. @param {{event: string}} row */
const eventCell = ({ event }) => {
  const link = h("a", { href: listAddress("audit", { event }) }, h("code", {}, event));
  return h("span", { class: "event" }, term("event", event), link);
};

/** @param {Map<string, string>} names */
const columns = (names) => {
  const nameOf = (/** @type {string | null} */ id) => (id ? (names.get(id) ?? id) : "–");
  const user = (/** @type {string | null} */ id) => id && h("a", { href: listAddress("audit", { user: nameOf(id) }) }, nameOf(id));
  const small = (/** @type {Node | string | null} */ content) => h("span", { class: "small" }, content || "–");
  return [
    { label: t("audit.at"), cell: (/** @type {any} */ row) => timeElement(row.at) },
    { label: t("audit.event"), cell: eventCell },
    { label: t("audit.caller"), cell: (/** @type {any} */ row) => small(nameOf(row.caller_id ?? row.user_id)) },
    { label: t("audit.target"), cell: (/** @type {any} */ row) => small(user(row.user_id)) },
    { label: t("audit.address"), cell: (/** @type {any} */ row) => small(row.address) },
    { label: t("audit.details"), class: "wide", cell: (/** @type {any} */ row) => formatDetails(row.details) },
  ];
};

/** @param {URLSearchParams} query */
const filter = (query) => {
  const event = query.get("event") ?? "";
  const names = [...new Set([...knownTerms("event"), ...(event ? [event] : [])])];
  const options = { "": t("audit.everyEvent"), ...Object.fromEntries(names.map((name) => [name, term("event", name) ?? name])) };
  const user = field({ name: "user", label: t("audit.target"), type: "search", value: query.get("user") ?? "", autocapitalize: "none", spellcheck: "false" });
  return filterForm("audit", [choice(t("audit.event"), "event", options, event), user]);
};

/** Return the id of the user in the address, who is given by name or id; null if there is none. @param {string} user */
const idOf = async (user) => (ID.test(user) || !hasScope("users:read") ? user : findUserId(user));

/** Load a page of events; none if the user of the address does not exist. @param {URLSearchParams} query */
const load = async (query) => {
  const user = query.get("user");
  const user_id = user && (await idOf(user));
  if (user && !user_id) return { items: [], next_cursor: null };
  const { data } = await call("GET", "/audit", { query: { limit: LIMIT, cursor: query.get("cursor"), event: query.get("event"), user_id } });
  return data;
};

/** @param {import("./main.js").Request} request @returns {Promise<import("./main.js").Page>} */
export const show = async ({ query }) => {
  const data = await load(query);
  const events = rows(data);
  const names = await loadUserNames(events.flatMap(({ user_id, caller_id }) => [user_id, caller_id]));
  const count = h("p", { class: "lead", role: "status" }, tCount("audit.count", events.length));
  const list = events.length ? table(t("audit.title"), columns(names), events) : empty(t("audit.none"));
  return { title: t("audit.title"), nodes: [count, filter(query), list, pager("audit", query, data.next_cursor)] };
};
