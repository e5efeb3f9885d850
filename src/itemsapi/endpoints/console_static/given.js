/**
 * The password of a sign-in that is good for one thing only: to set another one. It is kept from
 * there to that form, so that nobody types it twice; in memory alone, no longer than it takes.
 */
import { auth, mustChange } from "./api.js";

/** @type {{username: string, password: string, session: string | null} | null} */
let kept = null;

const forget = () => {
  kept = null;
};

/**
 * Sign in, and keep the password if this is what it is good for.
 * @param {{username: string, password: string, device: string}} credentials
 */
export const login = async (credentials) => {
  const { username, password } = credentials;
  kept = { username, password, session: null }; // the page is drawn before the call returns
  await auth.login(credentials).catch((error) => {
    forget();
    throw error;
  });
};

/** Forget what belongs to another session than this tab's, or has had its use; each drawing does. */
export const tidy = () => {
  const { sessionId } = auth.getSnapshot();
  if (kept && mustChange()) kept.session ??= sessionId;
  if (kept?.session !== sessionId || !mustChange()) forget();
};

/** Who signed in with what, where that is still known. */
export const given = () => ({ username: kept?.username ?? "", password: kept?.password ?? "" });
