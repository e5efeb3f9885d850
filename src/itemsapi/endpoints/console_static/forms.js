/** Forms: labelled fields, errors at the field, one submission at a time. */
import { h } from "./dom.js";
import { ApiError, toApiError } from "./api.js";
import { watch } from "./drafts.js";
import { number, tCount } from "./formats.js";
import { t, translateServerText } from "./i18n.js";

let count = 0;

/**
 * Make a labelled field. `setError(text)` shows an error at it, in the language `lang` if that is not
 * the console's; `setError("")` removes it. `mask(true)` hides a password while it is sent.
 * `validate` returns what is wrong with a value that the browser accepts, or an empty string.
 * @param {{name: string, label: string, hint?: string, kind?: string, value?: string | number, narrow?: boolean,
 *   validate?: (value: string) => string, [attribute: string]: any}} options
 */
export const field = ({ name, label, hint, kind = "input", value = "", narrow = false, validate = () => "", ...attributes }) => {
  const id = `f${(count += 1)}`;
  const input = h(kind, { id, name, value, ...attributes });
  const help = h("p", { class: "hint", id: `${id}h` }, hint ?? "");
  const invalid = h("p", { class: "fault", id: `${id}f` });
  const described = hint ? `${id}h ${id}f` : `${id}f`;
  input.setAttribute("aria-describedby", described);
  const setError = (/** @type {string} */ text, lang = "") => {
    invalid.textContent = text;
    if (lang) invalid.lang = lang;
    else invalid.removeAttribute("lang");
    if (text) input.setAttribute("aria-invalid", "true");
    else input.removeAttribute("aria-invalid");
  };
  const parts = [h("label", { for: id }, label), input, hint && help, invalid];
  return { node: h("div", { class: narrow ? "field third" : "field" }, ...parts), input, name, setError, validate, mask: (/** @type {boolean} */ _) => {} };
};

/**
 * Make a select field. @param {string} label @param {string} name
 * @param {Record<string, string>} options @param {string} value
 */
export const choice = (label, name, options, value) => {
  const element = field({ name, label, kind: "select" });
  element.input.append(...Object.entries(options).map(([key, text]) => h("option", { value: key }, text)));
  element.input.value = value;
  return element;
};

/**
 * Make a group of checkboxes.
 * @param {string} legend @param {string} name
 * @param {{value: string, hint: string}[]} all @param {string[]} on the checked ones
 */
export const checkboxes = (legend, name, all, on) => {
  const labels = all.map(({ value, hint }) => {
    const box = h("input", { type: "checkbox", name, value, checked: on.includes(value) });
    return h("label", { class: "check" }, box, h("span", {}, value, " ", h("span", { class: "hint" }, hint)));
  });
  return h("fieldset", {}, h("legend", {}, legend), ...labels);
};

/** Return the checked values. @param {HTMLFormElement} element @param {string} name */
export const checkedValues = (element, name) => new FormData(element).getAll(name);

/**
 * Make an error notice, which screen readers announce at once.
 * @param {ApiError} problem @param {ApiError["errors"]} [otherErrors] field errors without a field in the form
 */
export const errorNotice = (problem, otherErrors = []) =>
  h(
    "div",
    { class: "notice bad", role: "alert" },
    h("p", {}, problem.message),
    problem.detail && serverText(problem.detail),
    ...otherErrors.map(({ field: name, message }) => serverText(message, `${name}: `)),
    problem.requestId && h("p", { class: "hint" }, t("app.request", { id: problem.requestId })),
  );

/** Make a paragraph of a text of the service. @param {string} text @param {string} [prefix] */
const serverText = (text, prefix = "") => {
  const translated = translateServerText(text);
  return h("p", { lang: translated.lang }, prefix + translated.text);
};

/** Remove the error notice above the page. */
export const clearErrorNotice = () => document.querySelector("main > .notice.bad")?.remove();

/** Make the summary for screen readers; the focus is on the first invalid field. @param {number} count */
const errorSummary = (count) => h("p", { class: "unseen", role: "alert" }, tCount("form.faults", count));

/**
 * Make a form that calls `submit` with its values, shows errors and focuses the first invalid field.
 * @param {{fields: ReturnType<typeof field>[], before?: Node[], extra?: Node[], submitLabel: string,
 *   others?: Node[], submit: (values: Record<string, string>, form: HTMLFormElement) => Promise<void>,
 *   keep?: {version: string | null}}} of `keep` keeps a draft, of this version of what is edited
 */
export const form = ({ fields, before = [], extra = [], submitLabel, others = [], submit, keep }) => {
  const button = h("button", { class: "primary" }, submitLabel);
  const errors = h("div");
  const buttons = h("div", { class: "buttons" }, button, ...others);
  const nodes = fields.map(({ node }) => node);
  const element = h("form", { novalidate: true }, errors, ...before, ...nodes, ...extra, buttons);
  const discard = keep && watch(element, keep.version);
  if (discard) errors.after(draftNotice(discard));
  let busy = false;
  element.addEventListener("submit", async (/** @type {Event} */ event) => {
    event.preventDefault();
    if (busy) return;
    clearErrorNotice();
    errors.replaceChildren();
    const invalid = check(fields);
    if (invalid) return errors.replaceChildren(errorSummary(invalid));
    busy = true;
    button.setAttribute("aria-busy", "true");
    for (const { mask } of fields) mask(true);
    const error = await submit(/** @type {any} */ (Object.fromEntries(new FormData(element))), element).catch(toApiError);
    for (const { mask } of fields) mask(false);
    if (error) errors.replaceChildren(showErrors(fields, error));
    busy = false;
    button.removeAttribute("aria-busy");
  });
  return element;
};

/** Say that the form has unsaved changes from before, with a button that discards them. @param {() => void} discard */
const draftNotice = (discard) => {
  const click = () => {
    discard();
    notice.remove();
  };
  const button = h("button", { type: "button", onclick: click }, t("draft.discard"));
  const notice = h("div", { class: "notice draft", role: "status" }, h("p", {}, t("draft.restored")), button);
  return notice;
};

/** Focus the first invalid field and return the number of invalid fields. @param {ReturnType<typeof field>[]} fields */
const focusFirstInvalid = (fields) => {
  const invalid = fields.filter(({ input }) => input.hasAttribute("aria-invalid"));
  invalid[0]?.input.focus();
  return invalid.length;
};

/**
 * Return what is wrong with the value of a field, or an empty string, in the language of the console:
 * the browser's own messages are in the browser's.
 * @param {ReturnType<typeof field>} field
 */
const faultOf = ({ input, validate }) => {
  if (input.validity.valid) return validate(input.value);
  if (input.validity.valueMissing) return t("form.required");
  if (input.type === "number") return t("form.number", { min: number(input.min), max: number(input.max) });
  return input.validity.patternMismatch ? t("form.format") : input.validationMessage;
};

/** Show the faults at their fields and return their number. @param {ReturnType<typeof field>[]} fields */
const check = (fields) => {
  for (const each of fields) each.setError(faultOf(each));
  return focusFirstInvalid(fields);
};

/** Show the errors at their fields; return the notice for the rest. @param {ReturnType<typeof field>[]} fields @param {ApiError} problem */
const showErrors = (fields, problem) => {
  const unplaced = problem.errors.filter(({ field: name, message }) => {
    const match = fields.find((each) => each.name === name.split(".")[0]);
    const { text, lang } = translateServerText(message);
    match?.setError(text, lang);
    return !match;
  });
  const invalid = focusFirstInvalid(fields);
  return invalid && !unplaced.length ? errorSummary(invalid) : errorNotice(problem, unplaced);
};
