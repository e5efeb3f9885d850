/**
 * Password fields.
 *
 * A new password is visible while it is typed, and entered once: the user sees typing errors.
 * Entering it twice would catch them too, but doubles the work for the long passwords that we want.
 * A checkbox hides it. The current password is hidden until the box is checked. During submission
 * every password is hidden, so that no browser stores it as the text of a field. See NIST SP
 * 800-63B-4 section 3.1.1.2: offer to show it "while it is entered and until it is submitted"; no
 * composition rules; support password managers.
 */
import { h } from "./dom.js";
import { field } from "./forms.js";
import { t } from "./i18n.js";

/** Return the minimum length, which the service writes into the page. */
const minimum = () => document.querySelector("meta[name=password-min-length]")?.getAttribute("content") ?? "";

/** Make a password field with a checkbox that shows it. @param {Parameters<typeof field>[0] & {shown?: boolean}} options */
export const passwordField = ({ shown = false, ...options }) => {
  const quiet = { spellcheck: "false", autocapitalize: "none", autocorrect: "off" };
  const element = field({ type: "password", required: true, ...quiet, ...options });
  const mask = (/** @type {boolean} */ on) => (element.input.type = on || !box.checked ? "password" : "text");
  const box = h("input", { type: "checkbox", checked: shown, onchange: () => mask(false) });
  mask(false); // created with type password: browsers then recognize it when it is visible
  element.node.append(h("label", { class: "check" }, box, t("signin.show")));
  return { ...element, mask };
};

/** Make a field for a new password, with a hint about its length. @param {{name: string, label: string}} options */
export const newPasswordField = (options) =>
  passwordField({ ...options, shown: true, hint: t("account.newHint", { count: minimum() }), autocomplete: "new-password" });

/** Make the hidden user name field that password managers need. @param {string} username */
export const usernameField = (username) =>
  h("input", {
    type: "text",
    class: "unseen",
    name: "username",
    value: username,
    autocomplete: "username",
    readonly: true,
    tabindex: -1,
    "aria-hidden": "true",
  });
