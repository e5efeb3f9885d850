/**
 * Dates, numbers and prices as the user writes them, and messages with numbers.
 *
 * They follow the first language of the browser, of which the console may have no messages. Only if
 * the user chose the other language of the console, they follow that.
 */
import { LANGUAGES, language, t } from "./i18n.js";

const LATIN_DIGITS = { numberingSystem: "latn" };

/** Return whether the tag is valid: some browsers have "en-US@posix", at which Intl throws. @param {string} tag */
const isValid = (tag) => {
  try {
    return Intl.getCanonicalLocales(tag).length > 0;
  } catch {
    return false;
  }
};

const baseOf = (/** @type {string} */ tag) => tag.split("-")[0] ?? "";

/** Return the locale of dates, numbers and prices. */
export const locale = () => {
  const tags = navigator.languages.filter(isValid);
  const [own = language()] = tags;
  if (!(baseOf(own) in LANGUAGES)) return own;
  return tags.find((tag) => baseOf(tag) === language()) ?? language();
};

/** @param {number} count */
export const number = (count) => new Intl.NumberFormat(locale()).format(count);

/** @typedef {"items.count" | "users.count" | "audit.count" | "form.faults"} CountKey */

/** Return the singular or plural message. @param {CountKey} key @param {number} count */
export const tCount = (key, count) => {
  const category = new Intl.PluralRules(language()).select(count) === "one" ? "one" : "other";
  return t(`${key}.${category}`, { count: number(count) });
};

/** Return when to retry, rounded up. @param {number} seconds 0 if unknown */
export const retryText = (seconds) => {
  const [unit, length] = seconds > 3600 ? ["hour", 3600] : seconds >= 60 ? ["minute", 60] : ["second", 1];
  const style = { style: "unit", unit, unitDisplay: "long" };
  const format = new Intl.NumberFormat(language(), /** @type {any} */ (style));
  return seconds > 1 ? t("app.againIn", { time: format.format(Math.ceil(seconds / length)) }) : t("app.againSoon");
};

/** @param {string} moment RFC 3339 */
export const timeElement = (moment) => {
  const style = { dateStyle: "medium", timeStyle: "short" };
  const time = document.createElement("time");
  time.dateTime = moment;
  time.lang = locale();
  time.textContent = new Intl.DateTimeFormat(locale(), /** @type {any} */ (style)).format(new Date(moment));
  return time;
};

/** @param {string} price @param {string} currency */
export const formatMoney = (price, currency) => {
  const format = new Intl.NumberFormat(locale(), { style: "currency", currency });
  return format.format(/** @type {any} */ (price)); // a string keeps all its digits
};

/** Return the sign between thousands and the decimal sign. */
const signs = () => {
  const parts = new Intl.NumberFormat(locale(), LATIN_DIGITS).formatToParts(1234567.8);
  const sign = (/** @type {string} */ kind) => parts.find(({ type }) => type === kind)?.value ?? "";
  return { group: simplify(sign("group")), decimal: sign("decimal") };
};

/** Return a text with simple digits, spaces and apostrophes. @param {string} text */
const simplify = (text) => text.normalize("NFKC").replaceAll("’", "'");

/** Write a price of the API, such as "12.50", as the user types it. @param {string} price */
export const formatPrice = (price) => price.replace(".", signs().decimal);

/**
 * Return a typed price as the API has it, or null if it is none. "12.50" is always understood, unless
 * the point separates thousands: "1.250" is 1250 in German, and "12,50" is no price in English.
 * @param {string} typed
 */
export const parsePrice = (typed) => {
  const { group, decimal } = signs();
  const text = simplify(typed).trim();
  const [whole = "", places = "0", ...rest] = text.split(decimal);
  const digits = whole.replaceAll(group, "");
  const isNumber = /^\d{1,12}$/.test(digits) && /^\d{1,4}$/.test(places) && !rest.length;
  if (isNumber && (whole === digits || whole === grouped(digits))) return joined(digits, text.includes(decimal) ? places : "");
  return /^\d{1,12}\.\d{1,4}$/.test(text) ? joined(.../** @type {[string, string]} */ (text.split("."))) : null;
};

/** @param {string} digits */
const grouped = (digits) => {
  const style = /** @type {any} */ ({ ...LATIN_DIGITS, useGrouping: "always" });
  return simplify(new Intl.NumberFormat(locale(), style).format(BigInt(digits)));
};

/** @param {string} digits @param {string} places */
const joined = (digits, places) => String(BigInt(digits)) + (places && `.${places}`);
