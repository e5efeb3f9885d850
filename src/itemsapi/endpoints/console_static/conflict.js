/** The edit conflict: two versions of an item side by side, and the choice between them. */
import { h, table } from "./dom.js";
import { formatPrice } from "./formats.js";
import { t } from "./i18n.js";

const FIELDS = /** @type {const} */ (["name", "description", "sku", "price", "currency", "quantity", "tags"]);

const text = (/** @type {any} */ value) => (Array.isArray(value) ? value.join(", ") : String(value ?? ""));

/**
 * Return the fields that either side changed; `mine` is null if only the other side did.
 * @param {import("./item.js").PendingChange} pending @param {any} theirs
 */
const differences = ({ body, base }, theirs) =>
  FIELDS.map((name) => ({ name, mine: name in body ? text(body[name]) : null, theirs: text(theirs[name]) })).filter(
    ({ name, mine, theirs: other }) => (mine === null ? other !== text(base[name]) : mine !== other),
  );

/** Return a value as the user writes it. @param {string} name @param {string} value */
const written = (name, value) => (name === "price" ? formatPrice(value) : value);

/** Make the cell of a version. @param {string} side @param {string} value */
const shown = (side, value) => h("span", { class: side }, value || "–");

const columns = () => [
  { label: t("conflict.field"), cell: (/** @type {any} */ row) => h("strong", {}, t(/** @type {"items.name"} */ (`items.${row.name}`))) },
  {
    label: t("conflict.yours"),
    cell: (/** @type {any} */ row) => (row.mine === null ? h("em", {}, t("conflict.untouched")) : shown("mine", written(row.name, row.mine))),
  },
  { label: t("conflict.theirs"), cell: (/** @type {any} */ row) => shown("theirs", written(row.name, row.theirs)) },
];

/**
 * @param {{pending: import("./item.js").PendingChange | null, theirs: any, keep: (() => void) | null,
 *   take: () => void}} of `pending` is null if the item was to be deleted
 */
export const conflict = ({ pending, theirs, keep, take }) => {
  const rows = pending ? differences(pending, theirs) : [];
  const choices = [
    keep && h("button", { class: "primary", onclick: keep }, t("conflict.mine")),
    h("button", { onclick: take }, t(pending ? "conflict.take" : "conflict.look")),
  ];
  return h(
    "section",
    { class: "conflict" },
    h("h2", { tabindex: -1 }, t("conflict.title")),
    h("p", {}, t(pending ? "conflict.lead" : "conflict.deleteLead")),
    rows.length > 0 && table(t("conflict.title"), columns(), rows),
    h("div", { class: "buttons" }, ...choices),
  );
};
