import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually, hurry, open, passTime, signedIn } from "./browser.js";

const MINUTE = 60_000;

test("a fresh token is used without asking", async (t) => {
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
  const answer = await auth.fetch("/items");
  assert.equal(answer.status, 200);
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
  assert.equal(storage.items.size, 0);
});

test("after the end nothing more is asked", async (t) => {
  const { service, auth } = await signedIn(t);
  service.endSessions();
  await auth.fetch("/items");
  const before = service.count("/auth/refresh");
  await auth.fetch("/items");
  assert.equal(service.count("/auth/refresh"), before);
});

for (const status of [408, 429, 500, 502, 503, 504])
  test(`${status} from refresh does not sign out and is tried again`, async (t) => {
    const { service, auth } = await signedIn(t);
    hurry(t);
    passTime(t, 11 * MINUTE);
    service.fail("/auth/refresh", { status, body: "<html>" }, { status });
    assert.equal(await auth.getToken(), "at.s1.1");
    assert.equal(service.count("/auth/refresh"), 3);
  });

for (const status of [400, 403, 404, 422])
  test(`${status} from refresh neither signs out nor is tried again`, async (t) => {
    const { service, auth } = await signedIn(t);
    passTime(t, 11 * MINUTE);
    service.fail("/auth/refresh", { status, body: '{"code": "csrf"}' });
    await assert.rejects(auth.getToken(), { status, code: "csrf" });
    assert.equal(auth.getSnapshot().status, "signed-in");
    assert.equal(service.count("/auth/refresh"), 1);
  });

