import assert from "node:assert/strict";
import { test } from "node:test";
import { ANNA, eventually, hurry, open, passTime, signedIn } from "./browser.js";

const LATER = 11 * 60_000;

/** Open five tabs of one browser, all signed in. */
const fiveTabs = async (t, options) => {
  const world = await open(t, options);
  const tabs = Array.from({ length: 5 }, () => world.tab());
  await tabs[0].login(ANNA);
  await eventually(() => tabs.every((auth) => auth.getSnapshot().status === "signed-in"));
  return { ...world, tabs };
};

test("a login reaches all tabs without a request", async (t) => {
  const { service, tabs } = await fiveTabs(t);
  assert.deepEqual(new Set(tabs.map((auth) => auth.getSnapshot().sessionId)), new Set(["s1"]));
  assert.equal(service.calls.length, 1);
});

test("five tabs that wake up cause one refresh", async (t) => {
  const { service, tabs } = await fiveTabs(t);
  service.strict = true;
  passTime(t, LATER);
  const tokens = await Promise.all(tabs.map((auth) => auth.getToken()));
  assert.deepEqual([...new Set(tokens)], ["at.s1.1"]);
  assert.equal(service.count("/auth/refresh"), 1);
});

test("five tabs that reload are all signed in", async (t) => {
  const { service, tab } = await signedIn(t);
  const tabs = Array.from({ length: 5 }, tab);
  const all = await Promise.all(tabs.map((auth) => auth.restore()));
  assert.deepEqual(new Set(all.map(({ status }) => status)), new Set(["signed-in"]));
  assert.equal(service.count("/auth/refresh"), 1);
});

test("of five tabs without locks one rotates the cookie, and all get a token", async (t) => {
  const { service, jar, tabs } = await fiveTabs(t, { locks: null });
  passTime(t, LATER);
  const responses = await Promise.all(tabs.map((auth) => auth.fetch("/items")));
  assert.deepEqual([...new Set(responses.map(({ status }) => status))], [200]);
  assert.equal(service.sessions.get("s1").gen, 1);
  assert.ok(jar.cookie.endsWith("s1.1"));
});

test("a lock that is never granted is not waited for long", async (t) => {
  const { locks, auth } = await signedIn(t);
  const waits = hurry(t);
  locks.taken = true; // by a tab that hangs
  passTime(t, LATER);
  assert.equal(await auth.getToken(), "at.s1.1");
  assert.ok(waits.includes(5_000));
});

test("locks that never call back cause no failure", async (t) => {
  const { auth, locks } = await signedIn(t);
  hurry(t);
  locks.request = () => new Promise(() => {});
  passTime(t, LATER);
  assert.equal(await auth.getToken(), "at.s1.1");
});

test("denied locks cause no failure", async (t) => {
  const { auth, locks } = await signedIn(t);
  locks.request = () => Promise.reject(new DOMException("no", "SecurityError"));
  passTime(t, LATER);
  assert.equal(await auth.getToken(), "at.s1.1");
});

test("a lock granted too late is released without a second call", async (t) => {
  const { service, locks, auth } = await signedIn(t);
  hurry(t);
  let free;
  locks.request("any", () => new Promise((resolve) => (free = resolve)));
  passTime(t, LATER);
  await auth.getToken();
  free();
  await eventually(() => !locks.taken);
  assert.equal(service.count("/auth/refresh"), 1);
});

test("no user code runs under the lock", async (t) => {
  const { locks, tab } = await open(t);
  const auth = tab();
  const lockStates = [];
  auth.subscribe(() => lockStates.push(locks.taken));
  await auth.login(ANNA);
  await auth.logout();
  assert.deepEqual(lockStates, [false, false]);
});

test("waits between attempts are outside the lock", async (t) => {
  const { service, locks, auth } = await signedIn(t);
  passTime(t, LATER);
  service.fail("/auth/refresh", { status: 503 });
  const token = auth.getToken();
  await eventually(() => service.last("/auth/refresh")?.status === 503);
  assert.ok(await eventually(() => !locks.taken));
  await token;
});

test("a listener that asks for a token does not hang", async (t) => {
  const { tab } = await open(t);
  const auth = tab();
  const token = new Promise((resolve) => auth.subscribe(() => resolve(auth.getToken())));
  await auth.login(ANNA);
  assert.equal(await token, "at.s1.0");
});

