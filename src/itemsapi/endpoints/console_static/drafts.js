/**
 * Drafts: what the user typed into a form and has not saved.
 *
 * A draft survives a click, Back, a reload, a change of the language and the end of the session. It
 * is in sessionStorage: of this tab only, and gone when the tab closes. It belongs to one user: it is
 * deleted when that user signs out, in whichever tab, and when another user signs in. It never
 * contains a password.
 */
import { auth } from "./api.js";

/**
 * @typedef {Record<string, string[]>} Values the values of the fields that were changed, by name
 * @typedef {{version: string | null, values: Values}} Draft `version` is the ETag of what was edited
 * @typedef {{owner: string | null, drafts: Record<string, Draft>}} Stored `owner` is the id of the user
 */

const STORAGE_KEY = "itemsapi-console:drafts";

/** @returns {Stored} */
const load = () => {
  try {
    return JSON.parse(sessionStorage.getItem(STORAGE_KEY) ?? "") ?? { owner: null, drafts: {} };
  } catch {
    return { owner: null, drafts: {} }; // none yet, or storage is denied
  }
};

let stored = load();

const store = () => {
  try {
    if (Object.keys(stored.drafts).length) sessionStorage.setItem(STORAGE_KEY, JSON.stringify(stored));
    else sessionStorage.removeItem(STORAGE_KEY);
  } catch {
    // Denied or full: the drafts last until the next reload.
  }
};

/** Return the page of a location hash, the key of its draft. */
const pageOf = (hash = location.hash) => hash.split("?")[0] ?? "";

/** Return the draft of a page, by default of the current one. @param {string} [hash] @returns {Draft | undefined} */
export const draftOf = (hash) => stored.drafts[pageOf(hash)];

/** Keep the draft of the current page; without changed values, delete it. @param {Draft} draft */
export const keepDraft = (draft) => {
  if (!stored.owner) return;
  if (Object.keys(draft.values).length) stored.drafts[pageOf()] = draft;
  else delete stored.drafts[pageOf()];
  store();
};

/** Delete the draft of the current page: it was saved or discarded. */
export const deleteDraft = () => keepDraft({ version: null, values: {} });

/** Delete all drafts: the user signed out. */
export const deleteDrafts = () => {
  stored = { owner: stored.owner, drafts: {} };
  store();
};

/** Delete the drafts of any other user than the signed-in one; called at each rendering for a user. */
export const deleteForeignDrafts = () => {
  const owner = auth.getSnapshot().user?.id ?? null;
  if (owner !== stored.owner) stored = { owner, drafts: {} };
  store();
};

/** Return the values of a form that a draft may contain. @param {HTMLFormElement} form @returns {Values} */
const valuesOf = (form) => {
  /** @type {Values} */ const values = {};
  for (const input of /** @type {Iterable<any>} */ (form.elements)) {
    if (!input.name || input.autocomplete.endsWith("-password")) continue;
    const chosen = input.type !== "checkbox" || input.checked;
    values[input.name] = [...(values[input.name] ?? []), ...(chosen ? [input.value] : [])];
  }
  return values;
};

/** @param {HTMLFormElement} form @param {Values} values */
const fill = (form, values) => {
  for (const input of /** @type {Iterable<any>} */ (form.elements)) {
    const [...kept] = values[input.name] ?? [];
    if (!(input.name in values)) continue;
    if (input.type === "checkbox") input.checked = kept.includes(input.value);
    else input.value = kept[0];
  }
};

/**
 * Fill a form with the draft of the current page, and keep what the user types from now on. Return a
 * function that discards the draft, or null if there was none.
 * @param {HTMLFormElement} form @param {string | null} version the ETag of what the form edits
 */
export const watch = (form, version) => {
  const initial = valuesOf(form);
  const draft = draftOf();
  if (draft) fill(form, draft.values);
  form.addEventListener("input", () => {
    const isChanged = (/** @type {[string, string[]]} */ [name, values]) => `${values}` !== `${initial[name]}`;
    const values = Object.fromEntries(Object.entries(valuesOf(form)).filter(isChanged));
    keepDraft({ version: draftOf()?.version ?? version, values });
  });
  const discard = () => {
    deleteDraft();
    fill(form, initial);
    form.querySelector("input")?.focus();
  };
  return draft ? discard : null;
};
