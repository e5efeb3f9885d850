/** The console: find out who is signed in, then show the page that the address names. */
import { auth, mustChange, refusal } from "./api.js";
import { h } from "./dom.js";
import { alarm } from "./forms.js";
import { tidy } from "./given.js";
import { hush, news } from "./news.js";
import { languages, brand, reachable, shell } from "./shell.js";
import { t } from "./words.js";
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
 *   a page that is a form and nothing else begins in its first empty field
 */

/** @type {Record<string, {show: (request: Request) => Promise<Page>}>} */
const PAGES = { account, audit, items, roles, sessions, users };
/** The page of one thing of a list. @type {typeof PAGES} */
const THINGS = { items: item, roles: role, users: user };

const app = /** @type {HTMLElement} */ (document.getElementById("app"));
let shown = 0; // a page that arrives late must not replace its successor
let who = auth.getSnapshot();

const route = () => {
  const [path = "", search = ""] = location.hash.slice(2).split("?");
  const [name = "", id = null] = path.split("/");
  return { name, id, query: new URLSearchParams(search) };
};

/**
 * Where the address leads instead, if it does: a one-time password to the page that replaces it,
 * which remembers where one wanted to go (after a reload too), and from there on.
 * @param {ReturnType<typeof route>} wanted
 */
const detour = ({ name, query }) => {
  const then = query.get("then");
  if (!mustChange()) return name ? then : `#/${reachable()[0]?.path}`;
  if (name === "account" && then) return null;
  return `#/account?${new URLSearchParams({ then: name === "account" ? "#/" : location.hash || "#/" })}`;
};

/** Draw what the address names. */
const draw = async () => {
  const mine = (shown += 1);
  const snapshot = auth.getSnapshot();
  who = snapshot;
  tidy();
  if (snapshot.status === "signed-out") return signedOut(snapshot.reason);
  const { name, id, query } = route();
  const places = reachable();
  const elsewhere = detour({ name, id, query });
  if (elsewhere) return location.replace(elsewhere);
  const loading = h("p", { class: "loading" }, t("app.loading"));
  const done = h("p", { class: "notice good", role: "status" }); // there before its words: then they are read out
  const main = h("main", { id: "main", tabindex: -1 }, done, loading);
  app.replaceChildren(shell(name, main, draw));
  app.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
  const allowed = places.some(({ path }) => path === name);
  const page = await load(allowed ? name : "", { id, query, reload: draw });
  if (mine !== shown) return;
  const heading = h("h1", { tabindex: -1 }, page.title);
  document.title = `${page.title} · ${t("app.name")}`;
  done.before(heading);
  loading.replaceWith(.../** @type {Node[]} */ (page.nodes.filter(Boolean)));
  done.textContent = news(location.hash);
  if (document.activeElement === document.body) (firstEmpty(page.form) ?? heading).focus();
};

/** @param {HTMLFormElement} [made] */
const firstEmpty = (made) => {
  const inputs = /** @type {NodeListOf<HTMLInputElement>} */ (made?.querySelectorAll("input:enabled:read-write") ?? []);
  return [...inputs].find(({ value }) => !value);
};

/** @param {string} name @param {Request} request @returns {Promise<Page>} */
const load = async (name, request) => {
  try {
    const page = (request.id ? THINGS : PAGES)[name];
    if (page) return await page.show(request);
    return { title: t("app.unknown"), nodes: [] };
  } catch (error) {
    const again = h("button", { onclick: request.reload }, t("app.retry"));
    return { title: t("app.failed"), nodes: [alarm(refusal(error)), again] };
  }
};

/** @param {string | null} reason why the session is over, if it ended by itself */
const signedOut = (reason) => {
  hush();
  document.title = `${t("signin.title")} · ${t("app.name")}`;
  const bar = h("header", { class: "bar" }, brand(), languages(draw));
  app.replaceChildren(h("div", { class: "door" }, bar, h("main", { id: "main" }, signin.card(reason))));
  app.querySelector("input")?.focus();
};

/** The service is away at the start: nobody is signed out for that. @param {unknown} error */
const away = (error) => {
  const again = h("button", { class: "primary", onclick: start }, t("app.retry"));
  const note = h("p", {}, t("signin.offline"));
  const card = h("div", { class: "card" }, h("h1", {}, t("app.failed")), note, alarm(refusal(error)), again);
  app.replaceChildren(h("div", { class: "door" }, h("main", { id: "main" }, card)));
};

const start = () => auth.restore().catch(away); // the change of the status draws

auth.subscribe(() => {
  const { status, sessionId, scope } = auth.getSnapshot();
  if (status !== who.status || sessionId !== who.sessionId || scope !== who.scope) draw();
});
addEventListener("hashchange", draw);
start();
