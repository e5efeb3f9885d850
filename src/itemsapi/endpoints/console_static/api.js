/** Calls to the API: JSON in and out; error responses are thrown with a translated message. */
import { AuthError, createAuth } from "../client.js";
import { retryText } from "./formats.js";
import { term, translateServerText } from "./i18n.js";

export const auth = createAuth({ baseUrl: new URL("..", import.meta.url) }); // the service is one level up

/** Problems whose detail is shown, because it differs from case to case. */
const CODES_WITH_DETAIL = ["conflict", "etag_weakened", "forbidden", "insufficient_scope", "malformed_json"];

/** An error response of the API, or none (status 0). */
export class ApiError extends Error {
  /** @param {number} status @param {any} problem @param {number} [wait] seconds until a retry makes sense */
  constructor(status, problem, wait = 0) {
    super(term("problem", problem.code, { again: retryText(wait) }) ?? translateServerText(problem.detail ?? problem.title ?? String(status)).text);
    this.status = status;
    this.code = problem.code;
    /** The detail of the service, in English. @type {string} */
    this.detail = CODES_WITH_DETAIL.includes(problem.code) ? (problem.detail ?? "") : "";
    /** @type {{field: string, message: string}[]} */
    this.errors = problem.errors ?? [];
    this.requestId = problem.request_id;
  }
}

/** Convert what was thrown. @param {unknown} error */
export const toApiError = (error) => {
  if (error instanceof ApiError) return error;
  if (error instanceof AuthError) return new ApiError(error.status, { ...error.problem, code: error.code }, error.retryAfter);
  if (error instanceof TypeError) return new ApiError(0, { code: "network_error" });
  throw error;
};

/** Return Retry-After in seconds; a proxy may have written a date. @param {Headers} headers */
const retryAfterSeconds = (headers) => {
  const value = headers.get("Retry-After") ?? "";
  return Number(value) || Math.max(0, (Date.parse(value) - Date.now()) / 1000) || 0;
};

/**
 * Call the API. Throw `ApiError` for an error response.
 * @param {string} method @param {string} path
 * @param {{body?: object, etag?: string | null, key?: string, query?: Record<string, any>}} [more]
 * @returns {Promise<{data: any, etag: string | null}>}
 */
export const call = async (method, path, { body, etag, key, query = {} } = {}) => {
  const headers = new Headers({ Accept: "application/json" });
  if (body) headers.set("Content-Type", "application/json");
  if (etag) headers.set("If-Match", etag);
  if (key) headers.set("Idempotency-Key", key);
  const params = new URLSearchParams(Object.entries(query).filter(([, value]) => value));
  const address = params.size ? `${path}?${params}` : path;
  const init = { method, headers, ...(body ? { body: JSON.stringify(body) } : {}) };
  const response = await auth.fetch(address, init).catch((error) => {
    throw toApiError(error);
  });
  const data = response.status === 204 ? null : await response.json().catch(() => ({}));
  // This is no conflict: a proxy weakened the ETag, and would weaken the next one too.
  if (response.status === 412 && etag?.startsWith("W/")) data.code = "etag_weakened";
  if (!response.ok) throw new ApiError(response.status, data, retryAfterSeconds(response.headers));
  return { data, etag: response.headers.get("ETag") };
};

/** Return whether this session has the scope. @param {string} scope */
export const hasScope = (scope) => auth.getSnapshot().scope.split(" ").includes(scope);

/** Return whether the user signed in with a temporary password, which only sets another one. */
export const mustChangePassword = () => hasScope("password:change");

/** Return the rows of a list response, with or without an envelope. @param {any} data @returns {any[]} */
export const rows = (data) => (Array.isArray(data) ? data : (data.items ?? []));
