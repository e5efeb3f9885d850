/** A question in a dialog of the platform's own: it keeps the focus in and gives it back. */
import { h } from "./dom.js";
import { t } from "./words.js";

/**
 * Ask before something that cannot be undone.
 * @param {string} question @param {string} go what the button that does it says
 * @returns {Promise<boolean>}
 */
export const confirms = (question, go) =>
  new Promise((resolve) => {
    const finish = () => {
      resolve(dialog.returnValue === "go");
      dialog.remove();
    };
    const buttons = [
      h("button", { value: "no", autofocus: true }, t("app.cancel")),
      h("button", { value: "go", class: "danger" }, go),
    ];
    const asked = h("p", { id: "question" }, question);
    const form = h("form", { method: "dialog" }, asked, h("div", { class: "buttons" }, ...buttons));
    const dialog = h("dialog", { "aria-labelledby": "question", onclose: finish }, form);
    document.body.append(dialog);
    dialog.showModal();
  });

/** Say that something was done, without taking the focus. @param {string} text */
export const toast = (text) => {
  const note = h("p", { class: "toast" }, text);
  document.getElementById("toasts")?.replaceChildren(note);
  note.addEventListener("animationend", () => note.remove());
};
