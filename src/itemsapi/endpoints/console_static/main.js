/** The console: restore the session, then show the page of the location hash. */
import { auth, mustChangePassword, toApiError } from "./api.js";
import { h } from "./dom.js";
import { deleteDrafts, deleteForeignDrafts } from "./drafts.js";
import { errorNotice } from "./forms.js";
import { askBeforeLeaving } from "./leaving.js";
import { forgetIfStale } from "./temporary_password.js";
import { clearFlash, readFlash } from "./flash.js";
import { languageSelect, brand, visiblePages, shell } from "./shell.js";
import { t } from "./i18n.js";
import * as account from "./account.js";
import * as audit from "./audit.js";
import * as item from "./item.js";
import * as items from "./items.js";
import * as role from "./role.js";
import * as roles from "./roles.js";
import * as sessions from "./sessions.js";
import * as signin from "./signin.js";
import * as user from "./user.js";
import * as users from "./users.js";

/**
 * @typedef {{id: string | null, query: URLSearchParams, reload: () => void}} Request
 * @typedef {{title: string, nodes: (Node | null | undefined | false)[], form?: HTMLFormElement}} Page
 *   with `form`, the focus starts in its first empty field
 */

/** @type {Record<string, {show: (request: Request) => Promise<Page>}>} */
const PAGES = { account, audit, items, roles, sessions, users };
/** The detail pages of the lists. @type {typeof PAGES} */
const DETAIL_PAGES = { items: item, roles: role, users: user };

const app = /** @type {HTMLElement} */ (document.getElementById("app"));
let renderCount = 0; // a page that loads late must not replace a newer one
let lastSnapshot = auth.getSnapshot();

const route = () => {
  const [path = "", search = ""] = location.hash.slice(2).split("?");
  const [name = "", id = null] = path.split("/");
  return { name, id, query: new URLSearchParams(search) };
};

/**
 * Return the page that follows the account page, or null. Anybody can write a link with `then`, so it
 * may only lead to a page of the console.
 * @param {ReturnType<typeof route>} wanted
 */
const following = ({ name, query }) => {
  const then = name === "account" && query.get("then");
  return then && then.startsWith("#/") ? then : null;
};

/**
 * Return where to redirect, or null. After a sign-in with a temporary password that is the account
 * page, with the original target in `then` (so that it survives a reload), and later that target.
 * @param {ReturnType<typeof route>} wanted
 */
const redirectTarget = (wanted) => {
  const then = following(wanted);
  if (!mustChangePassword()) return wanted.name ? then : `#/${visiblePages()[0]?.path}`;
  if (then) return null;
  return `#/account?${new URLSearchParams({ then: wanted.name === "account" ? "#/" : location.hash || "#/" })}`;
};

/** Render the page of the location hash. */
const render = async () => {
  const current = (renderCount += 1);
  const snapshot = auth.getSnapshot();
  const wasSignedIn = lastSnapshot.status === "signed-in";
  lastSnapshot = snapshot;
  forgetIfStale();
  if (snapshot.status === "signed-out") {
    if (wasSignedIn && !snapshot.reason) deleteDrafts(); // the user signed out, here or in another tab
    return renderSignIn(snapshot.reason);
  }
  if (snapshot.status === "signed-in") deleteForeignDrafts();
  const { name, id, query } = route();
  const pages = visiblePages();
  const target = redirectTarget({ name, id, query });
  if (target) return location.replace(target);
  const loading = h("p", { class: "loading" }, t("app.loading"));
  const flash = h("p", { class: "notice good", role: "status" }); // added before its text, so that screen readers announce it
  const main = h("main", { id: "main", tabindex: -1 }, flash, loading);
  app.replaceChildren(shell(name, main, render));
  app.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
  const allowed = pages.some(({ path }) => path === name);
  const page = await load(allowed ? name : "", { id, query, reload: render });
  if (current !== renderCount) return;
  const heading = h("h1", { tabindex: -1 }, page.title);
  document.title = `${page.title} · ${t("app.name")}`;
  flash.before(heading);
  loading.replaceWith(.../** @type {Node[]} */ (page.nodes.filter(Boolean)));
  flash.textContent = readFlash(location.hash);
  if (document.activeElement === document.body) (firstEmptyField(page.form) ?? heading).focus();
};

/** @param {HTMLFormElement} [formElement] */
const firstEmptyField = (formElement) => {
  const inputs = /** @type {NodeListOf<HTMLInputElement>} */ (formElement?.querySelectorAll("input:enabled:read-write") ?? []);
  return [...inputs].find(({ value }) => !value);
};

/** @param {string} name @param {Request} request @returns {Promise<Page>} */
const load = async (name, request) => {
  try {
    const page = (request.id ? DETAIL_PAGES : PAGES)[name];
    if (page) return await page.show(request);
    return { title: t("app.unknown"), nodes: [] };
  } catch (error) {
    const again = h("button", { onclick: request.reload }, t("app.retry"));
    return { title: t("app.failed"), nodes: [errorNotice(toApiError(error)), again] };
  }
};

/** @param {string | null} reason the problem code that ended the session, if any */
const renderSignIn = (reason) => {
  const typed = /** @type {HTMLInputElement | null} */ (app.querySelector(".door [name=username]"))?.value;
  clearFlash();
  document.title = `${t("signin.title")} · ${t("app.name")}`;
  const bar = h("header", { class: "bar" }, brand(), languageSelect(render));
  app.replaceChildren(h("div", { class: "door" }, bar, h("main", { id: "main" }, signin.card(reason, typed))));
  app.querySelector("input")?.focus();
};

/** Show that the service is unavailable at the start; the user stays signed in. @param {unknown} error */
const showUnavailable = (error) => {
  const again = h("button", { class: "primary", onclick: () => start(true) }, t("app.retry"));
  const note = h("p", {}, t("signin.offline"));
  const card = h("div", { class: "card" }, h("h1", {}, t("app.failed")), note, errorNotice(toApiError(error)), again);
  app.replaceChildren(h("div", { class: "door" }, h("main", { id: "main" }, card)));
};

const start = (force = false) => auth.restore({ force }).catch(showUnavailable); // the change of the status renders

auth.subscribe(() => {
  const { status, sessionId, scope } = auth.getSnapshot();
  if (status !== lastSnapshot.status || sessionId !== lastSnapshot.sessionId || scope !== lastSnapshot.scope) render();
});
addEventListener("hashchange", render);
askBeforeLeaving();
start();
