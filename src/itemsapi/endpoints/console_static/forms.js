/** Forms: labelled fields, faults shown at the field, one submission at a time. */
import { h } from "./dom.js";
import { Refusal, refusal } from "./api.js";
import { t } from "./words.js";

let count = 0;

/**
 * A labelled field. `fault(text)` shows what is wrong with it, `fault("")` takes that away.
 * @param {{name: string, label: string, hint?: string, kind?: string, value?: string | number, narrow?: boolean,
 *   [attribute: string]: any}} options
 */
export const field = ({ name, label, hint, kind = "input", value = "", narrow = false, ...attributes }) => {
  const id = `f${(count += 1)}`;
  const input = h(kind, { id, name, value, ...attributes });
  const help = h("p", { class: "hint", id: `${id}h` }, hint ?? "");
  const wrong = h("p", { class: "fault", id: `${id}f` });
  const described = hint ? `${id}h ${id}f` : `${id}f`;
  input.setAttribute("aria-describedby", described);
  const fault = (/** @type {string} */ text) => {
    wrong.textContent = text;
    input.toggleAttribute("aria-invalid", Boolean(text));
    if (text) input.setAttribute("aria-invalid", "true");
  };
  const parts = [h("label", { for: id }, label), input, hint && help, wrong];
  return { node: h("div", { class: narrow ? "field third" : "field" }, ...parts), input, name, fault };
};

/** A password field with a box to show it. @param {Parameters<typeof field>[0]} options */
export const secret = (options) => {
  const made = field({ type: "password", required: true, spellcheck: "false", ...options });
  const show = (/** @type {any} */ event) => (made.input.type = event.target.checked ? "text" : "password");
  const box = h("input", { type: "checkbox", onchange: show });
  made.node.append(h("label", { class: "check" }, box, t("signin.show")));
  return made;
};

/**
 * A choice among words. @param {string} label @param {string} name
 * @param {Record<string, string>} options @param {string} value
 */
export const choice = (label, name, options, value) => {
  const made = field({ name, label, kind: "select" });
  made.input.append(...Object.entries(options).map(([key, text]) => h("option", { value: key }, text)));
  made.input.value = value;
  return made;
};

/**
 * Boxes to tick.
 * @param {string} legend @param {string} name
 * @param {{value: string, hint: string}[]} all @param {string[]} on the ticked ones
 */
export const boxes = (legend, name, all, on) => {
  const labels = all.map(({ value, hint }) => {
    const box = h("input", { type: "checkbox", name, value, checked: on.includes(value) });
    return h("label", { class: "check" }, box, h("span", {}, value, " ", h("span", { class: "hint" }, hint)));
  });
  return h("fieldset", {}, h("legend", {}, legend), ...labels);
};

/** What is ticked. @param {HTMLFormElement} made @param {string} name */
export const ticked = (made, name) => new FormData(made).getAll(name);

/** What went wrong, in words, announced at once. @param {Refusal} problem */
export const alarm = (problem) =>
  h(
    "div",
    { class: "notice bad", role: "alert" },
    h("p", {}, problem.message),
    problem.detail && h("p", { lang: "en" }, problem.detail),
    problem.requestId && h("p", { class: "hint" }, t("app.request", { id: problem.requestId })),
  );

/**
 * A form that calls `act` with its values, shows what is refused and puts the focus there.
 * @param {{fields: ReturnType<typeof field>[], extra?: Node[], go: string, danger?: boolean,
 *   others?: Node[], act: (values: Record<string, string>, form: HTMLFormElement) => Promise<void>}} of
 */
export const form = ({ fields, extra = [], go, others = [], act }) => {
  const button = h("button", { class: "primary" }, go);
  const trouble = h("div");
  const buttons = h("div", { class: "buttons" }, button, ...others);
  const nodes = fields.map(({ node }) => node);
  const made = h("form", { novalidate: true }, trouble, ...nodes, ...extra, buttons);
  let busy = false;
  made.addEventListener("submit", async (/** @type {Event} */ event) => {
    event.preventDefault();
    if (busy || !isFilled(fields)) return;
    busy = true;
    button.setAttribute("aria-busy", "true");
    trouble.replaceChildren();
    await act(/** @type {any} */ (Object.fromEntries(new FormData(made))), made).catch((error) => {
      trouble.replaceChildren(alarm(refusal(error)));
      showFaults(fields, refusal(error));
    });
    busy = false;
    button.removeAttribute("aria-busy");
  });
  return made;
};

/** The browser's own checks, in its own words, at the field. @param {ReturnType<typeof field>[]} fields */
const isFilled = (fields) => {
  for (const { input, fault } of fields) fault(input.validationMessage);
  const first = fields.find(({ input }) => !input.validity.valid);
  first?.input.focus();
  return !first;
};

/** @param {ReturnType<typeof field>[]} fields @param {Refusal} problem */
const showFaults = (fields, problem) => {
  let first;
  for (const { field: name, message } of problem.errors) {
    const found = fields.find((each) => each.name === name.split(".")[0]);
    found?.fault(message);
    first ??= found;
  }
  first?.input.focus();
};
