/** The ends of actions: an error above the page, or the list with a message. */
import { toApiError } from "./api.js";
import { toast } from "./dialog.js";
import { deleteDraft } from "./drafts.js";
import { errorNotice, clearErrorNotice } from "./forms.js";

/** Make a listener that runs the action and shows its error. @param {() => Promise<void>} action */
export const withErrorNotice = (action) => async () => {
  clearErrorNotice();
  await action().catch((error) => {
    document.querySelector("main h1")?.after(errorNotice(toApiError(error)));
  });
};

/** The form is saved: delete its draft, say so, and open the list. @param {string} words @param {string} list the hash of the list */
export const finish = (words, list) => {
  deleteDraft();
  toast(words);
  location.hash = list;
};
