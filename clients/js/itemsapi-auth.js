/**
 * Sign in once, stay signed in, in every tab: the browser's side of itemsapi.
 *
 * The refresh token lives in an HttpOnly cookie that no script can read; the access token lives in
 * this module's memory and nowhere else. Tabs tell each other what they learn. Everything here is
 * an optimisation of what the server already gets right: without locks, channel or storage the
 * user still stays signed in.
 *
 * @typedef {{username: string, password: string, scope?: string, device?: string}} Credentials
 * @typedef {{currentPassword: string, newPassword: string, endOtherSessions?: boolean}} Passwords
 * @typedef {"unknown" | "signed-in" | "signed-out"} Status
 * @typedef {Readonly<{status: Status, sessionId: string | null, scope: string,
 *   reason: string | null}>} Snapshot `reason` is the problem code that ended the session.
 * @typedef {{code?: string, title?: string, detail?: string, request_id?: string,
 *   errors?: {field: string, message: string}[]}} Problem RFC 9457, as itemsapi answers it.
 * @typedef {Pick<Storage, "getItem" | "setItem" | "removeItem">} Store
 * @typedef {{access_token: string, session_id: string, scope: string,
 *   until: number, life: number}} Grant `until` is a Date.now(), `life` counts milliseconds.
 * @typedef {{status: number, data: any, wait: number}} Reply
 * @typedef {(error: AuthError) => void} Tell
 * @typedef {{worn: string | null, done: Promise<void>, callers: Set<Tell>}} Flight a refresh that
 *   replaces the token `worn`, and whom to tell of its failures
 */

const EARLY_MS = 30_000; // refresh this long before the end, or at the last quarter of the life
const LOCK_WAIT_MS = 5_000; // then go on without the lock
const NEWS_WAIT_MS = 50; // a broadcast may arrive after the lock it was sent under
const CALL_LIMIT_MS = 20_000;
// Less than half of the server's window of 20 s. The server never signs out an honest browser whose
// request and answer together take less than the window.
const REFRESH_LIMIT_MS = 9_000;
const REFRESH_TRIES_MS = 25_000; // begin new tries this long: longer than the window, so that a lost answer is recovered
const PATIENCE_MS = 10_000; // a caller who would wait longer than this is told of the failure
const LONGEST_PAUSE_MS = 60_000; // whatever Retry-After asks for
const PAUSE = { code: "backing_off", title: "The service asked to wait" };
const CHANGED = { code: "session_changed", title: "Signed in anew meanwhile" };

// The hint in localStorage: is there any point in asking the server? It is no secret.
const IN = "in";
const LEAVING = "leaving"; // signed out here, and the server may not know yet
const MISSED_MS = 14 * 24 * 3600_000; // hope this long for a lost cookie: an idle session ends then

/** A call of the sign-in endpoints that did not succeed; `status` is 0 when no answer came. */
export class AuthError extends Error {
  /** @param {number} status @param {Problem} [problem] @param {number} [retryAfter] seconds */
  constructor(status, problem = {}, retryAfter = 0) {
    super(problem.detail || problem.title || `No good answer (${status})`);
    this.name = "AuthError";
    this.status = status;
    this.code = problem.code || (status ? "http_error" : "network_error");
    this.problem = problem;
    this.retryAfter = retryAfter;
  }
}

/** @param {number} ms @returns {Promise<void>} */
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** 256 random bits in 23 to 95 characters; the prefix is there for the least length. */
const newAttempt = () => `attempt-${crypto.getRandomValues(new Uint32Array(8)).join("-")}`;

/** Says whether the same call may succeed later. @param {number} status */
const isPassing = (status) => status < 200 || status === 408 || status === 429 || status >= 500;

/** Milliseconds that Retry-After asks for, seconds or a date. @param {Response} response */
const askedWait = ({ headers }) => {
  const value = `${headers.get("Retry-After")}`;
  return Math.max(0, +value * 1000 || Date.parse(value) - Date.now() || 0);
};

/**
 * Settle as the promise does, or reject as soon as the signal says so.
 * @template T @param {Promise<T>} promise @param {AbortSignal} signal @returns {Promise<T>}
 */
const orAborted = (promise, signal) =>
  new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener("abort", abort);
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });

/**
 * Run one call under the lock of this name, or without it once the wait has been long enough.
 * The call must not reject. A lock that is granted too late is handed straight back.
 * @template T @param {string} name @param {(contended: boolean) => Promise<T>} call
 * @returns {Promise<T>}
 */
