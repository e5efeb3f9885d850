import assert from "node:assert/strict";
import { test } from "node:test";
import { createAuth } from "../itemsapi-auth.js";
import { ANNA, hurry, open, passTime, signedIn } from "./browser.js";

test("restore without a session makes no request", async (t) => {
  const { service, tab } = await open(t);
  const auth = tab();
  assert.equal((await auth.restore()).status, "signed-out");
  assert.equal(await auth.getToken(), null);
  assert.equal(service.calls.length, 0);
});

test("restore with force makes a request", async (t) => {
  const { service, tab } = await open(t);
  assert.equal((await tab().restore({ force: true })).status, "signed-out");
  assert.equal(service.count("/auth/refresh"), 1);
});

test("the status is unknown before any call", async (t) => {
  const { tab } = await open(t);
  assert.equal(tab().getSnapshot().status, "unknown");
});

test("login sends JSON, the delivery header and credentials, and forbids redirects", async (t) => {
  const { service, log, auth } = await signedIn(t);
  const { headers, body } = service.last("/auth/login");
  assert.equal(headers["content-type"], "application/json");
  assert.equal(headers["x-auth-delivery"], "cookie");
  assert.deepEqual(JSON.parse(body), ANNA);
  assert.deepEqual(log[0], {
    url: `${service.url}/auth/login`,
    credentials: "include",
    redirect: "error",
    keepalive: true,
  });
  assert.equal(auth.getSnapshot().status, "signed-in");
});

test("the snapshot names session, user and scope, and no token", async (t) => {
  const { auth } = await signedIn(t);
  assert.deepEqual(auth.getSnapshot(), {
    status: "signed-in",
    sessionId: "s1",
    user: { id: "id of anna", username: "anna" },
    scope: "items:read items:write",
    reason: null,
  });
});

test("a wrong password rejects with status, code, title and detail", async (t) => {
  const { tab } = await open(t);
  const auth = tab();
  await assert.rejects(auth.login({ ...ANNA, password: "wrong" }), {
    name: "AuthError",
    status: 401,
    code: "invalid_credentials",
    message: "Title of invalid_credentials. Detail of invalid_credentials. (invalid_credentials)",
  });
  assert.notEqual(auth.getSnapshot().status, "signed-in");
});

test("a login without a response says what is wrong and what to do next", async (t) => {
  const { service, tab } = await open(t);
  service.fail("/auth/login", { cut: "before" });
  await assert.rejects(tab().login(ANNA), {
    message: "The service did not answer. Check the connection, and try again. (network_error)",
  });
});

test("a response that is no problem is named by its status", async (t) => {
  const { service, tab } = await open(t);
  service.fail("/auth/login", { status: 502, body: "<h1>Bad gateway</h1>" });
  await assert.rejects(tab().login(ANNA), {
    message: "The service answered with the status 502. Try again later, or tell the operator. (http_error)",
  });
});

test("nothing of a captive portal is shown as words of the service", async (t) => {
  const { service, tab } = await open(t);
  service.fail("/auth/login", { status: 200, body: '{"title": "Pay here", "code": "portal"}' });
  await assert.rejects(tab().login(ANNA), { code: "network_error", message: /^The service did not/ });
});

test("a 429 at login rejects with retryAfter", async (t) => {
  const { service, tab } = await open(t);
  service.fail("/auth/login", { status: 429, headers: { "Retry-After": "7" }, body: "{}" });
  await assert.rejects(tab().login(ANNA), { status: 429, retryAfter: 7 });
});

test("a failed login keeps the existing session", async (t) => {
  const { auth } = await signedIn(t);
  await assert.rejects(auth.login({ ...ANNA, password: "wrong" }));
  assert.equal(auth.getSnapshot().sessionId, "s1");
  assert.equal(await auth.getToken(), "at.s1.0");
});

test("a reload restores the session with one refresh", async (t) => {
  const { service, tab } = await signedIn(t);
  const reloaded = tab();
  assert.equal((await reloaded.restore()).sessionId, "s1");
  assert.equal(service.count("/auth/refresh"), 1);
  assert.equal(service.last("/auth/refresh").body, "{}");
});