test("a page that is no answer of ours does not sign out", async (t) => {
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

test("an answer lost after the server committed is asked for again", async (t) => {
  const { service, auth } = await signedIn(t);
  hurry(t);
  passTime(t, 11 * MINUTE);
  service.fail("/auth/refresh", { cut: "after" });
  assert.equal(await auth.getToken(), "at.s1.1");
  assert.equal(service.sessions.get("s1").live, true);
});

test("a service that stays away makes the call fail and keeps the user", async (t) => {
  const { service, auth } = await signedIn(t);
  hurry(t);
  passTime(t, 11 * MINUTE);
  service.stop();
  await assert.rejects(auth.fetch("/items"), { name: "AuthError", status: 0, code: "network_error" });
  assert.equal(auth.getSnapshot().status, "signed-in");
});

test("being offline at the start leaves the status unknown", async (t) => {
  const { service, tab } = await signedIn(t);
  hurry(t);
  service.stop();
  const auth = tab();
  await assert.rejects(auth.restore(), { status: 0 });
  assert.equal(auth.getSnapshot().status, "unknown");
});

test("waits between tries grow, with jitter", async (t) => {
  const { service, auth } = await signedIn(t);
  const waits = hurry(t);
  passTime(t, 11 * MINUTE);
  service.fail("/auth/refresh", { status: 503 }, { status: 503 }, { status: 503 }, { status: 503 });
  await assert.rejects(auth.getToken(), { status: 503 });
  const [first, second, third] = waits.filter((ms) => ms < 5_000);
  assert.ok(first >= 200 && first <= 500, `first ${first}`);
  assert.ok(second > first * 0.9 && second <= 1_000, `second ${second}`);
  assert.ok(third > second * 0.9 && third <= 2_000, `third ${third}`);
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
    assert.ok(Math.max(...waits.filter((ms) => ms < 5_000)) > 2_500);
  });

test("after a success the waits begin short again", async (t) => {
  const { service, auth } = await signedIn(t);
  const waits = hurry(t);
  for (let round = 1; round <= 3; round += 1) {
    passTime(t, 11 * MINUTE);
    service.fail("/auth/refresh", { status: 503 });
    await auth.getToken();
  }
  assert.ok(waits.filter((ms) => ms < 5_000).every((ms) => ms <= 500));
});

test("an answer that never comes is given up and asked for again", async (t) => {
  const { service, auth } = await signedIn(t);
  hurry(t);
  passTime(t, 11 * MINUTE);
  service.hold("/auth/refresh");
  assert.equal(await auth.getToken(), "at.s1.1");
});

test("a refresh that hangs is given up within the grace of the server", async (t) => {
  const { auth } = await signedIn(t);
  const limits = [];
  const { timeout } = AbortSignal;
  t.mock.method(AbortSignal, "timeout", (ms) => (limits.push(ms), timeout.call(AbortSignal, ms)));
  passTime(t, 11 * MINUTE);
  assert.equal(await auth.getToken(), "at.s1.1");
  assert.ok(limits.length === 1 && limits[0] < 10_000, `${limits}`);
});

test("a long Retry-After is not waited for, nor asked into", async (t) => {
  const { service, auth } = await signedIn(t);
  passTime(t, 11 * MINUTE);
  service.fail("/auth/refresh", { status: 503, headers: { "Retry-After": "120" } });
  await assert.rejects(auth.getToken(), (error) => error.status === 503 && error.retryAfter > 100);
  await assert.rejects(auth.getToken(), { code: "backing_off" });
  assert.equal(service.count("/auth/refresh"), 1);
});

test("the old token is used while it is valid and the service is away", async (t) => {
  const { service, auth } = await signedIn(t);
  hurry(t);
  passTime(t, 10 * MINUTE - 10_000);
  service.fail("/auth/refresh", { status: 503 }, { cut: "before" }, { status: 429 }, { status: 500 });
  assert.equal((await auth.fetch("/items")).status, 200);
  assert.ok(await eventually(() => service.count("/auth/refresh") === 4));
  assert.equal(auth.getSnapshot().status, "signed-in");
});

test("an answer to a refresh from before the logout is not kept", async (t) => {
  const { service, auth } = await signedIn(t);
  passTime(t, 11 * MINUTE);
  const held = service.hold("/auth/refresh");
  const token = auth.getToken();
  await held.arrived;
  await auth.logout();
  held.release();
  assert.equal(await token, null);
  assert.equal(auth.getSnapshot().status, "signed-out");
});

test("a 401 to a refresh from before the next login does not end the next session", async (t) => {
  const { service, auth } = await signedIn(t, { locks: null });
  passTime(t, 11 * MINUTE);
  const held = service.hold("/auth/refresh");
  service.endSessions();
  const token = auth.getToken();
  await held.arrived;
  await auth.login({ username: "bea", password: "right" });
  held.release();
  assert.equal(await token, "at.s2.0");
  assert.deepEqual(auth.getSnapshot().sessionId, "s2");
});

test("the next user does not wait for the refresh of the one before", async (t) => {
  const { service, auth } = await signedIn(t, { locks: null });
  passTime(t, 11 * MINUTE);
  const held = service.hold("/auth/refresh");
  const token = auth.getToken();
  await held.arrived;
  await auth.login({ username: "bea", password: "right" });
  service.expireTokens();
  assert.equal((await auth.fetch("/items")).status, 200);
  held.release();
  assert.equal(await token, "at.s2.1");
});

test("a logout does not wait for the pause that refresh was asked for", async (t) => {
  const { service, auth } = await signedIn(t);
  passTime(t, 11 * MINUTE);
  service.fail("/auth/refresh", { status: 503, headers: { "Retry-After": "120" } });
  await assert.rejects(auth.getToken());
  await auth.logout();
  assert.equal(service.sessions.get("s1").live, false);
});

test("a logout between two tries stops the trying", async (t) => {
  const { service, auth } = await signedIn(t);
  passTime(t, 11 * MINUTE);
  service.fail("/auth/refresh", { status: 503 });
  const token = auth.getToken();
  await eventually(() => service.count("/auth/refresh") === 1);
  await auth.logout();
  assert.equal(await token, null);
  assert.equal(service.count("/auth/refresh"), 1);
});

test("a logout that could not be told is told at the next visit", async (t) => {
  const { service, auth, tab } = await signedIn(t);
  hurry(t);
  const away = { status: 503 };
  service.fail("/auth/logout", away, away, away, away);
  await assert.rejects(auth.logout(), { status: 503 });
  assert.equal((await tab().restore()).status, "signed-out");
  assert.ok(await eventually(() => service.sessions.get("s1").live === false));
  assert.equal(service.count("/auth/refresh"), 0);
});
