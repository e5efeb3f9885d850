/**
 * Password fields.
 *
 * A new password is shown while it is typed, and asked for once: a typing error is seen, and a long
 * sentence is written as easily as any other. To ask twice would catch the error too, but doubles
 * the work for exactly the long passwords that are wanted. Who is watched unticks the box. The one
 * that opens the account stays hidden until asked for. What is sent is hidden meanwhile, and so kept
 * by no browser as the text of a field. See NIST SP 800-63B-4 section 3.1.1.2: offer to show it
 * "while it is entered and until it is submitted"; no rules of composition, room for managers.
 */
import { h } from "./dom.js";
import { field } from "./forms.js";
import { t } from "./words.js";

/** The least length, as the service writes it into the page. */
const minimum = () => document.querySelector("meta[name=password-min-length]")?.getAttribute("content") ?? "";

/** A password field with a box to show it. @param {Parameters<typeof field>[0] & {shown?: boolean}} options */
export const secret = ({ shown = false, ...options }) => {
  const quiet = { spellcheck: "false", autocapitalize: "none", autocorrect: "off" };
  const made = field({ type: "password", required: true, ...quiet, ...options });
  const veil = (/** @type {boolean} */ on) => (made.input.type = on || !box.checked ? "password" : "text");
  const box = h("input", { type: "checkbox", checked: shown, onchange: () => veil(false) });
  veil(false); // it was born a password field: that is how browsers know one that is shown
  made.node.append(h("label", { class: "check" }, box, t("signin.show")));
  return { ...made, veil };
};

/** A field for a password that is being made, with what it must be. @param {{name: string, label: string}} options */
export const fresh = (options) =>
  secret({ ...options, shown: true, hint: t("account.newHint", { count: minimum() }), autocomplete: "new-password" });

/** Whose password it is, for password managers; unseen, but not left out of the page. @param {string} username */
export const whose = (username) =>
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
