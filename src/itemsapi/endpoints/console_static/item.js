/** One item: create it, change it, delete it; and what to do when somebody else was quicker. */
import { call, may, Refusal } from "./api.js";
import { attempt } from "./attempt.js";
import { confirms, toast } from "./dialog.js";
import { h } from "./dom.js";
import { field, form } from "./forms.js";
import { conflict } from "./conflict.js";
import { language, t } from "./words.js";

/** @typedef {{name: string, description: string, sku: string | null, price: string, currency: string, quantity: number, tags: string[]}} Draft */

/** @typedef {{body: Partial<Draft>, base: Draft}} Wish what to change, and the version that was seen */

/** @param {Partial<Draft>} item */
const inputs = (item) => [
  field({ name: "name", label: t("items.name"), value: item.name, required: true, maxlength: 200 }),
  field({ name: "description", label: t("items.description"), value: item.description, kind: "textarea", rows: 4, maxlength: 10000 }),
  field({ name: "sku", label: t("items.sku"), value: item.sku ?? "", maxlength: 64, autocapitalize: "none" }),
  field({ name: "price", label: t("items.price"), value: item.price, hint: t("items.priceHint"), required: true, inputmode: "decimal", narrow: true }),
  field({
    name: "currency",
    label: t("items.currency"),
    value: item.currency ?? (language() === "ja" ? "JPY" : "EUR"),
    hint: t("items.currencyHint"),
    required: true,
    pattern: "[A-Za-z]{3}",
    maxlength: 3,
    narrow: true,
  }),
  field({ name: "quantity", label: t("items.quantity"), value: item.quantity ?? 0, type: "number", min: 0, max: 2147483647, step: 1, required: true, narrow: true }),
  field({ name: "tags", label: t("items.tags"), value: item.tags?.join(", "), hint: t("items.tagsHint") }),
];

/** What was typed, as the API wants it. @param {Record<string, string>} typed @returns {Draft} */
const draft = ({ name = "", description = "", sku, price = "", currency = "", quantity, tags = "" }) => ({
  name,
  description,
  sku: sku?.trim() || null,
  price: price.trim(),
  currency: currency.toUpperCase(),
  quantity: Number(quantity),
  tags: tags.split(/[,、，]/).map((tag) => tag.trim()).filter(Boolean),
});

/** Only what differs. @param {any} mine @param {any} base @returns {Partial<Draft>} */
const changes = (mine, base) =>
  Object.fromEntries(Object.entries(mine).filter(([key, value]) => JSON.stringify(value) !== JSON.stringify(base[key])));

const back = () => h("a", { class: "button", href: "#/items" }, t("app.back"));

const leave = (/** @type {string} */ words) => {
  toast(words);
  location.hash = "#/items";
};

/** A key for each thing that is said: whoever sends the same again, because no answer came, makes nothing more. */
const idempotent = () => {
  /** @type {Map<string, string>} */ const keys = new Map();
  return (/** @type {object} */ body) => {
    const said = JSON.stringify(body);
    keys.set(said, keys.get(said) ?? crypto.getRandomValues(new Uint32Array(4)).join("-"));
    return keys.get(said);
  };
};

const creating = () => {
  const keyOf = idempotent();
  const act = async (/** @type {any} */ typed) => {
    const body = draft(typed);
    await call("POST", "/items", { body, key: keyOf(body) });
    leave(t("item.created", { name: body.name }));
  };
  const made = form({ fields: inputs({}), go: t("item.create"), others: [back()], act });
  return { title: t("item.new"), nodes: [h("div", { class: "panel" }, made)], form: made };
};

/** The item as it is now, or null if it is gone. @param {string} path */
const current = (path) =>
  call("GET", path).catch((error) => {
    if (error instanceof Refusal && error.status === 404) return null;
    throw error;
  });

/**
 * An item being edited; the panel is drawn again with each version that turns up.
 * @param {string} path @param {HTMLElement} panel
 */
const editing = (path, panel) => {
  /** @param {{data: any, etag: string | null}} base */
  const draw = (base) => {
    const save = async (/** @type {any} */ values) => {
      const mine = draft(values);
      const body = changes(mine, base.data);
      if (!Object.keys(body).length) return toast(t("item.same"));
      await overwrite(base, { body, base: base.data });
    };
    const remove = h("button", { type: "button", class: "danger", onclick: attempt(() => drop(base)) }, t("item.delete"));
    const made = form({ fields: inputs(base.data), go: t("item.save"), others: [back(), remove], act: save });
    panel.replaceChildren(made);
  };

  /** Do it, or show what somebody else did first. */
  const guarded = async (/** @type {() => Promise<any>} */ act, /** @type {Wish | null} */ wish) => {
    try {
      await act();
    } catch (error) {
      if (!(error instanceof Refusal) || error.code !== "precondition_failed") throw error;
      const theirs = await current(path);
      if (!theirs) return leave(t("item.gone"));
      const keep = wish && attempt(() => overwrite(theirs, wish));
      panel.replaceChildren(conflict({ wish, theirs: theirs.data, keep, take: () => draw(theirs) }));
      panel.querySelector("h2")?.focus();
    }
  };

  const overwrite = (/** @type {any} */ version, /** @type {Wish} */ wish) =>
    guarded(async () => {
      const { data } = await call("PATCH", path, { body: wish.body, etag: version.etag });
      leave(t("item.saved", { name: data.name }));
    }, wish);

  const drop = async (/** @type {any} */ base) => {
    const { name } = base.data;
    if (!(await confirms(t("item.deleteAsk", { name }), t("item.delete")))) return;
    await guarded(async () => {
      await call("DELETE", path, { etag: base.etag });
      leave(t("item.deleted", { name }));
    }, null);
  };

  return draw;
};

/** An item that may only be looked at. @param {any} item */
const reading = (item) => {
  const made = h("form", {}, ...inputs(item).map(({ node, input }) => {
    input.readOnly = true;
    return node;
  }), h("div", { class: "buttons" }, back()));
  return { title: item.name, nodes: [h("div", { class: "panel" }, made)] };
};

/** @param {import("./main.js").Request} request @returns {Promise<import("./main.js").Page>} */
export const show = async ({ id }) => {
  if (id === "new") return creating();
  const path = `/items/${encodeURIComponent(String(id))}`;
  const base = await call("GET", path);
  if (!may("items:write")) return reading(base.data);
  const panel = h("div", { class: "panel" });
  editing(path, panel)(base);
  return { title: t("item.edit"), nodes: [panel] };
};