const underLock = (name, call) =>
  new Promise((resolve) => {
    let begun = false;
    /** @param {boolean} contended */
    const begin = (contended) => {
      if (begun) return;
      begun = true;
      clearTimeout(timer);
      const done = call(contended);
      resolve(done);
      return done;
    };
    const timer = setTimeout(begin, LOCK_WAIT_MS, true);
    const locks = globalThis.navigator?.locks;
    if (!locks) return void begin(false);
    const queue = () => void locks.request(name, () => begin(true)).catch(() => begin(true));
    locks
      .request(name, { ifAvailable: true }, (lock) => (lock ? begin(false) : queue()))
      .catch(() => begin(false));
  });

/** Exponential waits with jitter, as long as the server asks for (a minute at most). */
class Backoff {
  #failures = 0;
  #until = 0;

  /** @param {number} limit */
  constructor(limit) {
    this.limit = limit;
  }

  /** @param {number} [asked] */
  failed(asked = 0) {
    const wait = Math.min(this.limit, 500 * 2 ** this.#failures) * (0.5 + Math.random() / 2);
    this.#failures += 1;
    const pause = Math.max(wait, Math.min(asked, LONGEST_PAUSE_MS));
    this.#until = performance.now() + pause; // not Date: clocks are set back
  }

  succeeded() {
    this.#failures = this.#until = 0;
  }

  left() {
    return Math.max(0, this.#until - performance.now());
  }
}

/** The hint that tells guests from users before anything is asked; storage may be forbidden. */
class Hint {
  /** @param {string} key @param {Store} [store] */
  constructor(key, store) {
    this.key = key;
    this.store = () => store ?? globalThis.localStorage;
  }

  /** Empty for a guest; where there is no storage nobody can know, so ask. */
  read() {
    try {
      const store = this.store();
      return (store ? store.getItem(this.key) : IN) ?? "";
    } catch {
      return IN;
    }
  }

  /** Is there reason to believe in a session? */
  isIn() {
    return this.read().startsWith(IN);
  }

  /** No cookie came. That is no word about the session: ask again at later visits, for some time. */
  miss() {
    const since = +this.read().slice(IN.length) || Date.now();
    this.write(this.isIn() && Date.now() - since < MISSED_MS ? IN + since : null);
  }

  /** @param {string | null} value */
  write(value) {
    try {
      if (value) this.store()?.setItem(this.key, value);
      else this.store()?.removeItem(this.key);
    } catch {
      // Full or forbidden storage costs a request at the next visit, nothing more.
    }
  }
}

/** One tab's view of the session that the browser's cookie stands for. */
class Auth {
  #base;
  #name;
  #hint;
  /** @type {BroadcastChannel | undefined} */ #channel;
  /** @type {Grant | null} */ #grant = null;
  /** @type {Snapshot} */ #snapshot = { status: "unknown", sessionId: null, scope: "", reason: null };
  #epoch = 0; // rises whenever the user changes; an answer from an earlier epoch is dropped
  #exits = 0;
  /** @type {Set<string>} */ #dead = new Set();
  /** @type {Set<() => void>} */ #listeners = new Set();
  /** @type {Flight | null} */ #flight = null;
  /** @type {string | undefined} */ #attempt; // of the refresh that no answer has settled yet
  /** @type {Promise<unknown>} */ #turn = Promise.resolve();
  #retry = new Backoff(4_000); // the server does not answer
  #refused = new Backoff(30_000); // it refuses even fresh tokens
  /** @type {(nothing?: undefined) => void} */ #heard = () => {};

  /** @param {{baseUrl?: string | URL, storage?: Store}} options */
  constructor({ baseUrl = globalThis.location?.origin, storage }) {
    this.#base = new URL(baseUrl);
    this.#base.search = this.#base.hash = "";
    if (!this.#base.pathname.endsWith("/")) this.#base.pathname += "/";
    this.#name = `itemsapi-auth:${this.#base.href}`;
    this.#hint = new Hint(this.#name, storage);
    if (globalThis.BroadcastChannel) {
      this.#channel = new BroadcastChannel(this.#name);
      this.#channel.onmessage = ({ data }) => this.#hear(data);
    }
    globalThis.addEventListener?.("pageshow", this.#thaw);
  }

  /** Find out who is signed in; a guest causes no request. Rejects when the server is away. */
  restore = async ({ force = false } = {}) => {
    const hint = this.#hint.read();
    if (hint === LEAVING) this.#inTurn(this.#leave).catch(() => {});
    else if (!this.#grant && (force || this.#hint.isIn())) await this.#refresh();
    if (!this.#grant) this.#settle(this.#snapshot.reason);
    return this.#snapshot;
  };

  /**
   * Start a session. The password is sent once and never kept.
   * @param {Credentials} credentials
   * @returns {Promise<Snapshot>}
   */
  login = (credentials) => {
    const exits = this.#exits;
    return this.#inTurn(async () => {
      const wanted = () => exits === this.#exits;
      const reply = await this.#obtain("auth/login", credentials, wanted);
      if (!reply || !wanted())
        throw new AuthError(0, { code: "superseded", title: "Signed out meanwhile" });
      return this.#accept(reply);
    });
  };

  /**
   * Set another password. The session goes on with new tokens, in all tabs; every older token of it
   * is revoked, and the user's other sessions end unless `endOtherSessions` is false. If no answer
   * comes (`network_error`), the password may have been changed: the user signs in again.
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
    return this.#inTurn(async () => {
      for (let again = true; ; again = false) {
        await this.getToken();
        // Without locks, our own refresh with the cookie of before must not be under way.
        if (this.#flight) await this.#refresh().catch(() => {});
        this.#sameUser(session);
        const { access_token: token, session_id } = this.#grant ?? {};
        if (!token) throw new AuthError(401, { code: "token_missing", title: "Signed out" });
        session = session_id;
        const wanted = () => this.#grant?.session_id === session;
        const bearer = () => ({ Authorization: `Bearer ${this.#token()}` });
        const reply = await this.#obtain("me/password", body, wanted, bearer);
        if (!reply) throw new AuthError(0, CHANGED);
        if (!again || reply.data.code !== "invalid_token") return this.#accept(reply);
        if (this.#token() === token) await this.#refresh();
      }
    });
  };

  /**
   * End the session, here and in every tab at once; `everywhere` ends the user's other ones too.
   * Rejects when the server could not be told, which the next `restore()` then tries again.
   */
  logout = async ({ everywhere = false } = {}) => {
    const failure = everywhere && (await this.#endOthers().catch((error) => error));
    this.#exits += 1;
    this.#end(null, LEAVING);
    await this.#inTurn(this.#leave);
    if (failure) throw failure;
  };

  /** An access token that is good now, or null for a guest. */
  getToken = async () => {
    if (this.#snapshot.status === "unknown") await this.restore();
    if (!this.#grant) return null;
    const { access_token, until, life } = this.#grant;
    const left = until - Date.now();
    if (left > Math.min(EARLY_MS, life / 4)) return access_token;
    const refreshed = this.#refresh();
    if (left <= 0) await refreshed;
    else refreshed.catch(() => {}); // the old token does until its end
    return left > 0 ? access_token : this.#token();
  };

  /**
   * As the platform's fetch, with the access token for addresses under baseUrl, and one replay
   * after a 401. A path is taken below baseUrl: "/items" is "https://host/api/items".
   * @param {RequestInfo | URL} input @param {RequestInit} [init] @returns {Promise<Response>}
   */
  fetch = async (input, init) => {
    const whole = typeof input === "object" && "url" in input;
    const url = whole ? new URL(input.url) : this.#address(`${input}`);
    if (!url.href.startsWith(this.#base.href)) return fetch(whole ? input : url, init);
    const request = new Request(whole ? input : url, { ...init, credentials: "omit" });
    const before = this.#grant?.session_id;
    const token = await orAborted(this.getToken(), request.signal);
    this.#sameUser(before);
    const session = this.#grant?.session_id;
    const spare = token ? request.clone() : request;
    const answer = await this.#send(request, token);
    if (answer.status !== 401 || !token || this.#refused.left()) return answer;
    if (this.#grant?.access_token === token) await orAborted(this.#refresh(), request.signal);
    // Another user's session must not carry out what this one asked for.
    if (!this.#grant || this.#grant.session_id !== session) return answer;
    answer.body?.cancel();
    const second = await this.#send(spare, this.#grant.access_token);
    if (second.status === 401) this.#refused.failed();
    else this.#refused.succeeded();
    return second;
  };

  /**
   * Call back after every change of the snapshot; the answer takes the listener off again.
   * @param {() => void} listener @returns {() => void}
   */
  subscribe = (listener) => {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  };

  /** The same object until something changes. */
  getSnapshot = () => this.#snapshot;

  /** Let go of channel and listeners, and try nothing again; for tests and hot reloading. */
  close = () => {
    this.#advance();
    this.#channel?.close();
    this.#listeners.clear();
    globalThis.removeEventListener?.("pageshow", this.#thaw);
  };

  /** A path is one below baseUrl, unless it is already, as in `Location`. @param {string} address */
  #address(address) {
    const { pathname } = this.#base;
    const below = !/^\/(?!\/)/.test(address) || address.startsWith(pathname);
    return new URL(below ? address : pathname + address.slice(1), this.#base);
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
    return fetch(request);
  }

  /** @param {string | undefined} session */
  #sameUser(session) {
    if (!session || !this.#grant || this.#grant.session_id === session) return;
    throw new AuthError(0, CHANGED);
  }

  /**
   * One refresh in flight in this tab, whoever asks. A caller who would wait too long is told of the
   * failure; the refresh goes on trying, and the next caller joins it.
   * @returns {Promise<void>}
   */
  #refresh() {
    const pause = this.#retry.left();
    if (pause > PATIENCE_MS) return Promise.reject(new AuthError(0, PAUSE, pause / 1000));
    if (!this.#flight || this.#flight.worn !== this.#token()) this.#flight = this.#takeOff();
    const { done, callers } = this.#flight;
    const end = performance.now() + PATIENCE_MS;
    return new Promise((resolve, reject) => {
      callers.add((error) => performance.now() + error.retryAfter * 1000 > end && reject(error));
      done.then(resolve, reject);
    });
  }

  #takeOff() {
    const worn = this.#token();
    /** @type {Set<Tell>} */ const callers = new Set();
    const tell = (/** @type {AuthError} */ error) => callers.forEach((told) => told(error));
    const done = this.#refreshPatiently(worn, tell).finally(() => {
      if (this.#flight?.callers === callers) this.#flight = null;
    });
    return { worn, done, callers };
  }

  /** @param {string | null} worn @param {Tell} tell */
  async #refreshPatiently(worn, tell) {
    const epoch = this.#epoch;
    const wanted = () => epoch === this.#epoch && this.#token() === worn; // no other tab has done it
    // The same attempt until an answer settles it: the server then gives the same cookie again.
    const attempt = (this.#attempt ??= newAttempt());
    const key = () => ({ "Idempotency-Key": attempt });
    const ask = () => this.#obtain("auth/refresh", {}, wanted, key);
    const reply = await this.#patiently(wanted, ask, this.#retry, REFRESH_TRIES_MS, tell);
    if (this.#attempt === attempt) this.#attempt = undefined;
    if (!reply || !wanted()) return;
    if (reply.data.code === "token_missing") {
      this.#hint.miss();
      this.#drop("token_missing");
    } else if (reply.status === 401) this.#end(reply.data.code ?? null, null);
    else if (reply.status !== 200) throw new AuthError(reply.status, reply.data);
  }

  /**
   * Try until the answer is no passing failure, outside any lock; undefined if no longer wanted.
   * Give up at the first failure after `lasting` ms. Without `tell`, also give up if the pause that
   * was asked for would end later than that.
   * @param {() => boolean} wanted @param {() => Promise<Reply | undefined>} call
   * @param {Backoff} backoff @param {number} lasting @param {Tell} [tell]
   */
  async #patiently(wanted, call, backoff, lasting, tell) {
    for (let end = 0; ; ) {
      const wait = backoff.left();
      if (wait) await sleep(wait);
      if (!wanted()) return;
      end ||= performance.now() + lasting;
      const reply = await call();
      if (!reply) return;
      if (!isPassing(reply.status)) {
        backoff.succeeded();
        return reply;
      }
      backoff.failed(reply.wait);
      const pause = backoff.left();
      const error = new AuthError(reply.status, reply.data, pause / 1000);
      if (performance.now() + (tell ? 0 : pause) > end) throw error;
      tell?.(error);
    }
  }

  /**
   * Get a grant by one call under the lock, keep it if it is still wanted, and tell the others.
   * @param {"auth/login" | "auth/refresh" | "me/password"} path @param {object} body
   * @param {() => boolean} wanted if it is not when the lock is granted, nothing is asked
   * @param {() => Record<string, string>} [headers]
   * @returns {Promise<Reply | undefined>}
   */
  async #obtain(path, body, wanted, headers) {
    const replaces = path === "auth/login";
    /** @type {Grant | undefined} */ let grant;
    const reply = await underLock(this.#name, async (contended) => {
      // Another tab held the lock: what it says about the token may be on its way.
      if (contended && wanted())
        await Promise.race([sleep(NEWS_WAIT_MS), new Promise((resolve) => (this.#heard = resolve))]);
      if (!wanted()) return;
      const fresh = await this.#post(path, body, headers?.());
      if (fresh.status === 200 && wanted()) {
        const { access_token, session_id, scope, expires_in } = fresh.data;
        const life = expires_in * 1000;
        grant = { access_token, session_id, scope, life, until: Date.now() + life };
        this.#channel?.postMessage({ grant, ended: replaces ? this.#grant?.session_id : undefined });
      }
      return fresh;
    });
    if (grant && wanted()) this.#keep(grant, replaces);
    return reply;
  }

  /**
   * @param {string} path @param {object} body @param {Record<string, string>} [more] headers
   * @returns {Promise<Reply>}
   */
  async #post(path, body, more) {
    try {
      const response = await fetch(new URL(path, this.#base), {
        method: "POST",
        headers: { "Content-Type": "application/json", "X-Auth-Delivery": "cookie", ...more },
        body: JSON.stringify(body),
        credentials: "include",
        redirect: "error",
        cache: "no-store",
        keepalive: true, // a reload in the middle still receives the new cookie
        signal: AbortSignal.timeout?.(path === "auth/refresh" ? REFRESH_LIMIT_MS : CALL_LIMIT_MS),
      });
      const { ok, status } = response;
      const data = (await response.json().catch(() => null)) ?? {};
      // A page of a captive portal is no answer of ours.
      const odd = ok && status !== 204 && typeof data.access_token !== "string";
      return { status: odd ? 0 : status, data, wait: askedWait(response) };
    } catch (error) {
      return { status: 0, data: { title: String(error) }, wait: 0 };
    }
  }

  /** Tell the server that the user has left. It takes no lock: the page may be about to close. */
  #leave = async () => {
    const call = () => this.#post("auth/logout", {});
    const reply = await this.#patiently(() => true, call, new Backoff(4_000), PATIENCE_MS);
    const status = reply?.status ?? 0;
    if (status !== 204 && status !== 401) throw new AuthError(status, reply?.data);
    if (this.#hint.read() === LEAVING) this.#hint.write(null);
  };

  async #endOthers() {
    const answer = await this.fetch(new URL("auth/sessions?except=current", this.#base), { method: "DELETE" });
    if (!answer.ok) throw new AuthError(answer.status, await answer.json().catch(() => ({})));
  }

  /** Logins, logouts and changes of a password follow each other. @template T @param {() => Promise<T>} act */
  #inTurn(act) {
    const done = this.#turn.then(act, act);
    this.#turn = done.catch(() => {});
    return done;
  }

  /** @param {{grant?: Grant, ended?: string | null}} news `ended: null` is whoever it was */
  #hear({ grant, ended }) {
    if (ended) this.#dead.add(ended);
    if (ended === null || (ended && ended === this.#grant?.session_id)) this.#drop(null);
    if (grant) this.#keep(grant, false);
    this.#heard();
  }

  /** @param {Grant} grant @param {boolean} replaces whether the session before it is over */
  #keep(grant, replaces) {
    const before = this.#grant?.session_id;
    if (this.#dead.has(grant.session_id)) return before ? undefined : this.#drop(null);
    if (before !== grant.session_id) {
      if (before && replaces) this.#dead.add(before);
      this.#advance();
    }
    this.#grant = grant;
    this.#hint.write(IN);
    this.#settle(null);
  }

  /** The session is over: forget it, remember that it is dead, tell the others. */
  #end(/** @type {string | null} */ reason, /** @type {string | null} */ hint) {
    const ended = this.#grant?.session_id ?? null;
    if (ended) this.#dead.add(ended);
    if (ended || hint) this.#channel?.postMessage({ ended });
    this.#hint.write(hint);
    this.#drop(reason);
  }

  #drop(/** @type {string | null} */ reason) {
    this.#advance();
    this.#grant = null;
    this.#settle(reason);
  }

  /** Whatever is under way belongs to the user before. */
  #advance() {
    this.#epoch += 1;
    this.#flight = null;
  }

  #settle(/** @type {string | null} */ reason) {
    const { session_id: sessionId = null, scope = "" } = this.#grant ?? {};
    const status = this.#grant ? "signed-in" : "signed-out";
    const next = { status, sessionId, scope, reason };
    if (JSON.stringify(next) === JSON.stringify(this.#snapshot)) return;
    this.#snapshot = /** @type {Snapshot} */ (Object.freeze(next));
    for (const listener of this.#listeners) queueMicrotask(listener);
  }

  /** Back from the back-forward cache: messages sent meanwhile were missed. */
  #thaw = (/** @type {Event} */ event) => {
    const gone = /** @type {PageTransitionEvent} */ (event).persisted && !this.#hint.isIn();
    if (gone && this.#grant) this.#drop(null);
  };
}

/**
 * The only thing to call. `baseUrl` is where the API is, its path included, by default the page's own origin.
 * @param {{baseUrl?: string | URL, storage?: Store}} [options]
 */
export const createAuth = (options = {}) => new Auth(options);
