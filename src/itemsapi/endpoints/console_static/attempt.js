/** Buttons that do something at once: what goes wrong is shown above the page. */
import { refusal } from "./api.js";
import { alarm, calm } from "./forms.js";

/** A listener that does this and shows what is refused. @param {() => Promise<void>} act */
export const attempt = (act) => async () => {
  calm();
  await act().catch((error) => {
    document.querySelector("main h1")?.after(alarm(refusal(error)));
  });
};
