/** Talking to the service: JSON in and out, refusals as exceptions with words for people. */
import { AuthError, createAuth } from "../client.js";
import { again, maybe } from "./words.js";

export const auth = createAuth({ baseUrl: new URL("..", import.meta.url) }); // the service, one level up

/** Problems whose detail differs from case to case. */
const SPECIFIC = ["conflict", "etag_weakened", "forbidden", "insufficient_scope", "malformed_json"];

/** A refusal of the service, or its silence (status 0). */
export class Refusal extends Error {
  /** @param {number} status @param {any} problem @param {number} [wait] seconds until another try makes sense */
  constructor(status, problem, wait = 0) {
    super(maybe(`problem.${problem.code}`, { again: again(wait) }) ?? problem.detail ?? problem.title ?? String(status));
    this.status = status;
    this.code = problem.code;
    /** What the service says beyond that, in English. @type {string} */
    this.detail = SPECIFIC.includes(problem.code) ? (problem.detail ?? "") : "";
    /** @type {{field: string, message: string}[]} */
    this.errors = problem.errors ?? [];
    this.requestId = problem.request_id;
  }
}

/** Make a refusal of whatever was thrown. @param {unknown} error */
export const refusal = (error) => {
  if (error instanceof Refusal) return error;
  if (error instanceof AuthError) return new Refusal(error.status, { ...error.problem, code: error.code }, error.retryAfter);
  if (error instanceof TypeError) return new Refusal(0, { code: "network_error" });
  throw error;
};

/** The seconds that Retry-After asks for; a proxy may have written a date. @param {Headers} headers */
const askedWait = (headers) => {
  const value = headers.get("Retry-After") ?? "";
  return Number(value) || Math.max(0, (Date.parse(value) - Date.now()) / 1000) || 0;
};

/**
 * Call the API; throws a `Refusal`.
 * @param {string} method @param {string} path
 * @param {{body?: object, etag?: string | null, key?: string, query?: Record<string, any>}} [more]
 * @returns {Promise<{data: any, etag: string | null}>}
 */
export const call = async (method, path, { body, etag, key, query = {} } = {}) => {
  const headers = new Headers({ Accept: "application/json" });
  if (body) headers.set("Content-Type", "application/json");
  if (etag) headers.set("If-Match", etag);
  if (key) headers.set("Idempotency-Key", key);
  const asked = new URLSearchParams(Object.entries(query).filter(([, value]) => value));
  const address = asked.size ? `${path}?${asked}` : path;
  const init = { method, headers, ...(body ? { body: JSON.stringify(body) } : {}) };
  const response = await auth.fetch(address, init).catch((error) => {
    throw refusal(error);
  });
  const data = response.status === 204 ? null : await response.json().catch(() => ({}));
  // Nobody else was quicker: a proxy weakened the ETag, and would weaken the next one too.
  if (response.status === 412 && etag?.startsWith("W/")) data.code = "etag_weakened";
  if (!response.ok) throw new Refusal(response.status, data, askedWait(response.headers));
  return { data, etag: response.headers.get("ETag") };
};

/** Whether this session may do what the scope names. @param {string} scope */
export const may = (scope) => auth.getSnapshot().scope.split(" ").includes(scope);

/** Whether nothing may be done but to set another password: this one was made for somebody. */
export const mustChange = () => may("password:change");

/** The rows of a list, however it is wrapped. @param {any} data @returns {any[]} */
export const rows = (data) => (Array.isArray(data) ? data : (data.items ?? []));
