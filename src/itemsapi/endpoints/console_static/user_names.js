/** The names of users, for lists that contain their ids. */
import { call, hasScope, rows, ApiError } from "./api.js";

const LIMIT = 200;

/** Return null for a deleted user. @param {ApiError} error */
const ignoreMissing = (error) => {
  if (error.status === 404) return null;
  throw error;
};

/**
 * Load the names of users by id, as far as this session may read them.
 * @param {(string | null)[]} ids @returns {Promise<Map<string, string>>}
 */
export const loadUserNames = async (ids) => {
  if (!hasScope("users:read")) return new Map();
  const { data } = await call("GET", "/users", { query: { limit: LIMIT } });
  const listed = new Map(rows(data).map(({ id, username }) => [id, username]));
  const others = data.next_cursor ? [...new Set(ids)].filter((id) => id && !listed.has(id)) : [];
  const found = await Promise.all(others.map((id) => call("GET", `/users/${id}`).catch(ignoreMissing)));
  for (const response of found) if (response) listed.set(response.data.id, response.data.username);
  return listed;
};

/** Return the id of the user with a name, or null. @param {string} name */
export const findUserId = async (name) => {
  const username = name.toLowerCase();
  const { data } = await call("GET", "/users", { query: { q: username, limit: 1 } });
  return rows(data).find((user) => user.username === username)?.id ?? null;
};
