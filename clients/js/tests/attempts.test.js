import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually, hurry, passTime, refreshElsewhere, signedIn } from "./browser.js";

const LATER = 11 * 60_000;

/** Signed in, with the access token over. */
const late = async (t, pace) => {
  const world = await signedIn(t);
  const waits = hurry(t, pace);
  passTime(t, LATER);
  const attempts = () =>
    world.service.calls
      .filter(({ path }) => path === "/auth/refresh")
      .map(({ headers }) => headers["idempotency-key"]);
  return { ...world, waits, attempts };
};

test("a refresh names its attempt, a login does not", async (t) => {
  const { service, auth, attempts } = await late(t);
  await auth.getToken();
  assert.match(attempts()[0], /^[!-~]{22,128}$/);
  assert.equal(service.last("/auth/login").headers["idempotency-key"], undefined);
});

test("the next refresh is another attempt", async (t) => {
  const { auth, attempts } = await late(t);
  await auth.getToken();
  passTime(t, LATER);
  await auth.getToken();
  assert.equal(new Set(attempts()).size, 2);
});

for (const [kind, fault] of Object.entries({
  "a lost answer": { cut: "after" },
  "a lost request": { cut: "before" },
  "a 503": { status: 503 },
  "a 429": { status: 429 },
  "a 408": { status: 408 },
  "a page that is no answer of ours": { status: 200, body: "<h1>Hotel</h1>" },
}))
  test(`the attempt is the same after ${kind}`, async (t) => {
    const { service, auth, attempts } = await late(t);
    service.fail("/auth/refresh", fault);
    assert.equal(await auth.getToken(), "at.s1.1");
    assert.equal(attempts().length, 2);
    assert.equal(new Set(attempts()).size, 1);
  });

test("the attempt is the same when the answer never comes", async (t) => {
  const { service, auth, attempts } = await late(t, { responseTimeout: 1_000 });
  service.hold("/auth/refresh");
  assert.equal(await auth.getToken(), "at.s1.1");
  assert.equal(new Set(attempts()).size, 1);
});

test("a lost answer costs no wait beyond the first pause, and no further generation", async (t) => {
  const { service, jar, auth, waits } = await late(t);
  service.fail("/auth/refresh", { cut: "after" });
  await auth.getToken();
  assert.equal(service.sessions.get("s1").gen, 1);
  assert.ok(jar.cookie.endsWith("s1.1"));
  assert.ok(waits.filter((ms) => ms !== 5_000).every((ms) => ms <= 500), `${waits}`);
});

test("an answer lost hours ago is asked for by the same attempt", async (t) => {
  const { service, auth, attempts } = await late(t);
  service.fail("/auth/refresh", { cut: "after" });
  service.break("/auth/refresh", { cut: "before" });
  await assert.rejects(auth.getToken(), { status: 0 });
  let seen = 0;
  await eventually(() => seen === (seen = attempts().length), 200); // the refresh has given up
  service.break("/auth/refresh", null);
  service.skip(8 * 60 * 60_000);
  assert.equal(await auth.getToken(), "at.s1.1");
  assert.equal(new Set(attempts()).size, 1);
});

test("a refusal settles the attempt", async (t) => {
  const { service, auth, attempts } = await late(t);
  service.fail("/auth/refresh", { status: 403, body: '{"code": "csrf"}' });
  await assert.rejects(auth.getToken(), { status: 403 });
  await auth.getToken();
  assert.equal(new Set(attempts()).size, 2);
});

test("when another page's answer was lost, the session heals after the window", async (t) => {
  const world = await late(t);
  const { service, auth } = world;
  assert.equal((await refreshElsewhere(world)).status, 200);
  service.skip(service.window + 1);
  assert.equal(await auth.getToken(), "at.s1.2");
});

test("a copied token that was used ends the session", async (t) => {
  const world = await late(t);
  const { service, auth } = world;
  const thief = await refreshElsewhere(world);
  await refreshElsewhere(world, thief.cookie);
  service.skip(service.window + 1);
  assert.equal(await auth.getToken(), null);
  assert.equal(auth.getSnapshot().reason, "refresh_reused");
});
