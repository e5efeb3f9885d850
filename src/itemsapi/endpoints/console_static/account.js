/** My account: who I am, and my password. */
import { auth, call, mustChange, Refusal, refusal } from "./api.js";
import { badges, h } from "./dom.js";
import { form } from "./forms.js";
import { given } from "./given.js";
import { tell } from "./news.js";
import { fresh, secret, whose } from "./passwords.js";
import { t } from "./words.js";

/** @param {any} me */
const facts = (me) => {
  const scopes = auth.getSnapshot().scope.split(" ").filter(Boolean);
  const pairs = [
    [t("users.name"), h("strong", {}, me.username)],
    me.roles && [t("account.roles"), badges(me.roles, t("account.noRoles"))],
    [t("account.scopes"), badges(scopes, t("account.noScopes"))],
  ];
  const shown = pairs.filter(Boolean).map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)));
  return h("section", { class: "panel" }, h("h2", {}, t("account.you")), h("dl", { class: "facts tall" }, ...shown));
};

/** What may mean that the answer to the change was lost, and its new tokens with it. */
const LOST = ["network_error", "refresh_superseded"];

/** Without an answer nobody knows which password holds. @param {unknown} error */
const unsure = (error) => {
  const known = refusal(error);
  throw LOST.includes(known.code) ? new Refusal(0, { code: "password_unsure" }) : known;
};

/**
 * The form that sets another password.
 * @param {{username: string, had: string, go: string, reload: () => void}} of `had` names the
 *   password that is replaced; it is asked for unless it was typed a moment ago, at the sign-in
 */
const changing = ({ username, had, go, reload }) => {
  const current = secret({ name: "current_password", label: had, autocomplete: "current-password" });
  const wanted = fresh({ name: "new_password", label: t("account.new") });
  const ask = (/** @type {boolean} */ yes) => (current.node.hidden = current.input.disabled = !yes);
  ask(!given().password);
  const act = async (/** @type {any} */ { current_password = given().password, new_password }) => {
    const passwords = { currentPassword: current_password, newPassword: new_password };
    await auth.changePassword(passwords).catch(unsure).catch((error) => {
      if (error.errors?.some((/** @type {any} */ each) => each.field === current.name)) ask(true);
      throw error;
    });
    tell("account.changed");
    reload();
  };
  return form({ before: [whose(username)], fields: [current, wanted], go, act });
};

/** Nothing else can be done before. @param {() => void} reload @returns {import("./main.js").Page} */
const first = (reload) => {
  const why = h("p", { class: "notice", role: "status" }, t("account.oneTime"));
  const { username } = given();
  const made = changing({ username, had: t("account.given"), go: t("account.set"), reload });
  return { title: t("account.mustChange"), nodes: [why, h("div", { class: "panel" }, made)], form: made };
};

/** @param {import("./main.js").Request} request @returns {Promise<import("./main.js").Page>} */
export const show = async ({ reload }) => {
  if (mustChange()) return first(reload);
  const { data } = await call("GET", "/me");
  const made = changing({ username: data.username, had: t("account.current"), go: t("account.change"), reload });
  const password = h("section", { class: "panel" }, h("h2", {}, t("account.password")), made);
  return { title: t("account.title"), nodes: [facts(data), password] };
};
