import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually, hurry, open, passTime, refreshElsewhere, signedIn } from "./browser.js";

const MINUTE = 60_000;

/** Return the waits between attempts, without the timeouts of the lock and of calls. */
const pauses = (waits) => waits.filter((ms) => ms > 50 && ms !== 5_000);

const about = (seconds, { retryAfter }) => Math.abs(retryAfter - seconds) < 1;

const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);

test("a fresh token is used without a request", async (t) => {
  const { service, auth } = await signedIn(t);
  passTime(t, 9 * MINUTE);
  assert.equal(await auth.getToken(), "at.s1.0");
  assert.equal(service.count("/auth/refresh"), 0);
});

test("a token near its end is refreshed while it is still used", async (t) => {
  const { service, auth } = await signedIn(t);
  passTime(t, 10 * MINUTE - 29_000);
  assert.equal(await auth.getToken(), "at.s1.0");
  await eventually(() => service.last("/auth/refresh")?.status === 200);
  assert.ok(await eventually(async () => (await auth.getToken()) === "at.s1.1"));
});

test("a short-lived token is refreshed in its last quarter", async (t) => {
  const { service, tab } = await open(t);
  service.lifetime = 8;
  const auth = tab();
  await auth.login({ username: "anna", password: "right" });
  passTime(t, 5_900);
  await auth.fetch("/items");
  assert.equal(service.count("/auth/refresh"), 0);
  passTime(t, 200);
  await auth.getToken();
  assert.ok(await eventually(() => service.count("/auth/refresh") === 1));
});

test("an expired token is refreshed before the request", async (t) => {
  const { service, auth } = await signedIn(t);
  passTime(t, 11 * MINUTE);
  const response = await auth.fetch("/items");
  assert.equal(response.status, 200);
  assert.deepEqual(service.calls.map((call) => call.path), ["/auth/login", "/auth/refresh", "/items"]);
});

test("a hundred callers cause one refresh", async (t) => {
  const { service, auth } = await signedIn(t);
  passTime(t, 11 * MINUTE);
  const tokens = await Promise.all(Array.from({ length: 100 }, () => auth.getToken()));
  assert.deepEqual([...new Set(tokens)], ["at.s1.1"]);
  assert.equal(service.count("/auth/refresh"), 1);
});

test("a clock set back only costs one 401", async (t) => {
  const { service, auth } = await signedIn(t);
  passTime(t, -24 * 60 * MINUTE);
  service.expireTokens();
  assert.equal((await auth.fetch("/items")).status, 200);
  assert.equal(service.count("/auth/refresh"), 1);
});

test("a clock set forward only costs one refresh", async (t) => {
  const { service, auth } = await signedIn(t);
  passTime(t, 365 * 24 * 60 * MINUTE);
  await auth.fetch("/items");
  await auth.fetch("/items");
  assert.equal(service.count("/auth/refresh"), 1);
});

test("a 401 from refresh ends the session and says why", async (t) => {
  const { service, storage, auth } = await signedIn(t);
  service.endSessions();
  assert.equal((await auth.fetch("/items")).status, 401);
  const { status, reason } = auth.getSnapshot();
  assert.deepEqual([status, reason], ["signed-out", "invalid_refresh_token"]);
  assert.deepEqual([...storage.items.values()], ["out"]);
});

test("after the end of the session no request is made", async (t) => {
  const { service, auth } = await signedIn(t);
  service.endSessions();
  await auth.fetch("/items");
  const before = service.count("/auth/refresh");
  await auth.fetch("/items");
  assert.equal(service.count("/auth/refresh"), before);
});

for (const status of [408, 429, 500, 502, 503, 504])
  test(`${status} from refresh does not sign out and is retried`, async (t) => {
    const { service, auth } = await signedIn(t);
    hurry(t);
    passTime(t, 11 * MINUTE);
    service.fail("/auth/refresh", { status, body: "<html>" }, { status });
    assert.equal(await auth.getToken(), "at.s1.1");
    assert.equal(service.count("/auth/refresh"), 3);
  });

