/**
 * What a browser has and Node lacks: a cookie jar that all tabs share, storage, locks.
 *
 * These replace the platform around the client; nothing of the client itself is replaced.
 */
import { createAuth } from "../itemsapi-auth.js";
import { Service } from "./server.js";

const platform = { fetch: globalThis.fetch, setTimeout: globalThis.setTimeout };

/** One cookie, in memory that worker threads can share. */
export class Jar {
  constructor(buffer = new SharedArrayBuffer(256)) {
    this.buffer = buffer;
    this.bytes = new Uint8Array(buffer);
  }

  get cookie() {
    return Buffer.from(this.bytes.slice(1, 1 + this.bytes[0])).toString();
  }

  set cookie(text) {
    this.bytes.set(Buffer.from(text), 1);
    this.bytes[0] = text.length;
  }
}

/** Make a fetch that sends and stores cookies only if `credentials` is "include". */
export const fetchWith = (jar, log = []) => async (input, init) => {
  const request = new Request(input, init);
  const { url, credentials, redirect, keepalive } = request;
  log.push({ url, credentials, redirect, keepalive });
  if (request.credentials !== "include") return platform.fetch(request);
  if (jar.cookie) request.headers.set("Cookie", jar.cookie);
  const response = await platform.fetch(request);
  for (const line of response.headers.getSetCookie())
    jar.cookie = line.includes("Max-Age=0") ? "" : line.split(";")[0];
  return response;
};

/** localStorage of a browser where somebody signed in before, unless `used` is false. */
export class Storage {
  items = new Map();
  used = true;
  getItem = (key) => this.items.get(key) ?? (this.used ? "out" : null);
  setItem = (key, value) => void this.items.set(key, value);
  removeItem = (key) => void this.items.delete(key);
}

/** The part of the Web Locks API that the client uses: one name, ifAvailable, a queue. */
export class Locks {
  taken = false;
  granted = 0;
  #queue = [];

  get waiting() {
    return this.#queue.length;
  }

  async request(name, options, callback = options) {
    if (this.taken && options.ifAvailable) return callback(null);
    if (this.taken) await new Promise((resolve) => this.#queue.push(resolve));
    this.taken = true;
    this.granted += 1;
    try {
      return await callback({ name });
    } finally {
      this.taken = false;
      this.#queue.shift()?.();
    }
  }
}

/** The same lock for tabs in several threads: an integer in shared memory, 1 when taken. */
export class ThreadLocks {
  constructor(buffer = new SharedArrayBuffer(4)) {
    this.buffer = buffer;
    this.word = new Int32Array(buffer);
  }

  async request(name, options, callback = options) {
    while (Atomics.compareExchange(this.word, 0, 0, 1) === 1) {
      if (options.ifAvailable) return callback(null);
      await Atomics.waitAsync(this.word, 0, 1, 1_000).value;
    }
    try {
      return await callback({ name });
    } finally {
      Atomics.store(this.word, 0, 0);
      Atomics.notify(this.word, 0, 1);
    }
  }
}

export const setLocks = (locks) =>
  Object.defineProperty(globalThis, "navigator", { value: { locks }, configurable: true });

/** Start a service, and a browser with its cookies, for one test. */
export const open = async (t, { locks = new Locks() } = {}) => {
  const service = await new Service().start();
  const world = { service, jar: new Jar(), log: [], storage: new Storage(), locks, tabs: [] };
  t.mock.method(globalThis, "fetch", fetchWith(world.jar, world.log));
  setLocks(locks);
  world.tab = (baseUrl = service.url) => {
    const auth = createAuth({ baseUrl, storage: world.storage });
    world.tabs.push(auth);
    return auth;
  };
  t.after(() => {
    for (const auth of world.tabs) auth.close();
    service.stop();
  });
  return world;
};

export const ANNA = { username: "anna", password: "right" };

/** Like `open`, with one tab where anna is signed in. */
export const signedIn = async (t, options) => {
  const world = await open(t, options);
  const auth = world.tab();
  await auth.login(ANNA);
  return { ...world, auth };
};

/**
 * Refresh as a page of another origin, which shares the cookie but neither lock nor channel.
 * The response has not arrived yet: `arrive()` puts the new cookie into the jar.
 */
export const refreshElsewhere = async ({ service, jar }, cookie = jar.cookie) => {
  const headers = { "Content-Type": "application/json", "X-Auth-Delivery": "cookie", Cookie: cookie };
  const init = { method: "POST", headers, body: "{}" };
  const response = await platform.fetch(`${service.url}/auth/refresh`, init);
  const made = response.headers.getSetCookie()[0];
  return { status: response.status, cookie: made, arrive: () => (jar.cookie = made) };
};

/** Move the clock of the client; the service decides itself which tokens are valid. */
export const passTime = (t, ms) => {
  const now = Date.now;
  t.mock.method(Date, "now", () => now() + ms);
};

/**
 * Divide every wait by `times`; return the list of the client's original waits.
 * `performance.now()` advances by these waits only, so that a slow machine changes nothing. A
 * response has a minute to arrive, unless a test waits for one that never does.
 */
export const hurry = (t, { times = 100, responseTimeout = 60_000 } = {}) => {
  const waits = [];
  const { timeout } = AbortSignal;
  let now = Math.round(performance.now()); // an integer, so that sums and differences are exact
  t.mock.method(performance, "now", () => now);
  t.mock.method(AbortSignal, "timeout", () => timeout.call(AbortSignal, responseTimeout));
  t.mock.method(globalThis, "setTimeout", (act, ms, ...rest) => {
    const ours = new Error().stack.includes("itemsapi-auth.js"); // not Node's own
    if (ours) waits.push(ms);
    const end = ours ? now + ms : 0;
    const wake = (...args) => (now = Math.max(now, end), act(...args));
    return platform.setTimeout(wake, ms / times, ...rest);
  });
  return waits;
};

/** Wait until the condition holds: messages between tabs take a moment. */
export const eventually = async (condition, pause = 5) => {
  for (let checks = 0; checks < 200; checks += 1) {
    if (await condition()) return true;
    await new Promise((resolve) => platform.setTimeout(resolve, pause));
  }
  return false;
};
