import assert from "node:assert/strict";
import { test } from "node:test";
import { ANNA, eventually, hurry, open, passTime, signedIn } from "./browser.js";

const PASSWORDS = { currentPassword: "right", newPassword: "seven quiet geese" };
const PATH = "/me/password";

test("a password change sends the token and the cookie", async (t) => {
  const { service, log, auth } = await signedIn(t);
  const { status, sessionId } = await auth.changePassword(PASSWORDS);
  const { headers, body } = service.last(PATH);
  assert.deepEqual([status, sessionId], ["signed-in", "s1"]);
  assert.equal(headers.authorization, "Bearer at.s1.0");
  assert.equal(headers["x-auth-delivery"], "cookie");
  assert.match(headers.cookie, /s1\.0$/);
  assert.deepEqual(JSON.parse(body), {
    current_password: "right",
    new_password: "seven quiet geese",
  });
  assert.equal(log.at(-1).credentials, "include");
});

test("the option about other sessions is sent", async (t) => {
  const { service, auth } = await signedIn(t);
  await auth.changePassword({ ...PASSWORDS, endOtherSessions: false });
  assert.equal(JSON.parse(service.last(PATH).body).end_other_sessions, false);
});

test("the session continues with a new token and a new cookie", async (t) => {
  const { service, jar, auth } = await signedIn(t);
  await auth.changePassword(PASSWORDS);
  assert.equal(await auth.getToken(), "at.s1.1");
  assert.ok(jar.cookie.endsWith("s1.1"));
  assert.equal((await auth.fetch("/items")).status, 200);
  assert.equal(service.count("/auth/refresh"), 0);
  passTime(t, 11 * 60_000);
  assert.equal(await auth.getToken(), "at.s1.2");
});

test("the other tabs continue with the new token", async (t) => {
  const { service, auth, tab } = await signedIn(t);
  const other = tab();
  await other.restore();
  await auth.changePassword(PASSWORDS);
  const token = await auth.getToken();
  assert.ok(await eventually(async () => (await other.getToken()) === token));
  assert.equal((await other.fetch("/items")).status, 200);
  assert.equal(service.count("/auth/refresh"), 1); // of the restore
});

test("a tab that calls with a revoked token waits for the new one", async (t) => {
  const { service, auth, tab } = await signedIn(t);
  const other = tab();
  await other.restore();
  const delayed = service.delay(PATH);
  const changed = auth.changePassword(PASSWORDS);
  await delayed.arrived;
  const response = other.fetch("/items");
  await eventually(() => service.last("/items")?.status === 401);
  delayed.release();
  await changed;
  assert.equal((await response).status, 200);
  assert.equal(service.count("/auth/refresh"), 1); // of the restore
});

test("an error response rejects with the errors of the fields, and the session goes on", async (t) => {
  const { service, auth } = await signedIn(t);
  const { newPassword: _, ...rest } = PASSWORDS;
  await assert.rejects(auth.changePassword({ ...rest, newPassword: "short" }), (error) => {
    assert.deepEqual(error.problem.errors, [{ field: "new_password", message: "Too short." }]);
    return error.name === "AuthError" && error.status === 422;
  });
  assert.equal(await auth.getToken(), "at.s1.0");
  assert.equal(service.count(PATH), 1);
});

test("a wrong current password rejects, and causes neither refresh nor second try", async (t) => {
  const { service, auth } = await signedIn(t);
  const wrong = { ...PASSWORDS, currentPassword: "wrong" };
  await assert.rejects(auth.changePassword(wrong), { status: 422, code: "validation_failed" });
  assert.equal(auth.getSnapshot().status, "signed-in");
  assert.deepEqual([service.count(PATH), service.count("/auth/refresh")], [1, 0]);
});

test("a 429 rejects with retryAfter, and is not tried again", async (t) => {
  const { service, auth } = await signedIn(t);
  service.fail(PATH, { status: 429, headers: { "Retry-After": "900" }, body: "{}" });
  await assert.rejects(auth.changePassword(PASSWORDS), { status: 429, retryAfter: 900 });
  assert.equal(service.count(PATH), 1);
});