for (const status of [400, 403, 404, 422])
  test(`${status} from refresh neither signs out nor is retried`, async (t) => {
    const { service, auth } = await signedIn(t);
    passTime(t, 11 * MINUTE);
    service.fail("/auth/refresh", { status, body: '{"code": "csrf"}' });
    await assert.rejects(auth.getToken(), { status, code: "csrf" });
    assert.equal(auth.getSnapshot().status, "signed-in");
    assert.equal(service.count("/auth/refresh"), 1);
  });

test("the page of a captive portal does not sign out", async (t) => {
  const { service, auth } = await signedIn(t);
  hurry(t);
  passTime(t, 11 * MINUTE);
  service.fail("/auth/refresh", { status: 200, body: "<h1>Welcome to Hotel Wi-Fi</h1>" });
  assert.equal(await auth.getToken(), "at.s1.1");
});

test("a redirect of refresh is not followed and does not sign out", async (t) => {
  const { service, auth } = await signedIn(t);
  hurry(t);
  passTime(t, 11 * MINUTE);
  service.fail("/auth/refresh", { status: 307, headers: { Location: "/portal" } });
  assert.equal(await auth.getToken(), "at.s1.1");
  assert.equal(service.count("/portal"), 0);
});

test("a response lost after the server committed is requested again", async (t) => {
  const { service, auth } = await signedIn(t);
  hurry(t);
  passTime(t, 11 * MINUTE);
  service.fail("/auth/refresh", { cut: "after" });
  assert.equal(await auth.getToken(), "at.s1.1");
  assert.equal(service.sessions.get("s1").live, true);
});

test("an unavailable service makes the call fail and keeps the user", async (t) => {
  const { service, auth } = await signedIn(t);
  hurry(t);
  passTime(t, 11 * MINUTE);
  service.stop();
  await assert.rejects(auth.fetch("/items"), { name: "AuthError", status: 0, code: "network_error" });
  assert.equal(auth.getSnapshot().status, "signed-in");
});

test("being offline at the start leaves the status unknown, and the snapshot says why", async (t) => {
  const { service, tab } = await signedIn(t);
  hurry(t);
  service.stop();
  const auth = tab();
  await assert.rejects(auth.restore(), { status: 0 });
  const { status, reason } = auth.getSnapshot();
  assert.deepEqual([status, reason], ["unknown", "network_error"]);
});

test("a rejected page at the start leaves the status unknown, and the snapshot says why", async (t) => {
  const { service, tab } = await signedIn(t);
  service.fail("/auth/refresh", { status: 403, body: '{"code": "csrf"}' });
  const auth = tab();
  await assert.rejects(auth.restore(), { code: "csrf" });
  const { status, reason } = auth.getSnapshot();
  assert.deepEqual([status, reason], ["unknown", "csrf"]);
});

test("a service that is away at the start is asked until it is back, ever less often", async (t) => {
  const { service, tab } = await signedIn(t);
  const waits = hurry(t, { times: 1_000 });
  service.break("/auth/refresh", { status: 503 });
  const auth = tab();
  await assert.rejects(auth.restore(), { status: 503 });
  assert.ok(await eventually(() => sum(pauses(waits)) > 3 * MINUTE));
  assert.ok(Math.max(...pauses(waits)) > 10_000);
  service.break("/auth/refresh", null);
  assert.ok(await eventually(() => auth.getSnapshot().status === "signed-in"));
  assert.equal(auth.getSnapshot().reason, null);
});

test("waits between attempts grow, with jitter", async (t) => {
  const { service, auth } = await signedIn(t);
  const waits = hurry(t);
  passTime(t, 11 * MINUTE);
  service.break("/auth/refresh", { status: 503 });
  await assert.rejects(auth.getToken(), { status: 503 });
  const [first, second, third] = pauses(waits);
  assert.ok(first >= 200 && first <= 500, `first ${first}`);
  assert.ok(second > first * 0.9 && second <= 1_000, `second ${second}`);
  assert.ok(third > second * 0.9 && third <= 2_000, `third ${third}`);
  assert.ok(pauses(waits).every((ms) => ms <= 4_000), `${waits}`);
});