test("getToken restores by itself", async (t) => {
  const { tab } = await signedIn(t);
  assert.equal(await tab().getToken(), "at.s1.1");
});

test("only a hint is stored, and no secret", async (t) => {
  const { storage } = await signedIn(t);
  assert.deepEqual([...storage.items.values()], ["in"]);
});

test("it works where storage is denied", async (t) => {
  const { service, tabs } = await signedIn(t);
  const refuse = () => {
    throw new DOMException("no", "SecurityError");
  };
  const storage = { getItem: refuse, setItem: refuse, removeItem: refuse };
  tabs.push(createAuth({ baseUrl: service.url, storage }));
  assert.equal((await tabs.at(-1).restore()).status, "signed-in");
});

test("logout ends the session and its hint", async (t) => {
  const { service, storage, auth } = await signedIn(t);
  await auth.logout();
  assert.equal(auth.getSnapshot().status, "signed-out");
  assert.equal(service.sessions.get("s1").live, false);
  assert.deepEqual([...storage.items.values()], ["out"]);
  assert.equal(await auth.getToken(), null);
});

test("logout signs out before the server responds", async (t) => {
  const { service, auth } = await signedIn(t);
  const delayed = service.delay("/auth/logout");
  const done = auth.logout();
  await delayed.arrived;
  assert.equal(auth.getSnapshot().status, "signed-out");
  delayed.release();
  await done;
});

test("logout everywhere ends the other sessions first", async (t) => {
  const { service, auth } = await signedIn(t);
  await auth.logout({ everywhere: true });
  const [others, own] = service.calls.slice(-2);
  assert.equal(`${others.method} ${others.url}`, "DELETE /auth/sessions?except=current");
  assert.equal(others.headers.authorization, "Bearer at.s1.0");
  assert.equal(others.headers.cookie, undefined);
  assert.equal(own.path, "/auth/logout");
});

test("logout everywhere signs out here even if the others could not be ended", async (t) => {
  const { service, auth } = await signedIn(t);
  service.fail("/auth/sessions", { status: 503 });
  await assert.rejects(auth.logout({ everywhere: true }), { status: 503 });
  assert.equal(auth.getSnapshot().status, "signed-out");
  assert.equal(service.count("/auth/logout"), 1);
});

test("a login response after a logout is not kept, and its session is ended", async (t) => {
  const { service, tab } = await open(t);
  const auth = tab();
  const delayed = service.delay("/auth/login");
  const login = auth.login(ANNA);
  await delayed.arrived;
  const logout = auth.logout();
  delayed.release();
  await assert.rejects(login, { code: "superseded" });
  await logout;
  assert.equal(auth.getSnapshot().status, "signed-out");
  assert.equal(service.sessions.get("s1").live, false);
});

test("a second login replaces the first", async (t) => {
  const { auth } = await signedIn(t);
  await auth.login({ ...ANNA, username: "bea" });
  assert.equal((await (await auth.fetch("/items")).json()).user, "bea");
});

test("the snapshot is the same object until something changes", async (t) => {
  const { service, auth } = await signedIn(t);
  const before = auth.getSnapshot();
  service.expireTokens();
  await auth.fetch("/items");
  assert.equal(service.count("/auth/refresh"), 1);
  assert.equal(auth.getSnapshot(), before);
});

test("a server renders the status unknown, whatever this client knows", async (t) => {
  const { auth } = await signedIn(t);
  assert.equal(auth.getServerSnapshot().status, "unknown");
  assert.equal(auth.getServerSnapshot(), auth.getServerSnapshot());
});

test("subscribers hear of each change, until they unsubscribe", async (t) => {
  const { tab } = await open(t);
  const auth = tab();
  const heard = [];
  const { subscribe, getSnapshot } = auth; // React calls them unbound
  const unsubscribe = subscribe(() => heard.push(getSnapshot().status));
  await auth.login(ANNA);
  await auth.logout();
  unsubscribe();
  await auth.login(ANNA);
  assert.deepEqual(heard, ["signed-in", "signed-out"]);
});

