/** Forms: labelled fields, faults shown at the field, one submission at a time, nothing old left. */
import { h } from "./dom.js";
import { Refusal, refusal } from "./api.js";
import { counted, t } from "./words.js";

let count = 0;

/**
 * A labelled field. `fault(text)` shows what is wrong with it, `fault("")` takes that away;
 * `veil(true)` hides what is secret in it while it is sent.
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
  return { node: h("div", { class: narrow ? "field third" : "field" }, ...parts), input, name, fault, veil: (/** @type {boolean} */ _) => {} };
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

/**
 * What went wrong, in words, announced at once.
 * @param {Refusal} problem @param {Refusal["errors"]} [more] faults that have no field to stand at
 */
export const alarm = (problem, more = []) =>
  h(
    "div",
    { class: "notice bad", role: "alert" },
    h("p", {}, problem.message),
    problem.detail && h("p", { lang: "en" }, problem.detail),
    ...more.map(({ field: name, message }) => h("p", { lang: "en" }, `${name}: ${message}`)),
    problem.requestId && h("p", { class: "hint" }, t("app.request", { id: problem.requestId })),
  );

/** Take away what went wrong before, above the page. */
export const calm = () => document.querySelector("main > .notice.bad")?.remove();

/** What stands at the fields, for those who do not see the page: the focus is at the first. @param {number} count */
const summary = (count) => h("p", { class: "unseen", role: "alert" }, counted("form.faults", count));

/**
 * A form that calls `act` with its values, shows what is refused and puts the focus there.
 * @param {{fields: ReturnType<typeof field>[], before?: Node[], extra?: Node[], go: string,
 *   others?: Node[], act: (values: Record<string, string>, form: HTMLFormElement) => Promise<void>}} of
 */
export const form = ({ fields, before = [], extra = [], go, others = [], act }) => {
  const button = h("button", { class: "primary" }, go);
  const trouble = h("div");
  const buttons = h("div", { class: "buttons" }, button, ...others);
  const nodes = fields.map(({ node }) => node);
  const made = h("form", { novalidate: true }, trouble, ...before, ...nodes, ...extra, buttons);
  let busy = false;
  made.addEventListener("submit", async (/** @type {Event} */ event) => {
    event.preventDefault();
    if (busy) return;
    calm();
    trouble.replaceChildren();
    const wrong = check(fields);
    if (wrong) return trouble.replaceChildren(summary(wrong));
    busy = true;
    button.setAttribute("aria-busy", "true");
    for (const { veil } of fields) veil(true);
    const refused = await act(/** @type {any} */ (Object.fromEntries(new FormData(made))), made).catch(refusal);
    for (const { veil } of fields) veil(false);
    if (refused) trouble.replaceChildren(told(fields, refused));
    busy = false;
    button.removeAttribute("aria-busy");
  });
  return made;
};

/** Put the focus on the first field with a fault, in the order of the page; return how many have one. @param {ReturnType<typeof field>[]} fields */
const point = (fields) => {
  const wrong = fields.filter(({ input }) => input.hasAttribute("aria-invalid"));
  wrong[0]?.input.focus();
  return wrong.length;
};

/** The browser's own checks, in its own words, at the field. @param {ReturnType<typeof field>[]} fields */
const check = (fields) => {
  for (const { input, fault } of fields) fault(input.validationMessage);
  return point(fields);
};

/** Show the faults at their fields; return what else is to be said. @param {ReturnType<typeof field>[]} fields @param {Refusal} problem */
const told = (fields, problem) => {
  const homeless = problem.errors.filter(({ field: name, message }) => {
    const found = fields.find((each) => each.name === name.split(".")[0]);
    found?.fault(message);
    return !found;
  });
  const wrong = point(fields);
  return wrong && !homeless.length ? summary(wrong) : alarm(problem, homeless);
};
