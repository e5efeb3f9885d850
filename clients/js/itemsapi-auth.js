/**
 * The browser client of itemsapi: sign in once and stay signed in, in every tab.
 *
 * The refresh token is in an HttpOnly cookie that scripts cannot read. The access token is in the
 * memory of this module only. Tabs share new tokens and sign-outs by a BroadcastChannel. Locks,
 * channel and storage only save requests: without them the user still stays signed in, because the
 * server handles the races.
 *
 * @typedef {{username: string, password: string, scope?: string, device?: string}} Credentials
 * @typedef {{currentPassword: string, newPassword: string, endOtherSessions?: boolean}} Passwords
 * @typedef {"unknown" | "signed-in" | "signed-out"} Status
 * @typedef {Readonly<{id: string, username: string}>} User
 * @typedef {Readonly<{status: Status, sessionId: string | null, user: User | null, scope: string,
 *   reason: Code | null}>} Snapshot `reason` is the code of the problem that ended the session; with
 *   the status `unknown`, of the problem that keeps the client from finding out. It tries again.
 * @typedef {import("./problem-codes.js").ServerCode} ServerCode a code of the service
 * @typedef {"backing_off" | "cookie_not_kept" | "http_error" | "network_error"} FailureCode
 * @typedef {FailureCode | "session_changed" | "superseded"} ClientCode a code of this client
 * @typedef {ServerCode | ClientCode} Code
 * @typedef {{code?: Code, title?: string, detail?: string, request_id?: string,
 *   errors?: {field: string, message: string}[], cause?: unknown}} Problem an error response (RFC 9457);
 *   without a response, `cause` is what fetch threw.
 * @typedef {{baseUrl?: string | URL | undefined, storage?: Store | undefined}} Options
 * @typedef {Pick<Storage, "getItem" | "setItem" | "removeItem">} Store
 * @typedef {{access_token: string, session_id: string, user: User | null, scope: string,
 *   until: number, life: number}} Grant `until` is a Date.now(), `life` is in milliseconds.
 * @typedef {{status: number, data: any, wait: number}} Reply
 * @typedef {(error: AuthError) => void} Caller is told of each failure, and may stop waiting.
 * @typedef {{replaced: string | null, done: Promise<void>,
 *   callers: Set<Caller>}} PendingRefresh `replaced` is the access token before it.
 */

const REFRESH_EARLY_MS = 30_000; // before the expiry; or the last quarter of the lifetime
const LOCK_WAIT_MS = 5_000; // then continue without the lock
const BROADCAST_WAIT_MS = 50; // a broadcast may arrive after its lock was released
const CALL_TIMEOUT_MS = 20_000;
// Less than half of the server's window of 20 s. The server does not sign out a browser if request
// and response together take less than the window.
const REFRESH_TIMEOUT_MS = 9_000;
const REFRESH_RETRY_MS = 25_000; // longer than the window, to recover a lost response
const MAX_CALL_WAIT_MS = 10_000; // a call that would wait longer rejects
const MAX_PAUSE_MS = 60_000; // the longest Retry-After that is respected
const SLOW_RETRY_MS = 30_000; // the longest wait between attempts to find out the status

// Problems without a response of the service. A user reads title and detail.
/** @type {Problem} */ const NO_RESPONSE = {
  title: "The service did not answer",
  detail: "Check the connection, and try again.",
};
/** @type {Problem} */ const BACKING_OFF = {
  code: "backing_off",
  title: "The service asked to wait",
  detail: "Try again later.",
};
/** @type {Problem} */ const SESSION_CHANGED = {
  code: "session_changed",
  title: "Another user has signed in",
  detail: "Do it again if that is still what you want.",
};
/** @type {Problem} */ const SUPERSEDED = {
  code: "superseded",
  title: "You signed out meanwhile",
  detail: "Sign in again.",
};
/** @param {number} status @returns {Problem} of a proxy, for example */
const noProblem = (status) => ({
  title: `The service answered with the status ${status}`,
  detail: "Try again later, or tell the operator.",
});

