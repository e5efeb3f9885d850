/** The page of one item: create, change and delete it, and resolve edit conflicts. */
import { auth, call, hasScope, ApiError } from "./api.js";
import { finish, withErrorNotice } from "./actions.js";
import { askConfirmation, toast } from "./dialog.js";
import { h } from "./dom.js";
import { deleteDraft, draftOf } from "./drafts.js";
import { field, form } from "./forms.js";
import { conflict } from "./conflict.js";
import { formatPrice, parsePrice } from "./formats.js";
import { language, t } from "./i18n.js";
import { loadUserNames } from "./user_names.js";

/** @typedef {{name: string, description: string, sku: string | null, price: string, currency: string, quantity: number, tags: string[]}} Draft */

/** @typedef {{body: Partial<Draft>, base: Draft}} PendingChange the changes, and the version that they are based on */

/** Make the field of a price, which is written as in the user's country. @param {string} [price] */
const priceField = (price = "") => {
  const example = formatPrice("12.50");
  const validate = (/** @type {string} */ typed) => (parsePrice(typed) === null ? t("items.priceFault", { example }) : "");
  return field({ name: "price", label: t("items.price"), value: formatPrice(price), hint: t("items.priceHint", { example }), required: true, inputmode: "decimal", narrow: true, validate });
};

/** @param {Partial<Draft>} item */
const inputs = (item) => [
  field({ name: "name", label: t("items.name"), value: item.name, required: true, maxlength: 200 }),
  field({ name: "description", label: t("items.description"), value: item.description, kind: "textarea", rows: 4, maxlength: 10000 }),
  field({ name: "sku", label: t("items.sku"), value: item.sku ?? "", maxlength: 64, autocapitalize: "none" }),
  priceField(item.price),
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

/** Convert the form values into the body of a request. @param {Record<string, string>} typed @returns {Draft} */
const draft = ({ name = "", description = "", sku, price = "", currency = "", quantity, tags = "" }) => ({
  name,
  description,
  sku: sku?.trim() || null,
  price: parsePrice(price) ?? price,
  currency: currency.toUpperCase(),
  quantity: Number(quantity),
  tags: tags.split(/[,、，]/).map((tag) => tag.trim()).filter(Boolean),
});

/** Return the fields that differ. @param {any} edited @param {any} base @returns {Partial<Draft>} */
const changes = (edited, base) =>
  Object.fromEntries(Object.entries(edited).filter(([key, value]) => JSON.stringify(value) !== JSON.stringify(base[key])));

const back = () => h("a", { class: "button", href: "#/items" }, t("app.back"));

const done = (/** @type {string} */ words) => finish(words, "#/items");

/** Make a function that returns an Idempotency-Key per body, so that a retry creates no second item. */
const idempotencyKeys = () => {
  /** @type {Map<string, string>} */ const keys = new Map();
  return (/** @type {object} */ body) => {
    const serialized = JSON.stringify(body);
    keys.set(serialized, keys.get(serialized) ?? crypto.getRandomValues(new Uint32Array(4)).join("-"));
    return keys.get(serialized);
  };
};

const createPage = () => {
  const keyOf = idempotencyKeys();
  const submit = async (/** @type {any} */ typed) => {
    const body = draft(typed);
    await call("POST", "/items", { body, key: keyOf(body) });
    done(t("item.created", { name: body.name }));
  };
  const formElement = form({ fields: inputs({}), submitLabel: t("item.create"), others: [back()], submit, keep: { version: null } });
  return { title: t("item.new"), nodes: [h("div", { class: "panel" }, formElement)], form: formElement };
};

/** Load the item, or null if it was deleted. @param {string} path */
const loadCurrent = (path) =>
  call("GET", path).catch((error) => {
    if (error instanceof ApiError && error.status === 404) return null;
    throw error;
  });

/**
 * Make the editor of an item, which is rendered again with each new version.
 * @param {string} path @param {HTMLElement} panel
 */
const editor = (path, panel) => {
  /** @param {{data: any, etag: string | null}} base */
  const render = (base) => {
    const save = async (/** @type {any} */ values) => {
      const edited = draft(values);
      const body = changes(edited, base.data);
      if (!Object.keys(body).length) {
        deleteDraft();
        return toast(t("item.same"));
      }
      // A draft of an older version is saved against that version, so that a conflict is shown.
      await overwrite({ ...base, etag: draftOf()?.version ?? base.etag }, { body, base: base.data });
    };
    const removeButton = h("button", { type: "button", class: "danger", onclick: withErrorNotice(() => remove(base)) }, t("item.delete"));
    const formElement = form({ fields: inputs(base.data), submitLabel: t("item.save"), others: [back(), removeButton], submit: save, keep: { version: base.etag } });
    panel.replaceChildren(formElement);
  };

  /** Run the action, or show the conflict with another user's change. */
  const withConflicts = async (/** @type {() => Promise<any>} */ action, /** @type {PendingChange | null} */ pending) => {
    try {
      await action();
    } catch (error) {
      if (!(error instanceof ApiError) || error.code !== "precondition_failed") throw error;
      const theirs = await loadCurrent(path);
      if (!theirs) return done(t("item.gone"));
      const keep = pending && withErrorNotice(() => overwrite(theirs, pending));
      const take = () => {
        deleteDraft();
        render(theirs);
      };
      panel.replaceChildren(conflict({ pending, theirs: theirs.data, keep, take }));
      panel.querySelector("h2")?.focus();
    }
  };

  const overwrite = (/** @type {any} */ version, /** @type {PendingChange} */ pending) =>
    withConflicts(async () => {
      const { data } = await call("PATCH", path, { body: pending.body, etag: version.etag });
      done(t("item.saved", { name: data.name }));
    }, pending);

  const remove = async (/** @type {any} */ base) => {
    const { name } = base.data;
    if (!(await askConfirmation(t("item.deleteAsk", { name }), t("item.delete")))) return;
    await withConflicts(async () => {
      await call("DELETE", path, { etag: base.etag });
      done(t("item.deleted", { name }));
    }, null);
  };

  return render;
};

/** Make the read-only page of an item. @param {any} item */
const readOnlyPage = (item) => {
  const formElement = h("form", {}, ...inputs(item).map(({ node, input }) => {
    input.readOnly = true;
    return node;
  }), h("div", { class: "buttons" }, back()));
  return { title: item.name, nodes: [h("div", { class: "panel" }, formElement)] };
};

/** Say whose item it is, if it is another user's. @param {any} item */
const ownerNotice = async ({ owner_id }) => {
  if (!hasScope("items:admin") || owner_id === auth.getSnapshot().user?.id) return null;
  const names = await loadUserNames([owner_id]);
  return h("p", { class: "notice" }, t("item.ownedBy", { name: names.get(owner_id) ?? owner_id }));
};

/** @param {import("./main.js").Request} request @returns {Promise<import("./main.js").Page>} */
export const show = async ({ id }) => {
  if (id === "new") return createPage();
  const path = `/items/${encodeURIComponent(String(id))}`;
  const base = await call("GET", path);
  if (!hasScope("items:write")) return readOnlyPage(base.data);
  const panel = h("div", { class: "panel" });
  editor(path, panel)(base);
  return { title: t("item.edit"), nodes: [await ownerNotice(base.data), panel] };
};