test("a refresh is retried for longer than the window of the server", async (t) => {
  const { service, auth } = await signedIn(t);
  const waits = hurry(t);
  passTime(t, 11 * MINUTE);
  service.break("/auth/refresh", { cut: "before" });
  await assert.rejects(auth.getToken(), { status: 0 });
  await eventually(() => sum(pauses(waits)) > service.window);
  service.break("/auth/refresh", null);
  const before = service.count("/auth/refresh");
  assert.ok(await eventually(() => service.last("/auth/refresh").status === 200));
  assert.equal(await auth.getToken(), "at.s1.1");
  assert.equal(service.count("/auth/refresh"), before + 1);
});

test("a refresh that fails for half a minute stops until the next call", async (t) => {
  const { service, auth } = await signedIn(t);
  const waits = hurry(t);
  passTime(t, 11 * MINUTE);
  service.break("/auth/refresh", { status: 503 });
  await assert.rejects(auth.getToken(), { status: 503 });
  let seen = -1;
  await eventually(() => seen === (seen = service.count("/auth/refresh")), 200);
  assert.ok(sum(pauses(waits)) > 25_000 && sum(pauses(waits)) < 30_000, `${waits}`);
  service.break("/auth/refresh", null);
  assert.equal(await auth.getToken(), "at.s1.1");
});

test("a call without a valid token rejects within ten seconds", async (t) => {
  const { service, auth } = await signedIn(t);
  hurry(t);
  passTime(t, 11 * MINUTE);
  service.break("/auth/refresh", { status: 503 });
  for (let callers = 0; callers < 2; callers += 1) {
    const started = performance.now();
    await assert.rejects(auth.fetch("/items"), { status: 503, name: "AuthError" });
    const waited = performance.now() - started;
    assert.ok(waited > 5_000 && waited <= 10_000, `${waited}`);
  }
});

test("a service that is back in time signs the page in without a call", async (t) => {
  const { service, tab } = await signedIn(t);
  hurry(t);
  service.break("/auth/refresh", { status: 503 });
  const auth = tab();
  await assert.rejects(auth.restore(), { status: 503 });
  assert.equal(auth.getSnapshot().status, "unknown");
  service.break("/auth/refresh", null);
  assert.ok(await eventually(() => auth.getSnapshot().status === "signed-in"));
});

test("attempts stop when another tab has got a token", async (t) => {
  const { service, auth, tab } = await signedIn(t);
  const other = tab();
  hurry(t, { times: 10 });
  passTime(t, 11 * MINUTE);
  service.fail("/auth/refresh", { status: 503, headers: { "Retry-After": "9" } });
  const token = auth.getToken();
  await eventually(() => service.last("/auth/refresh")?.status === 503);
  await other.restore();
  assert.equal(await token, "at.s1.1");
  assert.equal(service.count("/auth/refresh"), 2);
});

test("a token from another tab that is rejected does not wait for the refresh before it", async (t) => {
  const { service, auth, tab } = await signedIn(t);
  const other = tab();
  hurry(t, { times: 10 });
  passTime(t, 11 * MINUTE);
  service.fail("/auth/refresh", { status: 503, headers: { "Retry-After": "9" } });
  const token = auth.getToken();
  await eventually(() => service.last("/auth/refresh")?.status === 503);
  const witness = new BroadcastChannel(`itemsapi-auth:${service.url}/`);
  const delivered = new Promise((resolve) => (witness.onmessage = resolve));
  await other.restore();
  await delivered;
  witness.close();
  service.expireTokens();
  assert.equal((await auth.fetch("/items")).status, 200);
  await token;
});

test("attempts stop when the client is closed", async (t) => {
  const { service, auth } = await signedIn(t);
  hurry(t);
  passTime(t, 11 * MINUTE);
  service.fail("/auth/refresh", { status: 503, headers: { "Retry-After": "9" } });
  const token = auth.getToken();
  await eventually(() => service.last("/auth/refresh")?.status === 503);
  auth.close();
  await token;
  assert.equal(service.count("/auth/refresh"), 1);
});

for (const [kind, value] of [
  ["seconds", () => "3"],
  ["a date", () => new Date(Date.now() + 3_900).toUTCString()],
])
  test(`Retry-After in ${kind} is kept to`, async (t) => {
    const { service, auth } = await signedIn(t);
    const waits = hurry(t);
    passTime(t, 11 * MINUTE);
    service.fail("/auth/refresh", { status: 429, headers: { "Retry-After": value() } });
    await auth.getToken();
    assert.ok(Math.max(...pauses(waits)) > 2_500);
  });

