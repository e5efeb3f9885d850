/** The flash message: a result at the top of the page until the user leaves the page. */
import { t } from "./i18n.js";

/** @type {{key: import("./i18n.js").Key, place: string | null} | null} */
let flash = null;

/** Set the message of the page that is shown next. @param {import("./i18n.js").Key} key */
export const setFlash = (key) => {
  flash = { key, place: null };
};

export const clearFlash = () => {
  flash = null;
};

/** Return the message for the page at a location, or an empty string. @param {string} place */
export const readFlash = (place) => {
  if (flash) flash.place ??= place;
  if (flash?.place !== place) clearFlash();
  return flash ? t(flash.key) : "";
};
