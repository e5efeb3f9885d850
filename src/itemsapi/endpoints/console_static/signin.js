/** The sign-in page. */
import { h } from "./dom.js";
import { draftOf } from "./drafts.js";
import { field, form } from "./forms.js";
import { login } from "./temporary_password.js";
import { passwordField } from "./passwords.js";
import { t } from "./i18n.js";

/** Return a name for this device in the list of sessions: browser and system. */
const device = () => {
  const agent = navigator.userAgent;
  const browsers = { Edg: "Edge", Firefox: "Firefox", Chrome: "Chrome", Safari: "Safari" };
  const systems = { Android: "Android", iPhone: "iPhone", iPad: "iPad", Windows: "Windows", Mac: "macOS", Linux: "Linux" };
  const named = (/** @type {Record<string, string>} */ table) =>
    Object.entries(table).find(([mark]) => agent.includes(mark))?.[1];
  return [named(browsers), named(systems)].filter(Boolean).join(", ") || "Browser";
};

/** @param {string | null} reason */
const ended = (reason) => {
  const words = reason === "refresh_reused" ? "signin.reused" : "signin.ended";
  return reason && h("p", { class: "notice", role: "status" }, t(words));
};

/** Say that typed text waits for the user of the ended session. */
const waiting = () => draftOf() && h("p", { class: "notice", role: "status" }, t("draft.waiting"));

/**
 * Make the sign-in card.
 * @param {string | null} reason the problem code that ended the session @param {string} [typed] the user name before a change of the language
 */
export const card = (reason, typed = "") => {
  const username = field({
    name: "username",
    value: typed,
    label: t("signin.username"),
    autocomplete: "username",
    autocapitalize: "none",
    spellcheck: "false",
    required: true,
  });
  const password = passwordField({ name: "password", label: t("signin.password"), autocomplete: "current-password" });
  const submit = async (/** @type {any} */ values) => {
    await login({ username: values.username, password: values.password, device: device() });
  };
  return h(
    "div",
    { class: "card" },
    h("h1", {}, t("signin.title")),
    h("p", { class: "lead" }, t("signin.lead")),
    ended(reason),
    waiting(),
    form({ fields: [username, password], submitLabel: t("signin.go"), submit }),
  );
};
