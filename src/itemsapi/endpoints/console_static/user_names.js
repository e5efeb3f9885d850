/** The names of users, for lists that contain their ids. */
import { call, hasScope, rows, ApiError } from "./api.js";

const LIMIT = 200;
const PARALLEL = 6; // requests; a page of a list may contain the ids of a hundred users

/** Return null for a deleted user. @param {ApiError} error */
const ignoreMissing = (error) => {
  if (error.status === 404) return null;
  throw error;
};

/** Add the first users, and those of the ids that are not among them. @param {Map<string, string>} names @param {(string | null)[]} ids */
const addNames = async (names, ids) => {
  const add = (/** @type {any} */ user) => names.set(user.id, user.username);
  const { data } = await call("GET", "/users", { query: { limit: LIMIT } });
  rows(data).forEach(add);
  const others = data.next_cursor ? [...new Set(ids)].filter((id) => id && !names.has(id)) : [];
  for (let start = 0; start < others.length; start += PARALLEL) {
    const batch = others.slice(start, start + PARALLEL);
    const found = await Promise.all(batch.map((id) => call("GET", `/users/${id}`).catch(ignoreMissing)));
    for (const response of found) if (response) add(response.data);
  }
};

/**
 * Load the names of users by id, as far as this session may read them. If the service fails, return
 * those that are known, and ask for no more: a list can show ids instead.
 * @param {(string | null)[]} ids @returns {Promise<Map<string, string>>}
 */
export const loadUserNames = async (ids) => {
  /** @type {Map<string, string>} */ const names = new Map();
  if (!hasScope("users:read")) return names;
  await addNames(names, ids).catch((error) => {
    if (!(error instanceof ApiError)) throw error;
  });
  return names;
};

/** Return the id of the user with a name, or null. @param {string} name */
export const findUserId = async (name) => {
  const username = name.toLowerCase();
  const { data } = await call("GET", "/users", { query: { q: username, limit: 1 } });
  return rows(data).find((user) => user.username === username)?.id ?? null;
};
