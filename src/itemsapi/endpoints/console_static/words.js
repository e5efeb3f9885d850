/** The words of the page: English and Japanese, chosen once and changed at will. */
import { en } from "./words.en.js";
import { ja } from "./words.ja.js";

/** @typedef {keyof typeof en} Key */

const KEPT = "itemsapi-console:language";
const BOOKS = { en, ja };
export const LANGUAGES = { en: "English", ja: "日本語" };

/** @returns {"en" | "ja"} */
const chosen = () => {
  try {
    const kept = localStorage.getItem(KEPT);
    if (kept === "en" || kept === "ja") return kept;
  } catch {
    // Storage may be forbidden; the browser's language does.
  }
  const wanted = navigator.languages.map((tag) => tag.slice(0, 2));
  return /** @type {"en" | "ja"} */ (wanted.find((tag) => tag in BOOKS) ?? "en");
};

let current = chosen();

export const language = () => current;

/** @param {string} wanted */
export const speak = (wanted) => {
  current = wanted === "ja" ? "ja" : "en";
  document.documentElement.lang = current;
  try {
    localStorage.setItem(KEPT, current);
  } catch {
    // Then it holds until the next reload.
  }
};

document.documentElement.lang = current;

/**
 * The words for a key, with {names} replaced.
 * @param {Key} key @param {Record<string, string | number>} [values]
 */
export const t = (key, values = {}) =>
  BOOKS[current][key].replace(/\{(\w+)\}/g, (_, name) => String(values[name] ?? ""));

/** The words for a key that may not exist. @param {string} key */
export const maybe = (key) => (key in en ? t(/** @type {Key} */ (key)) : null);

/** @param {string} moment RFC 3339 */
export const when = (moment) => {
  const style = { dateStyle: "medium", timeStyle: "short" };
  const shape = new Intl.DateTimeFormat(current, /** @type {any} */ (style));
  const time = document.createElement("time");
  time.dateTime = moment;
  time.textContent = shape.format(new Date(moment));
  return time;
};

/** @param {string} price @param {string} currency */
export const money = (price, currency) => {
  const shape = new Intl.NumberFormat(current, { style: "currency", currency });
  return shape.format(/** @type {any} */ (price)); // a string keeps all its digits
};

/** @param {number} count */
export const number = (count) => new Intl.NumberFormat(current).format(count);
