import assert from "node:assert/strict";
import { test } from "node:test";
import { createAuth } from "../itemsapi-auth.js";
import { ANNA, open, passTime } from "./browser.js";

/** Open a tab of a browser where nobody has signed in before. */
const firstVisit = async (t) => {
  const world = await open(t);
  world.storage.used = false;
  return { ...world, auth: world.tab() };
};

/** Make the browser drop the cookies of responses. */
const dropCookies = ({ jar }) => Object.defineProperty(jar, "cookie", { get: () => "", set: () => {} });

test("the first sign-in in a browser shows by one refresh that the cookie is kept", async (t) => {
  const { service, auth } = await firstVisit(t);
  assert.equal((await auth.login(ANNA)).status, "signed-in");
  assert.equal(service.count("/auth/refresh"), 1);
  assert.equal(await auth.getToken(), "at.s1.1");
});

test("later sign-ins make no such refresh", async (t) => {
  const { service, auth } = await firstVisit(t);
  await auth.login(ANNA);
  await auth.logout();
  await auth.login(ANNA);
  assert.equal(service.count("/auth/refresh"), 1);
});

test("a sign-in whose cookie the browser drops rejects and says why", async (t) => {
  const world = await firstVisit(t);
  const { service, auth } = world;
  dropCookies(world);
  const { host } = new URL(service.url);
  await assert.rejects(auth.login(ANNA), { code: "cookie_not_kept", message: new RegExp(`cookie of ${host}. Allow cookies`) });
  assert.equal(auth.getSnapshot().status, "unknown");
});

test("its session is ended, and no tab is signed in", async (t) => {
  const world = await firstVisit(t);
  const { service, auth, tab } = world;
  dropCookies(world);
  const other = tab();
  await assert.rejects(auth.login(ANNA));
  assert.equal(service.last("/auth/logout").headers.authorization, "Bearer at.s1.0");
  assert.equal(await other.getToken(), null);
});

test("a browser that keeps an older cookie only is noticed too", async (t) => {
  const world = await firstVisit(t);
  const { service, auth, jar } = world;
  const { cookie } = jar;
  Object.defineProperty(jar, "cookie", { get: () => "__Host-Http-itemsapi_rt=s0.0", set: () => {} });
  await assert.rejects(auth.login(ANNA), { code: "cookie_not_kept" });
  assert.deepEqual([cookie, service.count("/auth/refresh")], ["", 1]);
});

for (const [kind, fault] of [["lost", { cut: "after" }], ["503", { status: 503 }]])
  test(`a sign-in succeeds when the response of that refresh is ${kind}`, async (t) => {
    const { service, auth } = await firstVisit(t);
    service.fail("/auth/refresh", fault);
    assert.equal((await auth.login(ANNA)).status, "signed-in");
    assert.equal(await auth.getToken(), "at.s1.0");
  });

test("the next refresh repeats one whose response was lost, and gets its cookie", async (t) => {
  const { service, auth, jar } = await firstVisit(t);
  service.fail("/auth/refresh", { cut: "after" });
  await auth.login(ANNA);
  passTime(t, 11 * 60_000);
  assert.equal(await auth.getToken(), "at.s1.1");
  const attempts = service.calls.filter(({ path }) => path === "/auth/refresh").map(({ headers }) => headers["idempotency-key"]);
  assert.deepEqual([attempts.length, new Set(attempts).size], [2, 1]);
  assert.match(jar.cookie, /s1\.1/);
});

test("a browser that denies storage is checked at each sign-in", async (t) => {
  const { service, tabs } = await firstVisit(t);
  const refuse = () => {
    throw new DOMException("no", "SecurityError");
  };
  const storage = { getItem: refuse, setItem: refuse, removeItem: refuse };
  const auth = createAuth({ baseUrl: service.url, storage });
  tabs.push(auth);
  for (let signIns = 0; signIns < 2; signIns += 1) await auth.login(ANNA);
  assert.equal(service.count("/auth/refresh"), 2);
});
