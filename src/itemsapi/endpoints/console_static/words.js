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

/** The words for a key that may not exist. @param {string} key @param {Record<string, string>} [values] */
export const maybe = (key, values) => (key in en ? t(/** @type {Key} */ (key), values) : null);

/** The words for one or for many. @param {"items.count" | "form.faults"} key @param {number} count */
export const counted = (key, count) => {
  const many = new Intl.PluralRules(current).select(count) === "one" ? "one" : "other";
  return t(`${key}.${many}`, { count: number(count) });
};

/** When to come back, as people say it, and never too early. @param {number} seconds 0 if nobody knows */
export const again = (seconds) => {
  const [unit, length] = seconds > 3600 ? ["hour", 3600] : seconds >= 60 ? ["minute", 60] : ["second", 1];
  const style = { style: "unit", unit, unitDisplay: "long" };
  const shape = new Intl.NumberFormat(current, /** @type {any} */ (style));
  return seconds > 1 ? t("app.againIn", { time: shape.format(Math.ceil(seconds / length)) }) : t("app.againSoon");
};

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
