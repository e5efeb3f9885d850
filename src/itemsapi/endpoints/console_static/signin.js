/** Signing in. */
import { h } from "./dom.js";
import { field, form } from "./forms.js";
import { login } from "./given.js";
import { secret } from "./passwords.js";
import { t } from "./words.js";

/** A name for this device in the list of sessions: the browser and the system. */
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

/** The card to sign in with. @param {string | null} reason why the session before it ended */
export const card = (reason) => {
  const username = field({
    name: "username",
    label: t("signin.username"),
    autocomplete: "username",
    autocapitalize: "none",
    spellcheck: "false",
    required: true,
  });
  const password = secret({ name: "password", label: t("signin.password"), autocomplete: "current-password" });
  const act = async (/** @type {any} */ values) => {
    await login({ username: values.username, password: values.password, device: device() });
  };
  return h(
    "div",
    { class: "card" },
    h("h1", {}, t("signin.title")),
    h("p", { class: "lead" }, t("signin.lead")),
    ended(reason),
    form({ fields: [username, password], go: t("signin.go"), act }),
  );
};
