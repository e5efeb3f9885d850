/**
 * The temporary password of a sign-in, which only sets another password. It is kept in memory from
 * the sign-in to that form, so that the user does not type it twice.
 */
import { auth, mustChangePassword } from "./api.js";

/** @type {{username: string, password: string, session: string | null} | null} */
let remembered = null;

const forget = () => {
  remembered = null;
};

/**
 * Sign in, and keep the password in case it is temporary.
 * @param {{username: string, password: string, device: string}} credentials
 */
export const login = async (credentials) => {
  const { username, password } = credentials;
  remembered = { username, password, session: null }; // the page is rendered before the call returns
  await auth.login(credentials).catch((error) => {
    forget();
    throw error;
  });
};

/** Forget the password of another session, or after its use; called at each rendering. */
export const forgetIfStale = () => {
  const { sessionId } = auth.getSnapshot();
  if (remembered && mustChangePassword()) remembered.session ??= sessionId;
  if (remembered?.session !== sessionId || !mustChangePassword()) forget();
};

/** Return the kept user name and password, or empty strings. */
export const keptCredentials = () => ({ username: remembered?.username ?? "", password: remembered?.password ?? "" });