// The values of the hint in localStorage: whether a session is likely. It is no secret. Without a
// value nobody has signed in here yet, so it is not known whether the browser keeps the cookie.
const SIGNED_IN = "in";
const SIGNED_OUT = "out";
const SIGNING_OUT = "leaving"; // signed out here, but perhaps not yet on the server
const MISSING_COOKIE_MS = 14 * 24 * 3600_000; // then an idle session has ended

/** Return a text, or "" for anything else, which a foreign service may send. @param {unknown} value */
const text = (value) => (typeof value === "string" ? value.trim() : "");

/** Return a text with a full stop, or "". @param {unknown} value */
const sentence = (value) => text(value).replace(/[^.!?…。！？]$/u, "$&.");

/** Return title and detail of a problem as sentences. @param {Problem} problem */
const sentencesOf = ({ title, detail }) => [sentence(title), sentence(detail)].filter(Boolean);

/**
 * A failed call; `status` is 0 if there was no response. `message` is for users: what is wrong, what
 * to do next, and the code. `problem` may be the body of any response; only texts in it are shown.
 */
export class AuthError extends Error {
  /** @param {number} status @param {Problem | null} [problem] @param {number} [retryAfter] seconds */
  constructor(status, problem, retryAfter = 0) {
    const known = problem ?? {};
    const code = text(known.code) || (status ? "http_error" : "network_error");
    const given = sentencesOf(known);
    const words = given.length ? given : sentencesOf(status ? noProblem(status) : NO_RESPONSE);
    super([...words, `(${code})`].join(" "), { cause: known.cause });
    this.name = "AuthError";
    this.status = status;
    this.code = /** @type {Code} */ (code);
    this.problem = known;
    this.retryAfter = retryAfter;
  }
}

/** @param {number} ms @returns {Promise<void>} */
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Return 256 random bits as 23 to 95 characters; the prefix guarantees the minimum length. */
const newAttempt = () => `attempt-${crypto.getRandomValues(new Uint32Array(8)).join("-")}`;

/** Return whether the same call may succeed later. @param {number} status */
const isTransient = (status) => status < 200 || status === 408 || status === 429 || status >= 500;

/** Return Retry-After, seconds or a date, in milliseconds. @param {Response} response */
const retryAfterMs = ({ headers }) => {
  const value = `${headers.get("Retry-After")}`;
  return Math.max(0, +value * 1000 || Date.parse(value) - Date.now() || 0);
};

/**
 * Settle like the promise, or reject when the signal aborts.
 * @template T @param {Promise<T>} promise @param {AbortSignal} signal @returns {Promise<T>}
 */
const abortable = (promise, signal) =>
  new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener("abort", abort);
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });

/**
 * Run a call under the lock of this name, or without it after LOCK_WAIT_MS. The call must not
 * reject. A lock that is granted after that is released at once.
 * @template T @param {string} name @param {(contended: boolean) => Promise<T>} call
 * @returns {Promise<T>}
 */
const withLock = (name, call) =>
  new Promise((resolve) => {
    let started = false;
    /** @param {boolean} contended */
    const start = (contended) => {
      if (started) return;
      started = true;
      clearTimeout(timer);
      const done = call(contended);
      resolve(done);
      return done;
    };
    const timer = setTimeout(start, LOCK_WAIT_MS, true);
    const locks = globalThis.navigator?.locks;
    if (!locks) return void start(false);
    const queue = () => void locks.request(name, () => start(true)).catch(() => start(true));
    locks
      .request(name, { ifAvailable: true }, (lock) => (lock ? start(false) : queue()))
      .catch(() => start(false));
  });

/** @param {string} address @param {string} [base] @returns {URL | undefined} */
const parseUrl = (address, base) => {
  try {
    return new URL(address, base);
  } catch {
    return undefined;
  }
};

/**
 * Return the URL of the API with a slash at the end. A relative address is one of the page's origin;
 * undefined where there is no page. Throw for an address that is none of HTTP.
 * @param {string} address
 */
