/** Translations, English and Japanese: messages of the console, and words for names and texts of the service. */
import { en } from "./messages.en.js";
import { ja } from "./messages.ja.js";
import { serverTexts } from "./server_texts.ja.js";
import { terms as enTerms } from "./terms.en.js";
import { terms as jaTerms } from "./terms.ja.js";

/** @typedef {keyof typeof en} Key */

const STORAGE_KEY = "itemsapi-console:language";
const MESSAGES = { en, ja };
const TERMS = { en: enTerms, ja: jaTerms };
export const LANGUAGES = { en: "English", ja: "日本語" };

/** @returns {"en" | "ja"} */
const initialLanguage = () => {
  try {
    const stored = localStorage.getItem(STORAGE_KEY);
    if (stored === "en" || stored === "ja") return stored;
  } catch {
    // Storage may be denied: use the language of the browser.
  }
  const preferred = navigator.languages.map((tag) => tag.slice(0, 2));
  return /** @type {"en" | "ja"} */ (preferred.find((tag) => tag in MESSAGES) ?? "en");
};

let current = initialLanguage();

export const language = () => current;

/** @param {string} selected */
export const setLanguage = (selected) => {
  current = selected === "ja" ? "ja" : "en";
  document.documentElement.lang = current;
  try {
    localStorage.setItem(STORAGE_KEY, current);
  } catch {
    // Without storage the choice lasts until the next reload.
  }
};

document.documentElement.lang = current;

/** Replace {names} by their values. @param {string} text @param {Record<string, string | number>} values */
const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => String(values[name] ?? ""));

/**
 * Return the message of a key, with {names} replaced.
 * @param {Key} key @param {Record<string, string | number>} [values]
 */
export const t = (key, values = {}) => fill(MESSAGES[current][key], values);

/**
 * Return the words for a name of the service, or null: an application has names of its own.
 * @param {"problem" | "scope" | "event"} kind @param {string} name @param {Record<string, string>} [values]
 */
export const term = (kind, name, values = {}) => {
  const words = TERMS[current][`${kind}.${name}`];
  return words === undefined ? null : fill(words, values);
};

/** Return the names of a kind that have words, in the order of the words. @param {"event"} kind */
export const knownTerms = (kind) => {
  const names = Object.keys(TERMS[current]).filter((key) => key.startsWith(`${kind}.`));
  return names.map((key) => key.slice(kind.length + 1)).sort((one, other) => String(term(kind, one)).localeCompare(String(term(kind, other)), current));
};

/**
 * Translate a text of the service, which is in English; a text without translation stays.
 * @param {string} text @returns {{text: string, lang: string}} `lang` is the language of the result
 */
export const translateServerText = (text) => {
  const [pattern, words] = (current === "ja" && serverTexts.find(([each]) => each.test(text))) || [];
  return pattern && words ? { text: text.replace(pattern, words), lang: current } : { text, lang: "en" };
};
