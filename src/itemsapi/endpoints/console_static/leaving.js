/** Leaving a page on which the user typed something: ask first. */
import { auth } from "./api.js";
import { askConfirmation, toast } from "./dialog.js";
import { draftOf } from "./drafts.js";
import { t } from "./i18n.js";

/** Return whether the page has a typed password that is not being sent; no draft keeps it. */
const hasPassword = () => {
  const fields = /** @type {NodeListOf<HTMLInputElement>} */ (document.querySelectorAll(".frame form:not(:has([aria-busy])) [autocomplete$=-password]"));
  return [...fields].some(({ value }) => value);
};

/** Return whether the user may leave the page; ask if something is unsaved. */
export const mayLeave = async () => {
  if (hasPassword()) return askConfirmation(t("draft.losePassword"), t("draft.leave"));
  return !draftOf() || askConfirmation(t("draft.leaveAsk"), t("draft.leave"), "primary");
};

/** Return whether the user wants to sign out, which deletes the drafts. */
export const maySignOut = async () =>
  !(draftOf() || hasPassword()) || askConfirmation(t("draft.signOutAsk"), t("signout.go"));

/** Return whether the page may be rendered again, which only loses a typed password. */
export const mayRedraw = async () => !hasPassword() || askConfirmation(t("draft.losePassword"), t("draft.goOn"));

/** Ask before a link of the console is followed in this tab. @param {MouseEvent} event */
const onClick = async (event) => {
  const link = /** @type {Element} */ (event.target).closest?.("a[href^='#/']");
  const opensElsewhere = event.ctrlKey || event.metaKey || event.shiftKey || event.altKey;
  if (!link || opensElsewhere || event.defaultPrevented || !(draftOf() || hasPassword())) return;
  event.preventDefault();
  if (await mayLeave()) location.hash = String(link.getAttribute("href"));
};

/** Let the browser ask before it closes or reloads the tab. @param {BeforeUnloadEvent} event */
const onUnload = (event) => {
  if (auth.getSnapshot().status === "signed-in" && (draftOf() || hasPassword())) event.preventDefault();
};

let lastHash = location.hash;

/** After Back or Forward, which cannot be held up, say that the draft is kept. */
const onHashChange = () => {
  if (lastHash !== location.hash && draftOf(lastHash)) toast(t("draft.kept"));
  lastHash = location.hash;
};

/** Start to watch clicks, Back and the closing of the tab. */
export const askBeforeLeaving = () => {
  document.addEventListener("click", onClick);
  addEventListener("beforeunload", onUnload);
  addEventListener("hashchange", onHashChange);
};
