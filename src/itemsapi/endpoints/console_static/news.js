/** What has been done, said at the top of the page until one goes elsewhere. */
import { t } from "./words.js";

/** @type {{key: import("./words.js").Key, place: string | null} | null} */
let told = null;

/** Say it on the page that is shown next. @param {import("./words.js").Key} key */
export const tell = (key) => {
  told = { key, place: null };
};

export const hush = () => {
  told = null;
};

/** The words for the page at an address, if it is still the one they are for. @param {string} place */
export const news = (place) => {
  if (told) told.place ??= place;
  if (told?.place !== place) hush();
  return told ? t(told.key) : "";
};