const parseBaseUrl = (address) => {
  const url = parseUrl(address) ?? parseUrl(address, globalThis.location?.origin);
  if (!url) return undefined;
  if (!url.protocol.startsWith("http"))
    throw new TypeError(`createAuth: "${address || url.origin}" is no URL of an API; write { baseUrl: "https://api.example" }`);
  url.search = url.hash = "";
  if (!url.pathname.endsWith("/")) url.pathname += "/";
  return url;
};

/** Exponential backoff with jitter, at least as long as Retry-After says (a minute at most). */
class Backoff {
  #failures = 0;
  #until = 0;
  /** @type {any} a number in browsers, an object in Node */ #timer;
  #wake = () => {};

  /** @param {number} limit */
  constructor(limit) {
    this.limit = limit;
  }

  /** @param {number} [requested] ms */
  failed(requested = 0) {
    const limit = this.#failures < 16 ? this.limit : SLOW_RETRY_MS;
    const wait = Math.min(limit, 500 * 2 ** this.#failures) * (0.5 + Math.random() / 2);
    this.#failures += 1;
    const pause = Math.max(wait, Math.min(requested, MAX_PAUSE_MS));
    this.#until = performance.now() + pause; // not Date: its clock can be set back
  }

  succeeded() {
    this.#failures = this.#until = 0;
  }

  remaining() {
    return Math.max(0, this.#until - performance.now());
  }

  /** Wait for the end of the pause. If nobody waits for the result, Node may exit meanwhile. */
  wait(isAwaited = true) {
    return new Promise((resolve) => {
      this.#wake = () => resolve(clearTimeout(this.#timer));
      this.#timer = setTimeout(resolve, this.remaining());
      if (!isAwaited) this.#timer.unref?.();
    });
  }

  /** Keep Node from exiting during the pause. */
  hold() {
    this.#timer?.ref?.();
  }

  /** End the pause now. */
  end() {
    this.#until = 0;
    this.#wake();
  }
}

/** A hint in storage whether a session is likely, read before any request. Storage may be denied. */
class Hint {
  /** @param {string} key @param {Store} [store] */
  constructor(key, store) {
    this.key = key;
    this.store = () => store ?? globalThis.localStorage;
  }

  /** Return the hint, empty if nobody was signed in; without storage a session is possible. */
  read() {
    try {
      const store = this.store();
      return (store ? store.getItem(this.key) : SIGNED_IN) ?? "";
    } catch {
      return SIGNED_IN;
    }
  }

  /** Return whether nobody has signed in here before, as far as this can be known. */
  isEmpty() {
    try {
      return !this.store()?.getItem(this.key);
    } catch {
      return true;
    }
  }

  /** Return whether a session is likely. */
  isLikely() {
    return this.read().startsWith(SIGNED_IN);
  }

  /** Note that the cookie is missing. The session may still live: check at later visits, for a time. */
  miss() {
    const since = +this.read().slice(SIGNED_IN.length) || Date.now();
    this.write(this.isLikely() && Date.now() - since < MISSING_COOKIE_MS ? SIGNED_IN + since : null);
  }

  /** @param {string | null} value */
  write(value) {
    try {
      if (value) this.store()?.setItem(this.key, value);
      else this.store()?.removeItem(this.key);
    } catch {
      // Full or denied storage only costs a request at the next visit.
    }
  }
}

/** @type {Snapshot} */
const UNKNOWN = Object.freeze({ status: "unknown", sessionId: null, user: null, scope: "", reason: null });

/** The client of one tab, for the session of the browser's refresh cookie. */
class Auth {
  #address;
  #url;
  #name;
  #hint;
  /** @type {BroadcastChannel | undefined} */ #channel;
  /** @type {Grant | null} */ #grant = null;
  #snapshot = UNKNOWN;
  #epoch = 0; // increases when the user changes; responses of an earlier epoch are dropped
  #logouts = 0;
  /** @type {Set<string>} */ #ended = new Set();
  /** @type {Set<() => void>} */ #listeners = new Set();
  /** @type {PendingRefresh | null} */ #pending = null;
  /** @type {string | undefined} */ #attempt; // of the refresh that has no response yet
  /** @type {Promise<unknown>} */ #queue = Promise.resolve();
  #backoff = new Backoff(4_000); // after failures of the server
  #tokenBackoff = new Backoff(30_000); // after a 401 with a fresh token
  /** @type {(nothing?: undefined) => void} */ #onNews = () => {};

  /** @param {Options} options */
  constructor({ baseUrl = "", storage }) {
    this.#address = `${baseUrl}`;
    this.#url = parseBaseUrl(this.#address);
    this.#name = `itemsapi-auth:${this.#url?.href}`;
    this.#hint = new Hint(this.#name, storage);
    if (this.#url && globalThis.BroadcastChannel) {
      this.#channel = new BroadcastChannel(this.#name);
      this.#channel.onmessage = ({ data }) => this.#receive(data);
      /** @type {any} */ (this.#channel).unref?.(); // in Node: the process ends by itself
    }
    globalThis.addEventListener?.("pageshow", this.#onShow);
    globalThis.addEventListener?.("online", this.#onOnline);
  }

  /**
   * Resume the session; make no request if nobody was signed in. Reject if the server fails; the
   * client tries again in the background until it knows the status. With `force`, for a button,
   * ask now, whatever the hint in storage and Retry-After say.
   */
  restore = async ({ force = false } = {}) => {
    if (force) this.#backoff.end();
    const hint = this.#hint.read();
    if (hint === SIGNING_OUT) this.#enqueue(this.#signOut).catch(() => {});
    else if (this.#grant ? force && this.#pending : force || this.#hint.isLikely()) await this.#refresh();
    if (!this.#grant) this.#publish(this.#snapshot.status === "unknown" ? null : this.#snapshot.reason);
    return this.#snapshot;
  };

  /**
   * Sign in. The password is sent once and not stored. At the first sign-in in a browser, one
   * refresh shows whether it keeps the cookie; otherwise reject with the code `cookie_not_kept`.
   * @param {Credentials} credentials
   * @returns {Promise<Snapshot>}
   */
  login = (credentials) => {
    const logouts = this.#logouts;
    return this.#enqueue(async () => {
      const isCurrent = () => logouts === this.#logouts;
      const reply = await this.#request("auth/login", credentials, isCurrent);
      if (!reply || !isCurrent())
        throw new AuthError(0, SUPERSEDED);
      return this.#accept(reply);
    });
  };

  /**
   * Change the password. The session continues with new tokens, in all tabs; its older tokens are
   * revoked, and the user's other sessions end unless `endOtherSessions` is false. Without a
   * response (`network_error`), the password may have changed: the user signs in again.
   * @param {Passwords} passwords
   * @returns {Promise<Snapshot>}
   */
  changePassword = ({ currentPassword, newPassword, endOtherSessions }) => {
    let session = this.#grant?.session_id;
    const body = {
      current_password: currentPassword,
      new_password: newPassword,
      end_other_sessions: endOtherSessions,
    };
    return this.#enqueue(async () => {
      for (let first = true; ; first = false) {
        await this.getToken();
        // Without locks, no refresh of this tab with the old cookie may run at the same time.
        if (this.#pending) await this.#refresh().catch(() => {});
        this.#requireSession(session);
        const { access_token: token, session_id } = this.#grant ?? {};
        if (!token) throw new AuthError(401, { code: "token_missing", title: "You are signed out", detail: "Sign in again." });
        session = session_id;
        const isCurrent = () => this.#grant?.session_id === session;
        const bearer = () => ({ Authorization: `Bearer ${this.#token()}` });
        const reply = await this.#request("me/password", body, isCurrent, bearer);
        if (!reply) throw new AuthError(0, SESSION_CHANGED);
        if (!first || reply.data.code !== "invalid_token") return this.#accept(reply);
        if (this.#token() === token) await this.#refresh();
      }
    });
  };

  /**
   * Sign out, in every tab at once; `everywhere` ends the user's other sessions too. Reject if the
   * request to the server failed; the next `restore()` sends it again.
   */
  logout = async ({ everywhere = false } = {}) => {
    const failure = everywhere && (await this.#endOthers().catch((error) => error));
    this.#logouts += 1;
    this.#end(null, SIGNING_OUT);
    await this.#enqueue(this.#signOut);
    if (failure) throw failure;
  };

  /** Return a valid access token, or null if nobody is signed in. */
  getToken = async () => {
    if (this.#snapshot.status === "unknown") await this.restore();
    if (!this.#grant) return null;
    const { access_token, until, life } = this.#grant;
    const remaining = until - Date.now();
    if (remaining > Math.min(REFRESH_EARLY_MS, life / 4)) return access_token;
    const refreshed = this.#refresh();
    if (remaining <= 0) await refreshed;
    else refreshed.catch(() => {}); // the old token is valid until it expires
    return remaining > 0 ? access_token : this.#token();
  };

  /**
   * Like the global fetch, with the access token for URLs below baseUrl, and one retry after a 401.
   * A path is relative to baseUrl: "/items" is "https://host/api/items". Any other URL, of another
   * origin or beside baseUrl, is requested without the token. Without a response, whatever the URL,
   * reject with an `AuthError`; its `cause` is what fetch threw.
   * @param {RequestInfo | URL} input @param {RequestInit} [init] @returns {Promise<Response>}
   */
  fetch = async (input, init) => {
    const isRequest = typeof input === "object" && "url" in input;
    const url = isRequest ? new URL(input.url) : this.#resolve(`${input}`);
    const target = isRequest ? input : url;
    if (!url.href.startsWith(this.#base.href)) return this.#send(new Request(target, init), null);
    const request = new Request(target, { ...init, credentials: "omit" });
    const before = this.#grant?.session_id;
    const token = await abortable(this.getToken(), request.signal);
    this.#requireSession(before);
    const session = this.#grant?.session_id;
    const copy = token ? request.clone() : request;
    const response = await this.#send(request, token);
    if (response.status !== 401 || !token || this.#tokenBackoff.remaining()) return response;
    if (this.#grant?.access_token === token) await abortable(this.#refresh(), request.signal);
    // Never send the request of one user as another user.
    if (!this.#grant || this.#grant.session_id !== session) return response;
    response.body?.cancel();
    const retried = await this.#send(copy, this.#grant.access_token);
    if (retried.status === 401) this.#tokenBackoff.failed();
    else this.#tokenBackoff.succeeded();
    return retried;
  };

  /**
   * Call the listener after every change of the snapshot; return a function that removes it.
   * @param {() => void} listener @returns {() => void}
   */
  subscribe = (listener) => {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  };

  /** Return the state; the same object until it changes. */
  getSnapshot = () => this.#snapshot;

  /** Return the state that a server renders, `unknown`; for useSyncExternalStore. */
  getServerSnapshot = () => UNKNOWN;

  /** Close the channel, remove the listeners and stop retrying; for tests and hot reloading. */
  close = () => {
    this.#reset();
    this.#channel?.close();
    this.#listeners.clear();
    globalThis.removeEventListener?.("pageshow", this.#onShow);
    globalThis.removeEventListener?.("online", this.#onOnline);
  };

  get #base() {
    if (this.#url) return this.#url;
    throw new TypeError(
      `createAuth needs the address of the API here, { baseUrl: "https://api.example" }: there is no page that "${this.#address}" could be relative to`,
    );
  }

  /** Resolve a path below baseUrl, unless it has its path already (`Location`). @param {string} address */
  #resolve(address) {
    const { pathname } = this.#base;
    const isRelative = !/^\/(?!\/)/.test(address) || address.startsWith(pathname);
    return new URL(isRelative ? address : pathname + address.slice(1), this.#base);
  }

  /** @param {Reply} reply */
  #accept({ status, data, wait }) {
    if (status !== 200) throw new AuthError(status, data, wait / 1000);
    return this.#snapshot;
  }

  #token() {
    return this.#grant?.access_token ?? null;
  }

  /** @param {Request} request @param {string | null} token */
  #send(request, token) {
    if (token) request.headers.set("Authorization", `Bearer ${token}`);
    return fetch(request).catch((cause) => {
      throw request.signal.aborted ? cause : new AuthError(0, { ...NO_RESPONSE, cause });
    });
  }

  /** @param {string | undefined} session */
  #requireSession(session) {
    if (!session || !this.#grant || this.#grant.session_id === session) return;
    throw new AuthError(0, SESSION_CHANGED);
  }

  /**
   * Refresh, once at a time in this tab. A call that would wait too long rejects; the refresh
   * continues in the background, and the next call joins it.
   * @returns {Promise<void>}
   */
  #refresh() {
    const pause = this.#backoff.remaining();
    if (pause > MAX_CALL_WAIT_MS) return Promise.reject(new AuthError(0, BACKING_OFF, pause / 1000));
    if (!this.#pending || this.#pending.replaced !== this.#token()) this.#pending = this.#start();
    const { done, callers } = this.#pending;
    const end = performance.now() + MAX_CALL_WAIT_MS;
    this.#backoff.hold();
    return new Promise((resolve, reject) => {
      const caller = (/** @type {AuthError} */ error) => {
        if (performance.now() + error.retryAfter * 1000 <= end) return;
        callers.delete(caller);
        reject(error);
      };
      callers.add(caller);
      done.then(resolve, reject);
    });
  }

  #start() {
    const replaced = this.#token();
    /** @type {Set<Caller>} */ const callers = new Set();
    const done = this.#runRefresh(replaced, callers)
      .catch((error) => {
        this.#explain(error);
        throw error;
      })
      .finally(() => {
        if (this.#pending?.callers === callers) this.#pending = null;
      });
    return { replaced, done, callers };
  }

  /** Say in the snapshot why the status is still unknown. @param {AuthError} error */
  #explain(error) {
    if (this.#snapshot.status === "unknown") this.#publish(error.code ?? null, "unknown");
  }

  /** @param {string | null} replaced @param {Set<Caller>} callers */
  async #runRefresh(replaced, callers) {
    const epoch = this.#epoch;
    const isCurrent = () => epoch === this.#epoch && this.#token() === replaced; // no other tab has refreshed
    // Repeat the attempt id until a response arrives: the server then sends the same cookie again.
    const attempt = (this.#attempt ??= newAttempt());
    const key = () => ({ "Idempotency-Key": attempt });
    const ask = () => this.#request("auth/refresh", {}, isCurrent, key);
    const duration = this.#snapshot.status === "unknown" ? Infinity : REFRESH_RETRY_MS;
    const reply = await this.#retry(isCurrent, ask, this.#backoff, duration, callers);
    if (this.#attempt === attempt) this.#attempt = undefined;
    if (!reply || !isCurrent()) return;
    if (reply.data.code === "token_missing") {
      this.#hint.miss();
      this.#clear("token_missing");
    } else if (reply.status === 401) this.#end(reply.data.code ?? null, SIGNED_OUT);
    else if (reply.status !== 200) throw new AuthError(reply.status, reply.data);
  }

  /**
   * Call until the failure is not transient, outside any lock; return undefined if it is not current any
   * more. Throw at the first failure after `duration` ms. Without `callers`, also throw if the pause
   * would end later than that.
   * @param {() => boolean} isCurrent @param {() => Promise<Reply | undefined>} call
   * @param {Backoff} backoff @param {number} duration @param {Set<Caller>} [callers]
   */
  async #retry(isCurrent, call, backoff, duration, callers) {
    for (let end = 0; ; ) {
      if (backoff.remaining()) await backoff.wait(callers?.size !== 0);
      if (!isCurrent()) return;
      end ||= performance.now() + duration;
      const reply = await call();
      if (!reply) return;
      if (!isTransient(reply.status)) {
        backoff.succeeded();
        return reply;
      }
      backoff.failed(reply.wait);
      const pause = backoff.remaining();
      const error = new AuthError(reply.status, reply.data, pause / 1000);
      if (performance.now() + (callers ? 0 : pause) > end) throw error;
      if (callers) this.#explain(error);
      callers?.forEach((caller) => caller(error));
    }
  }

  /**
   * Request a grant under the lock, store it if it is still current, and broadcast it.
   * @param {"auth/login" | "auth/refresh" | "me/password"} path @param {object} body
   * @param {() => boolean} isCurrent checked again under the lock, before the request
   * @param {() => Record<string, string>} [headers]
   * @returns {Promise<Reply | undefined>}
   */
  async #request(path, body, isCurrent, headers) {
    const replaces = path === "auth/login";
    /** @type {Grant | undefined} */ let grant;
    const reply = await withLock(this.#name, async (contended) => {
      // Another tab had the lock: its broadcast may still arrive.
      if (contended && isCurrent())
        await Promise.race([sleep(BROADCAST_WAIT_MS), new Promise((resolve) => (this.#onNews = resolve))]);
      if (!isCurrent()) return;
      let response = await this.#post(path, body, headers?.());
      if (response.status === 200 && replaces && this.#hint.isEmpty())
        response = await this.#checkCookie(response);
      if (response.status === 200 && isCurrent()) {
        const { access_token, session_id, user = null, scope, expires_in } = response.data;
        const life = expires_in * 1000;
        grant = { access_token, session_id, user, scope, life, until: Date.now() + life };
        this.#channel?.postMessage({ grant, ended: replaces ? this.#grant?.session_id : undefined });
      }
      return response;
    });
    if (grant && isCurrent()) this.#store(grant, replaces);
    return reply;
  }

  /**
   * Return the reply of a refresh right after the sign-in, which shows that the browser keeps the
   * cookie; that of the sign-in, if this cannot be known now. Without a cookie the user would be
   * signed out in some minutes, so end the session and say why.
   * @param {Reply} signedIn @returns {Promise<Reply>}
   */
  async #checkCookie(signedIn) {
    // Without a response the next refresh repeats this one: the server then sends the same cookie.
    const attempt = (this.#attempt ??= newAttempt());
    const reply = await this.#post("auth/refresh", {}, { "Idempotency-Key": attempt });
    if (reply.status === 200 || reply.status === 401) this.#attempt = undefined;
    if (reply.status !== 401) return reply.status === 200 ? reply : signedIn;
    await this.#post("auth/logout", {}, { Authorization: `Bearer ${signedIn.data.access_token}` });
    const { host } = this.#base;
    const title = `The browser did not keep the cookie of ${host}`;
    const detail = "Allow cookies for it, and open the page with https (or http://localhost).";
    return { status: 0, data: { code: "cookie_not_kept", title, detail }, wait: 0 };
  }

  /**
   * @param {string} path @param {object} body @param {Record<string, string>} [extraHeaders]
   * @returns {Promise<Reply>}
   */
  async #post(path, body, extraHeaders) {
    const url = new URL(path, this.#base);
    try {
      const response = await fetch(url, {
        method: "POST",
        headers: { "Content-Type": "application/json", "X-Auth-Delivery": "cookie", ...extraHeaders },
        body: JSON.stringify(body),
        credentials: "include",
        redirect: "error",
        cache: "no-store",
        keepalive: true, // a reload during the request still receives the new cookie
        signal: AbortSignal.timeout?.(path === "auth/refresh" ? REFRESH_TIMEOUT_MS : CALL_TIMEOUT_MS),
      });
      const { ok, status } = response;
      const data = (await response.json().catch(() => null)) ?? {};
      // The page of a captive portal is not a response of the service.
      const isForeign = ok && status !== 204 && typeof data.access_token !== "string";
      return { status: isForeign ? 0 : status, data: isForeign ? {} : data, wait: retryAfterMs(response) };
    } catch (cause) {
      return { status: 0, data: { ...NO_RESPONSE, cause }, wait: 0 };
    }
  }

  /** Sign out on the server, without a lock, because the page may be closing. */
  #signOut = async () => {
    const call = () => this.#post("auth/logout", {});
    const reply = await this.#retry(() => true, call, new Backoff(4_000), MAX_CALL_WAIT_MS);
    const status = reply?.status ?? 0;
    if (status !== 204 && status !== 401) throw new AuthError(status, reply?.data);
    if (this.#hint.read() === SIGNING_OUT) this.#hint.write(SIGNED_OUT);
  };

  async #endOthers() {
    const response = await this.fetch(new URL("auth/sessions?except=current", this.#base), { method: "DELETE" });
    if (!response.ok) throw new AuthError(response.status, await response.json().catch(() => ({})));
  }

  /** Run logins, logouts and password changes one after another. @template T @param {() => Promise<T>} act */
  #enqueue(act) {
    const done = this.#queue.then(act, act);
    this.#queue = done.catch(() => {});
    return done;
  }

  /**
   * @param {{grant?: Grant, ended?: string | null, reason?: Code | null}} message `ended: null` ends
   *   any session
   */
  #receive({ grant, ended, reason = null }) {
    if (ended) this.#ended.add(ended);
    if (ended === null || (ended && ended === this.#grant?.session_id)) this.#clear(reason);
    if (grant) this.#store(grant, false);
    this.#onNews();
  }

  /** @param {Grant} grant @param {boolean} replaces whether the previous session has ended */
  #store(grant, replaces) {
    const before = this.#grant?.session_id;
    if (this.#ended.has(grant.session_id)) return before ? undefined : this.#clear(null);
    if (before !== grant.session_id) {
      if (before && replaces) this.#ended.add(before);
      this.#reset();
    }
    this.#grant = grant;
    this.#hint.write(SIGNED_IN);
    this.#publish(null);
  }

  /** End the session: clear it, remember that it ended, and broadcast it. */
  #end(/** @type {Code | null} */ reason, /** @type {string} */ hint) {
    const ended = this.#grant?.session_id ?? null;
    if (ended) this.#ended.add(ended);
    if (ended || hint === SIGNING_OUT) this.#channel?.postMessage({ ended, reason });
    this.#hint.write(hint);
    this.#clear(reason);
  }

  #clear(/** @type {Code | null} */ reason) {
    this.#reset();
    this.#grant = null;
    this.#publish(reason);
  }

  /** Drop all pending work, which belongs to the previous user. */
  #reset() {
    this.#epoch += 1;
    this.#pending = null;
  }

  /** @param {Code | null} reason @param {Status} [status] */
  #publish(reason, status = this.#grant ? "signed-in" : "signed-out") {
    const { session_id: sessionId = null, user = null, scope = "" } = this.#grant ?? {};
    const next = { status, sessionId, user, scope, reason };
    if (JSON.stringify(next) === JSON.stringify(this.#snapshot)) return;
    this.#snapshot = /** @type {Snapshot} */ (Object.freeze(next));
    for (const listener of this.#listeners) queueMicrotask(listener);
  }

  /** Catch up after the back-forward cache, in which broadcasts were missed. */
  #onShow = (/** @type {Event} */ event) => {
    const endedMeanwhile = /** @type {PageTransitionEvent} */ (event).persisted && !this.#hint.isLikely();
    if (endedMeanwhile && this.#grant) this.#clear(null);
  };

  #onOnline = () => this.#backoff.end();
}

/**
 * Create the client; make no request. `baseUrl` is the URL of the API with its path, or a path of the
 * page's origin ("/api"); by default the page's origin.
 * @param {Options} [options]
 */
export const createAuth = (options = {}) => new Auth(options);