test("after a success the waits begin short again", async (t) => {
  const { service, auth } = await signedIn(t);
  const waits = hurry(t);
  for (let round = 1; round <= 3; round += 1) {
    passTime(t, 11 * MINUTE);
    service.fail("/auth/refresh", { status: 503 });
    await auth.getToken();
  }
  assert.ok(pauses(waits).every((ms) => ms <= 500));
});

test("a response that never comes is aborted and requested again", async (t) => {
  const { service, auth } = await signedIn(t);
  hurry(t);
  passTime(t, 11 * MINUTE);
  service.delay("/auth/refresh");
  assert.equal(await auth.getToken(), "at.s1.1");
});

test("a refresh that hangs is aborted within half of the server's window", async (t) => {
  const { service, auth } = await signedIn(t);
  const limits = [];
  const { timeout } = AbortSignal;
  t.mock.method(AbortSignal, "timeout", (ms) => (limits.push(ms), timeout.call(AbortSignal, ms)));
  passTime(t, 11 * MINUTE);
  assert.equal(await auth.getToken(), "at.s1.1");
  assert.ok(limits.length === 1 && limits[0] < service.window / 2, `${limits}`);
});

test("no call waits for a long Retry-After, and none asks into it", async (t) => {
  const { service, auth } = await signedIn(t);
  hurry(t);
  passTime(t, 11 * MINUTE);
  service.fail("/auth/refresh", { status: 503, headers: { "Retry-After": "30" } });
  await assert.rejects(auth.getToken(), (error) => error.status === 503 && about(30, error));
  await assert.rejects(auth.getToken(), (error) => error.code === "backing_off" && about(30, error));
  assert.equal(service.count("/auth/refresh"), 1);
});

test("after a long Retry-After, a minute at most, the service is asked again", async (t) => {
  const { service, auth } = await signedIn(t);
  const waits = hurry(t);
  passTime(t, 11 * MINUTE);
  service.fail("/auth/refresh", { status: 503, headers: { "Retry-After": "3600" } });
  await assert.rejects(auth.getToken(), (error) => error.status === 503 && about(60, error));
  assert.ok(await eventually(() => service.last("/auth/refresh").status === 200));
  assert.equal(await auth.getToken(), "at.s1.1");
  assert.ok(waits.includes(MINUTE));
});

test("a button asks at once, whatever Retry-After says", async (t) => {
  const { service, auth } = await signedIn(t);
  hurry(t, { times: 1 });
  passTime(t, 11 * MINUTE);
  service.fail("/auth/refresh", { status: 503, headers: { "Retry-After": "3600" } });
  await assert.rejects(auth.getToken(), { status: 503 });
  assert.equal((await auth.restore({ force: true })).status, "signed-in");
  assert.equal(await auth.getToken(), "at.s1.1");
});

test("a browser that is online again asks at once", async (t) => {
  const listeners = new Map();
  globalThis.addEventListener = (name, act) => listeners.set(name, act);
  globalThis.removeEventListener = (name) => listeners.delete(name);
  t.after(() => (delete globalThis.addEventListener, delete globalThis.removeEventListener));
  const { service, auth } = await signedIn(t);
  hurry(t, { times: 1 });
  passTime(t, 11 * MINUTE);
  service.fail("/auth/refresh", { status: 503, headers: { "Retry-After": "60" } });
  await assert.rejects(auth.getToken(), { status: 503 });
  listeners.get("online")();
  assert.ok(await eventually(() => service.last("/auth/refresh").status === 200));
  auth.close();
  assert.equal(listeners.size, 0);
});

test("an older token within the window waits, and asks with the cookie of then", async (t) => {
  const world = await signedIn(t);
  const { service, auth } = world;
  const waits = hurry(t);
  const { cookie } = await refreshElsewhere(world);
  const newest = await refreshElsewhere(world, cookie);
  passTime(t, 11 * MINUTE);
  const token = auth.getToken();
  assert.ok(await eventually(() => service.last("/auth/refresh").status === 503));
  newest.arrive();
  assert.equal(await token, "at.s1.3");
  assert.ok(pauses(waits).some((ms) => ms >= 1_000), `${waits}`);
});

