/** Buttons that act at once: an error is shown above the page. */
import { toApiError } from "./api.js";
import { errorNotice, clearErrorNotice } from "./forms.js";

/** Make a listener that runs the action and shows its error. @param {() => Promise<void>} action */
export const withErrorNotice = (action) => async () => {
  clearErrorNotice();
  await action().catch((error) => {
    document.querySelector("main h1")?.after(errorNotice(toApiError(error)));
  });
};