test("a revoked token is refreshed once", async (t) => {
  const { service, auth } = await signedIn(t);
  service.expireTokens();
  await auth.changePassword(PASSWORDS);
  assert.deepEqual(
    service.calls.map(({ path, status }) => [path, status]).slice(1),
    [[PATH, 401], ["/auth/refresh", 200], [PATH, 200]],
  );
});

test("a service that rejects every token is called twice", async (t) => {
  const { service, auth } = await signedIn(t);
  service.break(PATH, { status: 401, body: '{"code": "invalid_token"}' });
  await assert.rejects(auth.changePassword(PASSWORDS), { status: 401, code: "invalid_token" });
  assert.deepEqual([service.count(PATH), service.count("/auth/refresh")], [2, 1]);
});

test("an expired token is refreshed before", async (t) => {
  const { service, auth } = await signedIn(t);
  passTime(t, 11 * 60_000);
  await auth.changePassword(PASSWORDS);
  assert.deepEqual(
    service.calls.map(({ path, status }) => [path, status]).slice(1),
    [["/auth/refresh", 200], [PATH, 200]],
  );
});

for (const [kind, locks] of [["with", undefined], ["without", null]])
  test(`a refresh under way is waited for, ${kind} locks`, async (t) => {
    const { service, auth } = await signedIn(t, locks === null ? { locks } : {});
    passTime(t, 10 * 60_000 - 10_000); // refreshed while the old token is still used
    const delayed = service.delay("/auth/refresh");
    const changed = auth.changePassword(PASSWORDS);
    await delayed.arrived;
    await auth.fetch("/items");
    assert.equal(service.count(PATH), 0);
    delayed.release();
    await changed;
    assert.equal(service.last(PATH).headers.authorization, "Bearer at.s1.1");
    assert.equal(await auth.getToken(), "at.s1.2");
  });

test("the call is made under the lock", async (t) => {
  const { service, locks, auth } = await signedIn(t);
  const delayed = service.delay(PATH);
  const changed = auth.changePassword(PASSWORDS);
  await delayed.arrived;
  assert.equal(locks.taken, true);
  delayed.release();
  await changed;
  assert.ok(await eventually(() => !locks.taken));
});

test("a response that is lost rejects, and the user signs in with the new password", async (t) => {
  const { service, auth } = await signedIn(t);
  hurry(t);
  service.fail(PATH, { cut: "after" });
  await assert.rejects(auth.changePassword(PASSWORDS), { status: 0, code: "network_error" });
  assert.equal(auth.getSnapshot().status, "signed-in");
  service.skip(service.window + 1);
  assert.equal((await auth.fetch("/items")).status, 401);
  assert.equal(auth.getSnapshot().status, "signed-out");
  await auth.login(ANNA);
  assert.equal((await auth.fetch("/items")).status, 200);
});

test("a request that is lost rejects, and nothing has changed", async (t) => {
  const { service, auth } = await signedIn(t);
  service.fail(PATH, { cut: "before" });
  await assert.rejects(auth.changePassword(PASSWORDS), { status: 0 });
  assert.equal((await auth.fetch("/items")).status, 200);
  assert.equal(service.count(PATH), 1);
});

test("a call without a session sends no password", async (t) => {
  const { service, tab } = await open(t);
  await assert.rejects(tab().changePassword(PASSWORDS), { status: 401, code: "token_missing" });
  assert.equal(service.calls.length, 0);
});

test("a password is not sent as the user who signed in meanwhile", async (t) => {
  const { service, locks, auth, tab } = await signedIn(t);
  const other = tab();
  await other.restore();
  const delayed = service.delay("/auth/login");
  const login = other.login({ ...ANNA, username: "bea" });
  await delayed.arrived;
  const changed = auth.changePassword(PASSWORDS);
  await eventually(() => locks.waiting === 1);
  delayed.release();
  await login;
  await assert.rejects(changed, { status: 0, code: "session_changed" });
  assert.equal(service.count(PATH), 0);
});

test("a response after a logout does not sign in again", async (t) => {
  const { service, auth } = await signedIn(t);
  const delayed = service.delay(PATH);
  const changed = auth.changePassword(PASSWORDS);
  await delayed.arrived;
  const logout = auth.logout();
  delayed.release();
  await Promise.all([changed, logout]);
  assert.equal(auth.getSnapshot().status, "signed-out");
  assert.equal(service.sessions.get("s1").live, false);
});
