/** The frame around every page: name, navigation, language, sign-out. */
import { auth, may, mustChange } from "./api.js";
import { toast } from "./dialog.js";
import { h, icon } from "./dom.js";
import { LANGUAGES, language, speak, t } from "./words.js";

/** @typedef {{path: any, title: import("./words.js").Key, scope?: string}} Place */

/** Where one can go, each with the scope that it takes. @type {Place[]} */
export const PLACES = [
  { path: "items", title: "items.title", scope: "items:read" },
  { path: "sessions", title: "sessions.title" },
  { path: "account", title: "account.title" },
  { path: "users", title: "users.title", scope: "users:read" },
  { path: "roles", title: "roles.title", scope: "users:read" },
  { path: "audit", title: "audit.title", scope: "audit:read" },
];

/** The places that this session reaches: with a one-time password, where another one is set. */
export const reachable = () =>
  PLACES.filter(({ path, scope }) => (mustChange() ? path === "account" : !scope || may(scope)));

/** @param {() => void} changed called after a change of the language */
export const languages = (changed) => {
  const pick = (/** @type {any} */ event) => {
    speak(event.target.value);
    changed();
    document.getElementById("language")?.focus();
  };
  const options = Object.entries(LANGUAGES).map(([value, name]) => h("option", { value, lang: value }, name));
  const select = h("select", { id: "language", "aria-label": t("app.language"), onchange: pick }, ...options);
  select.value = language();
  return select;
};

const leave = async () => {
  const told = auth.logout();
  await told.then(() => toast(t("signout.done")), () => toast(t("signout.untold")));
};

/**
 * The frame with an empty page in it.
 * @param {string} current @param {HTMLElement} main @param {() => void} changed
 */
export const shell = (current, main, changed) => {
  const link = (/** @type {Place} */ { path, title }) => {
    const here = path === current ? "page" : null;
    return h("li", {}, h("a", { href: `#/${path}`, "aria-current": here }, icon(path), t(title)));
  };
  const skip = (/** @type {Event} */ event) => {
    event.preventDefault();
    main.focus();
  };
  const out = h("button", { class: "quiet", onclick: leave }, icon("leave"), t("signout.go"));
  return h(
    "div",
    { class: "frame" },
    h("a", { class: "skip", href: "#main", onclick: skip }, t("app.skip")),
    h("header", {}, brand(), h("div", { class: "tools" }, languages(changed), out)),
    h("nav", { "aria-label": t("app.nav") }, h("ul", {}, ...reachable().map(link))),
    main,
  );
};

export const brand = () =>
  h("p", { class: "brand" }, h("img", { src: new URL("icon.svg", import.meta.url).href, alt: "", width: 28, height: 28 }), h("span", {}, "itemsapi ", h("span", { class: "more" }, t("app.console"))));
