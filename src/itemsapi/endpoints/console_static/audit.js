/** The audit trail, newest first. */
import { call, hasScope, rows } from "./api.js";
import { empty, h, table } from "./dom.js";
import { t, timeElement } from "./i18n.js";

const LIMIT = 50;

/** Load user names by id, if this session may read them. @returns {Promise<Map<string, string>>} */
const loadNames = async () => {
  if (!hasScope("users:read")) return new Map();
  const { data } = await call("GET", "/users", { query: { limit: 200 } });
  return new Map(rows(data).map(({ id, username }) => [id, username]));
};

/** @param {any} details */
const formatDetails = (details) => {
  const facts = typeof details === "string" ? JSON.parse(details || "{}") : (details ?? {});
  const pairs = Object.entries(facts).filter(([, value]) => value !== null && value !== "");
  const words = pairs.map(([name, value]) => `${name}: ${Array.isArray(value) ? value.join(" ") : value}`);
  return h("span", { class: "small" }, words.join(" · ") || "–");
};

/** @param {Map<string, string>} names */
const columns = (names) => {
  const who = (/** @type {string | null} */ id) => h("span", { class: "small" }, id ? (names.get(id) ?? id) : "–");
  return [
    { label: t("audit.at"), cell: (/** @type {any} */ row) => timeElement(row.at) },
    { label: t("audit.event"), cell: (/** @type {any} */ row) => h("code", {}, row.event) },
    { label: t("audit.caller"), cell: (/** @type {any} */ row) => who(row.caller_id ?? row.user_id) },
    { label: t("audit.target"), cell: (/** @type {any} */ row) => who(row.user_id) },
    { label: t("audit.address"), cell: (/** @type {any} */ row) => h("span", { class: "small" }, row.address) },
    { label: t("audit.details"), class: "wide", cell: (/** @type {any} */ row) => formatDetails(row.details) },
  ];
};

/** @param {URLSearchParams} query @param {string | null} cursor */
const pager = (query, cursor) => {
  const first = query.has("cursor") && h("a", { class: "button", href: "#/audit" }, t("app.first"));
  const next = cursor && h("a", { class: "button", href: `#/audit?${new URLSearchParams({ cursor })}` }, t("app.next"));
  return (first || next) && h("nav", { class: "buttons", "aria-label": t("app.pages") }, first, next);
};

/** @param {import("./main.js").Request} request @returns {Promise<import("./main.js").Page>} */
export const show = async ({ query }) => {
  const events = call("GET", "/audit", { query: { limit: LIMIT, cursor: query.get("cursor") } });
  const [{ data }, names] = await Promise.all([events, loadNames()]);
  const list = rows(data).length ? table(t("audit.title"), columns(names), rows(data)) : empty(t("app.none"));
  return { title: t("audit.title"), nodes: [list, pager(query, data.next_cursor)] };
};