test("a page from the back-forward cache notices a logout", async (t) => {
  const listeners = new Map();
  globalThis.addEventListener = (name, act) => listeners.set(name, act);
  globalThis.removeEventListener = () => {};
  t.after(() => (delete globalThis.addEventListener, delete globalThis.removeEventListener));
  const { storage, auth } = await signedIn(t);
  storage.items.clear();
  listeners.get("pageshow")({ persisted: true });
  assert.equal(auth.getSnapshot().status, "signed-out");
});

test("nothing runs without a call", async (t) => {
  const { tab } = await open(t);
  const timers = t.mock.method(globalThis, "setInterval");
  const waits = hurry(t);
  const auth = tab();
  await auth.login(ANNA);
  await auth.fetch("/items");
  assert.equal(timers.mock.callCount(), 0);
  assert.deepEqual(waits, [5_000]); // the lock's bound at login, cleared when it was granted
});

const DAY = 24 * 60 * 60_000;

/** Open a tab whose cookie is missing; `back` restores it. */
const missed = async (t) => {
  const world = await signedIn(t);
  const { jar, service, auth } = world;
  const { cookie } = jar;
  jar.cookie = "";
  service.expireTokens();
  await auth.fetch("/items");
  return { ...world, back: () => (jar.cookie = cookie) };
};

test("a cookie that does not arrive signs out and says why", async (t) => {
  const { auth } = await missed(t);
  const { status, reason } = auth.getSnapshot();
  assert.deepEqual([status, reason], ["signed-out", "token_missing"]);
});

test("a session continues when its missing cookie arrives", async (t) => {
  const { auth, back, tab } = await missed(t);
  back();
  assert.equal((await auth.restore()).status, "signed-in");
  assert.equal((await tab().restore()).status, "signed-in");
  assert.equal((await auth.fetch("/items")).status, 200);
});

test("other tabs are not signed out by a missing cookie", async (t) => {
  const { service, tab, auth, jar } = await signedIn(t);
  const other = tab();
  await other.restore();
  const { cookie } = jar;
  jar.cookie = "";
  service.expireTokens();
  await auth.fetch("/items");
  jar.cookie = cookie;
  const seen = [];
  other.subscribe(() => seen.push(other.getSnapshot().status));
  assert.equal((await other.fetch("/items")).status, 200);
  assert.deepEqual(seen, []);
});

test("each visit checks once for a missing cookie", async (t) => {
  const { service, tab } = await missed(t);
  for (const asked of [2, 3]) {
    const auth = tab();
    await auth.restore();
    assert.equal(await auth.getToken(), null);
    assert.equal((await auth.fetch("/items")).status, 401);
    assert.equal(service.count("/auth/refresh"), asked);
  }
});

test("after two weeks a missing cookie is not checked", async (t) => {
  const { service, tab, storage } = await missed(t);
  passTime(t, 13 * DAY);
  await tab().restore();
  assert.equal(storage.items.size, 1);
  passTime(t, DAY);
  await tab().restore();
  assert.equal(storage.items.size, 0);
  await tab().restore();
  assert.equal(service.count("/auth/refresh"), 3);
});

test("a refresh restarts the two weeks", async (t) => {
  const { auth, back, storage } = await missed(t);
  back();
  await auth.restore();
  assert.deepEqual([...storage.items.values()], ["in"]);
});

test("a forced restore without a session stays signed out", async (t) => {
  const { storage, tab } = await open(t);
  assert.equal((await tab().restore({ force: true })).status, "signed-out");
  assert.equal(storage.items.size, 0);
});

test("cookies that the service cannot read sign nobody out", async (t) => {
  const { service, auth, storage } = await signedIn(t);
  service.expireTokens();
  service.fail("/auth/refresh", { status: 400, body: '{"code": "cookies_unreadable"}' });
  await assert.rejects(auth.fetch("/items"), { status: 400, code: "cookies_unreadable" });
  assert.equal(auth.getSnapshot().status, "signed-in");
  assert.deepEqual([...storage.items.values()], ["in"]);
});
