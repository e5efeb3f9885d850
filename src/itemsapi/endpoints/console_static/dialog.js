/** Confirmation dialogs, with the native dialog element, which traps and restores the focus; toasts. */
import { h } from "./dom.js";
import { t } from "./i18n.js";

/**
 * Ask for confirmation of an action that cannot be undone.
 * @param {string} question @param {string} submitLabel the label of the confirming button
 * @param {"danger" | "primary"} [kind] of the confirming button; primary if nothing is lost
 * @returns {Promise<boolean>}
 */
export const askConfirmation = (question, submitLabel, kind = "danger") =>
  new Promise((resolve) => {
    const finish = () => {
      resolve(dialog.returnValue === "go");
      dialog.remove();
    };
    const buttons = [
      h("button", { value: "no", autofocus: true }, t("app.cancel")),
      h("button", { value: "go", class: kind }, submitLabel),
    ];
    const asked = h("p", { id: "question" }, question);
    const form = h("form", { method: "dialog" }, asked, h("div", { class: "buttons" }, ...buttons));
    const dialog = h("dialog", { "aria-labelledby": "question", onclose: finish }, form);
    document.body.append(dialog);
    dialog.showModal();
  });

/** Announce a result without moving the focus. @param {string} text */
export const toast = (text) => {
  const note = h("p", { class: "toast" }, text);
  document.getElementById("toasts")?.replaceChildren(note);
  note.addEventListener("animationend", () => note.remove());
};
