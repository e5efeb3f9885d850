/** Translations (English and Japanese) and localized formats. */
import { en } from "./messages.en.js";
import { ja } from "./messages.ja.js";

/** @typedef {keyof typeof en} Key */

const STORAGE_KEY = "itemsapi-console:language";
const MESSAGES = { en, ja };
export const LANGUAGES = { en: "English", ja: "日本語" };

/** @returns {"en" | "ja"} */
const initialLanguage = () => {
  try {
    const stored = localStorage.getItem(STORAGE_KEY);
    if (stored === "en" || stored === "ja") return stored;
  } catch {
    // Storage may be denied: use the language of the browser.
  }
  const wanted = navigator.languages.map((tag) => tag.slice(0, 2));
  return /** @type {"en" | "ja"} */ (wanted.find((tag) => tag in MESSAGES) ?? "en");
};

let current = initialLanguage();

export const language = () => current;

/** @param {string} wanted */
export const setLanguage = (wanted) => {
  current = wanted === "ja" ? "ja" : "en";
  document.documentElement.lang = current;
  try {
    localStorage.setItem(STORAGE_KEY, current);
  } catch {
    // Without storage the choice lasts until the next reload.
  }
};

document.documentElement.lang = current;

/**
 * Return the message of a key, with {names} replaced.
 * @param {Key} key @param {Record<string, string | number>} [values]
 */
export const t = (key, values = {}) =>
  MESSAGES[current][key].replace(/\{(\w+)\}/g, (_, name) => String(values[name] ?? ""));

/** Return the message of a key, or null if there is none. @param {string} key @param {Record<string, string>} [values] */
export const translateIfKnown = (key, values) => (key in en ? t(/** @type {Key} */ (key), values) : null);

/** Return the singular or plural message. @param {"items.count" | "form.faults"} key @param {number} count */
export const tCount = (key, count) => {
  const category = new Intl.PluralRules(current).select(count) === "one" ? "one" : "other";
  return t(`${key}.${category}`, { count: number(count) });
};

/** Return when to retry, rounded up. @param {number} seconds 0 if unknown */
export const retryText = (seconds) => {
  const [unit, length] = seconds > 3600 ? ["hour", 3600] : seconds >= 60 ? ["minute", 60] : ["second", 1];
  const style = { style: "unit", unit, unitDisplay: "long" };
  const format = new Intl.NumberFormat(current, /** @type {any} */ (style));
  return seconds > 1 ? t("app.againIn", { time: format.format(Math.ceil(seconds / length)) }) : t("app.againSoon");
};

/** @param {string} moment RFC 3339 */
export const timeElement = (moment) => {
  const style = { dateStyle: "medium", timeStyle: "short" };
  const format = new Intl.DateTimeFormat(current, /** @type {any} */ (style));
  const time = document.createElement("time");
  time.dateTime = moment;
  time.textContent = format.format(new Date(moment));
  return time;
};

/** @param {string} price @param {string} currency */
export const formatMoney = (price, currency) => {
  const format = new Intl.NumberFormat(current, { style: "currency", currency });
  return format.format(/** @type {any} */ (price)); // a string keeps all its digits
};

/** @param {number} count */
export const number = (count) => new Intl.NumberFormat(current).format(count);