test("a logout reaches all tabs, and none asks afterwards", async (t) => {
  const { service, tabs } = await fiveTabs(t);
  await tabs[2].logout();
  assert.ok(await eventually(() => tabs.every((auth) => auth.getSnapshot().status === "signed-out")));
  assert.deepEqual(await Promise.all(tabs.map((auth) => auth.getToken())), Array(5).fill(null));
  assert.equal(service.count("/auth/refresh"), 0);
});

test("a session that one tab finds ended is ended in all, and all know why", async (t) => {
  const { service, tabs } = await fiveTabs(t);
  service.endSessions();
  await tabs[0].fetch("/items");
  assert.ok(await eventually(() => tabs.every((auth) => auth.getSnapshot().status === "signed-out")));
  assert.deepEqual(new Set(tabs.map((auth) => auth.getSnapshot().reason)), new Set(["invalid_refresh_token"]));
  assert.equal(service.count("/auth/refresh"), 1);
});

test("a refresh in flight does not revive what another tab signed out", async (t) => {
  const { service, tabs } = await fiveTabs(t);
  passTime(t, LATER);
  const delayed = service.delay("/auth/refresh");
  const token = tabs[0].getToken();
  await delayed.arrived;
  await tabs[1].logout();
  await eventually(() => tabs[0].getSnapshot().status === "signed-out");
  delayed.release();
  assert.equal(await token, null);
  assert.ok(tabs.every((auth) => auth.getSnapshot().status === "signed-out"));
});

/** Broadcast a message of a slow tab and wait until it is delivered. */
const broadcast = async ({ service }, session_id) => {
  const name = `itemsapi-auth:${service.url}/`;
  const [sender, witness] = [new BroadcastChannel(name), new BroadcastChannel(name)];
  const delivered = new Promise((resolve) => (witness.onmessage = resolve));
  const token = { access_token: `at.${session_id}.0`, until: Infinity, life: 1 };
  sender.postMessage({ grant: { ...token, session_id, scope: "" } });
  await delivered;
  sender.close();
  witness.close();
};

test("a late broadcast of an ended session is ignored by all tabs", async (t) => {
  const world = await fiveTabs(t);
  const { tabs } = world;
  await tabs[0].logout();
  await eventually(() => tabs[1].getSnapshot().status === "signed-out");
  await broadcast(world, "s1");
  assert.deepEqual(await Promise.all(tabs.map((auth) => auth.getToken())), Array(5).fill(null));
});

test("a late broadcast of a session that was replaced is ignored by all tabs", async (t) => {
  const world = await fiveTabs(t);
  const { tabs } = world;
  await tabs[0].login({ username: "bea", password: "right" });
  await eventually(() => tabs.every((auth) => auth.getSnapshot().sessionId === "s2"));
  await broadcast(world, "s1");
  assert.deepEqual(new Set(tabs.map((auth) => auth.getSnapshot().sessionId)), new Set(["s2"]));
});

test("the next user's login reaches the tabs of the previous user", async (t) => {
  const { tabs } = await fiveTabs(t);
  await tabs[4].login({ username: "bea", password: "right" });
  await eventually(() => tabs[0].getSnapshot().sessionId === "s2");
  assert.equal(tabs[0].getSnapshot().user.username, "bea");
  const response = await tabs[0].fetch("/items");
  assert.equal((await response.json()).user, "bea");
});

test("a logout by a tab that knows no session signs all out", async (t) => {
  const { service, tab, tabs } = await fiveTabs(t);
  await tab().logout();
  assert.ok(await eventually(() => tabs.every((auth) => auth.getSnapshot().status === "signed-out")));
  assert.equal(service.sessions.get("s1").live, false);
});

test("an SPA on another origin, without our channel, notices the end at its next request", async (t) => {
  const { auth, service, tab } = await signedIn(t);
  const Channel = globalThis.BroadcastChannel;
  delete globalThis.BroadcastChannel;
  t.after(() => (globalThis.BroadcastChannel = Channel));
  const foreign = tab();
  await foreign.restore();
  await auth.logout();
  assert.equal((await foreign.fetch("/items")).status, 401);
  assert.equal(foreign.getSnapshot().status, "signed-out");
  assert.equal(service.count("/auth/refresh"), 2);
});