test("a response with an access token only is a success, and the cookie stays what it is", async (t) => {
  const world = await signedIn(t);
  const { service, jar, storage, auth } = world;
  const winner = await refreshElsewhere(world);
  const before = jar.cookie;
  passTime(t, 11 * MINUTE);
  assert.equal((await auth.fetch("/items")).status, 200);
  assert.match(service.last("/items").headers.authorization, /^Bearer at\.s1\.0\./);
  assert.deepEqual([jar.cookie, [...storage.items.values()]], [before, ["in"]]);
  winner.arrive();
  passTime(t, 11 * MINUTE);
  assert.equal(await auth.getToken(), "at.s1.2");
});

test("the old token is used while it is valid and the service is unavailable", async (t) => {
  const { service, auth } = await signedIn(t);
  hurry(t);
  passTime(t, 10 * MINUTE - 10_000);
  service.fail("/auth/refresh", { status: 503 }, { cut: "before" }, { status: 429 }, { status: 500 });
  assert.equal((await auth.fetch("/items")).status, 200);
  assert.ok(await eventually(() => service.count("/auth/refresh") === 4));
  assert.equal(auth.getSnapshot().status, "signed-in");
});

test("a response to a refresh from before the logout is not kept", async (t) => {
  const { service, auth } = await signedIn(t);
  passTime(t, 11 * MINUTE);
  const delayed = service.delay("/auth/refresh");
  const token = auth.getToken();
  await delayed.arrived;
  await auth.logout();
  delayed.release();
  assert.equal(await token, null);
  assert.equal(auth.getSnapshot().status, "signed-out");
});

test("a 401 to a refresh from before the next login does not end the next session", async (t) => {
  const { service, auth } = await signedIn(t, { locks: null });
  passTime(t, 11 * MINUTE);
  const delayed = service.delay("/auth/refresh");
  service.endSessions();
  const token = auth.getToken();
  await delayed.arrived;
  await auth.login({ username: "bea", password: "right" });
  delayed.release();
  assert.equal(await token, "at.s2.0");
  assert.deepEqual(auth.getSnapshot().sessionId, "s2");
});

test("the next user does not wait for the refresh of the previous user", async (t) => {
  const { service, auth } = await signedIn(t, { locks: null });
  passTime(t, 11 * MINUTE);
  const delayed = service.delay("/auth/refresh");
  const token = auth.getToken();
  await delayed.arrived;
  await auth.login({ username: "bea", password: "right" });
  service.expireTokens();
  assert.equal((await auth.fetch("/items")).status, 200);
  delayed.release();
  assert.equal(await token, "at.s2.1");
});

test("a logout does not wait for the Retry-After of refresh", async (t) => {
  const { service, auth } = await signedIn(t);
  hurry(t);
  passTime(t, 11 * MINUTE);
  service.fail("/auth/refresh", { status: 503, headers: { "Retry-After": "120" } });
  await assert.rejects(auth.getToken());
  await auth.logout();
  assert.equal(service.sessions.get("s1").live, false);
});

test("a logout between two attempts stops them", async (t) => {
  const { service, auth } = await signedIn(t);
  passTime(t, 11 * MINUTE);
  service.fail("/auth/refresh", { status: 503 });
  const token = auth.getToken();
  await eventually(() => service.count("/auth/refresh") === 1);
  await auth.logout();
  assert.equal(await token, null);
  assert.equal(service.count("/auth/refresh"), 1);
});

test("a logout that failed is sent again at the next visit", async (t) => {
  const { service, auth, tab } = await signedIn(t);
  hurry(t);
  service.break("/auth/logout", { status: 503 });
  await assert.rejects(auth.logout(), { status: 503 });
  service.break("/auth/logout", null);
  assert.equal((await tab().restore()).status, "signed-out");
  assert.ok(await eventually(() => service.sessions.get("s1").live === false));
  assert.equal(service.count("/auth/refresh"), 0);
});

test("a logout is not delayed by a long Retry-After", async (t) => {
  const { service, auth } = await signedIn(t);
  service.fail("/auth/logout", { status: 503, headers: { "Retry-After": "30" } });
  await assert.rejects(auth.logout(), (error) => error.status === 503 && about(30, error));
  assert.equal(service.count("/auth/logout"), 1);
});
