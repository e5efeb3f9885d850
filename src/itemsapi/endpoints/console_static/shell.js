/** The frame around every page: brand, navigation, user, language, sign-out. */
import { auth, hasScope, mustChangePassword } from "./api.js";
import { toast } from "./dialog.js";
import { h, icon } from "./dom.js";
import { mayRedraw, maySignOut } from "./leaving.js";
import { LANGUAGES, language, setLanguage, t } from "./i18n.js";

/** @typedef {{path: any, title: import("./i18n.js").Key, scope?: string}} NavItem */

/** The pages of the navigation, each with the scope that it needs. @type {NavItem[]} */
export const NAV_ITEMS = [
  { path: "items", title: "items.title", scope: "items:read" },
  { path: "sessions", title: "sessions.title" },
  { path: "account", title: "account.title" },
  { path: "users", title: "users.title", scope: "users:read" },
  { path: "roles", title: "roles.title", scope: "users:read" },
  { path: "audit", title: "audit.title", scope: "audit:read" },
];

/** Return the pages that this session may open; with a temporary password only the account page. */
export const visiblePages = () =>
  NAV_ITEMS.filter(({ path, scope }) => (mustChangePassword() ? path === "account" : !scope || hasScope(scope)));

/** @param {() => void} changed called after a change of the language */
export const languageSelect = (changed) => {
  const pick = async (/** @type {any} */ event) => {
    if (!(await mayRedraw())) return void (select.value = language());
    setLanguage(event.target.value);
    changed();
    document.getElementById("language")?.focus();
  };
  const options = Object.entries(LANGUAGES).map(([value, name]) => h("option", { value, lang: value }, name));
  const select = h("select", { id: "language", "aria-label": t("app.language"), onchange: pick }, ...options);
  select.value = language();
  return select;
};

const signOut = async () => {
  if (!(await maySignOut())) return;
  const request = auth.logout();
  await request.then(() => toast(t("signout.done")), () => toast(t("signout.failed")));
};

/** Make the name of the signed-in user, a link to the account. */
const signedInUser = () => {
  const { user } = auth.getSnapshot();
  const label = h("span", { class: "unseen" }, t("app.signedInAs"), " ");
  return user && h("a", { class: "who", href: "#/account" }, icon("account"), label, h("span", { class: "name" }, user.username));
};

/**
 * Make the frame with an empty page.
 * @param {string} current @param {HTMLElement} main @param {() => void} changed
 */
export const shell = (current, main, changed) => {
  const link = (/** @type {NavItem} */ { path, title }) => {
    const here = path === current ? "page" : null;
    return h("li", {}, h("a", { href: `#/${path}`, "aria-current": here }, icon(path), t(title)));
  };
  const skip = (/** @type {Event} */ event) => {
    event.preventDefault();
    main.focus();
  };
  const out = h("button", { class: "quiet", onclick: signOut }, icon("leave"), t("signout.go"));
  return h(
    "div",
    { class: "frame" },
    h("a", { class: "skip", href: "#main", onclick: skip }, t("app.skip")),
    h("header", {}, brand(), h("div", { class: "tools" }, signedInUser(), languageSelect(changed), out)),
    h("nav", { "aria-label": t("app.nav") }, h("ul", {}, ...visiblePages().map(link))),
    main,
  );
};

export const brand = () =>
  h("p", { class: "brand" }, h("img", { src: new URL("icon.svg", import.meta.url).href, alt: "", width: 28, height: 28 }), h("span", {}, "itemsapi ", h("span", { class: "more" }, t("app.console"))));
