import assert from "node:assert/strict";
import { test } from "node:test";
import { ANNA, hurry, open, passTime, signedIn } from "./browser.js";
import { Service } from "./server.js";

test("a request carries the token and no cookie", async (t) => {
  const { service, log, auth } = await signedIn(t);
  await auth.fetch("/items");
  const { headers } = service.last("/items");
  assert.equal(headers.authorization, "Bearer at.s1.0");
  assert.equal(headers.cookie, undefined);
  assert.equal(log.at(-1).credentials, "omit");
});

test("credentials of the caller's choice are not sent either", async (t) => {
  const { service, auth } = await signedIn(t);
  await auth.fetch("/items", { credentials: "include" });
  assert.equal(service.last("/items").headers.cookie, undefined);
});

test("a guest's request goes without a token", async (t) => {
  const { service, tab } = await open(t);
  assert.equal((await tab().fetch("/public")).status, 200);
  assert.equal(service.last("/public").headers.authorization, undefined);
});

test("a guest's 401 causes no refresh", async (t) => {
  const { service, tab } = await open(t);
  assert.equal((await tab().fetch("/items")).status, 401);
  assert.equal(service.count("/auth/refresh"), 0);
});

test("a 401 is answered by one refresh and one replay", async (t) => {
  const { service, auth } = await signedIn(t);
  service.expireTokens();
  assert.equal((await auth.fetch("/items")).status, 200);
  assert.equal(service.count("/items"), 2);
  assert.equal(service.count("/auth/refresh"), 1);
});

test("the body of a POST is sent again, whole", async (t) => {
  const { service, auth } = await signedIn(t);
  service.expireTokens();
  const body = JSON.stringify({ name: "Lamp", note: "x".repeat(100_000) });
  const answer = await auth.fetch("/items", { method: "POST", body });
  assert.equal((await answer.json()).body, body);
});

test("a Request object is taken, as openapi-fetch gives it", async (t) => {
  const { service, auth } = await signedIn(t);
  service.expireTokens();
  const headers = { "Content-Type": "application/json" };
  const request = new Request(`${service.url}/items`, { method: "POST", body: '{"a":1}', headers });
  assert.equal((await (await auth.fetch(request)).json()).body, '{"a":1}');
  assert.equal(service.last("/items").headers["content-type"], "application/json");
});

test("a stream as body is sent again", async (t) => {
  const { service, auth } = await signedIn(t);
  service.expireTokens();
  const body = new Blob(["in pieces"]).stream();
  const answer = await auth.fetch("/items", { method: "POST", body, duplex: "half" });
  assert.equal((await answer.json()).body, "in pieces");
});

test("a URL object is taken", async (t) => {
  const { service, auth } = await signedIn(t);
  assert.equal((await auth.fetch(new URL("/items", service.url))).status, 200);
});

test("many requests refused at once cause one refresh", async (t) => {
  const { service, auth } = await signedIn(t);
  service.expireTokens();
  const answers = await Promise.all(Array.from({ length: 20 }, () => auth.fetch("/items")));
  assert.deepEqual([...new Set(answers.map((answer) => answer.status))], [200]);
  assert.equal(service.count("/auth/refresh"), 1);
});

test("a 403 never refreshes", async (t) => {
  const { service, auth } = await signedIn(t);
  service.fixed = 403;
  assert.equal((await auth.fetch("/items")).status, 403);
  assert.equal(service.count("/auth/refresh"), 0);
});

test("a service that refuses every token is not asked in a loop", async (t) => {
  const { service, auth } = await signedIn(t);
  service.fixed = 401;
  t.mock.method(performance, "now", () => 1_000); // on a slow machine the pause would be over
  for (let i = 0; i < 50; i += 1) assert.equal((await auth.fetch("/items")).status, 401);
  assert.equal(service.count("/auth/refresh"), 1);
  assert.equal(auth.getSnapshot().status, "signed-in");
});

test("a refresh that fails in passing makes the request fail, not look refused", async (t) => {
  const { service, auth } = await signedIn(t);
  hurry(t);
  service.expireTokens();
  service.break("/auth/refresh", { status: 503 });
  await assert.rejects(auth.fetch("/items"), { name: "AuthError", status: 503 });
  assert.equal(auth.getSnapshot().status, "signed-in");
});

const under = async (t) => {
  const { service, tab } = await open(t);
  const auth = tab(`${service.url}/api?x#y`);
  service.below = "/api";
  await auth.login(ANNA);
  return { service, auth };
};

test("a path is one below baseUrl", async (t) => {
  const { service, auth } = await under(t);
  for (const path of ["/items", "items", "/api/items", new URL("/api/items", service.url)]) {
    assert.equal((await auth.fetch(path)).status, 200);
  }
  assert.equal(service.count("/api/items"), 4);
});

test("an address within a path leads nowhere else", async (t) => {
  const { service, auth } = await under(t);
  await auth.fetch("/http://127.0.0.1:1/items");
  assert.match(service.last("/api/http://127.0.0.1:1/items").headers.authorization, /^Bearer /);
});

test("a token never goes beside baseUrl, on its own origin either", async (t) => {
  const { service, auth } = await under(t);
  for (const path of ["../items", "/../items", "/api/../items", new URL("/apis", service.url), `${service.url}/api`]) {
    await auth.fetch(path);
  }
  const sent = service.calls.slice(-5);
  assert.deepEqual(sent.map(({ path }) => path), ["/items", "/items", "/items", "/apis", "/api"]);
  assert.deepEqual(sent.filter(({ headers }) => headers.authorization), []);
});

test("a token never goes to another origin", async (t) => {
  const { auth } = await signedIn(t);
  const other = await new Service().start();
  t.after(() => other.stop());
  await auth.fetch(`${other.url}/public`);
  assert.equal(other.last("/public").headers.authorization, undefined);
});

test("a token does not follow a redirect to another origin", async (t) => {
  const { auth } = await signedIn(t);
  const other = await new Service().start();
  t.after(() => other.stop());
  await auth.fetch(`/away?to=${other.url}/public`);
  assert.equal(other.count("/public"), 1);
  assert.equal(other.last("/public").headers.authorization, undefined);
});

test("what one user asked for is not carried out as the next", async (t) => {
  const { service, auth } = await signedIn(t);
  const held = service.hold("/items", "before");
  const answer = auth.fetch("/items", { method: "POST", body: "anna's" });
  await held.arrived;
  await auth.login({ username: "bea", password: "right" });
  service.sessions.get("s1").live = false;
  held.release();
  assert.equal((await answer).status, 401);
  assert.equal(service.count("/items"), 1);
});

test("what one user asked for is not sent as the next after a wait", async (t) => {
  const { service, jar, auth } = await signedIn(t);
  jar.cookie = jar.cookie.replace("s1", service.open("bea").sid); // by another SPA of this browser
  passTime(t, 11 * 60_000);
  await assert.rejects(auth.fetch("/items", { method: "POST" }), { code: "session_changed" });
  assert.equal(service.count("/items"), 0);
});

test("an abort is heard while a refresh is waited for", async (t) => {
  const { service, auth } = await signedIn(t);
  passTime(t, 11 * 60_000);
  const held = service.hold("/auth/refresh");
  const controller = new AbortController();
  const answer = auth.fetch("/items", { signal: controller.signal });
  await held.arrived;
  controller.abort();
  await assert.rejects(answer, { name: "AbortError" });
  held.release();
});

test("a request aborted before it began is not sent", async (t) => {
  const { service, auth } = await signedIn(t);
  await assert.rejects(auth.fetch("/items", { signal: AbortSignal.abort() }), { name: "AbortError" });
  assert.equal(service.count("/items"), 0);
});

test("a request aborted before it began does not wait for a refresh", async (t) => {
  const { service, auth } = await signedIn(t);
  passTime(t, 11 * 60_000);
  const held = service.hold("/auth/refresh");
  await assert.rejects(auth.fetch("/items", { signal: AbortSignal.abort() }), { name: "AbortError" });
  held.release();
});

test("a service that refused every token is asked again later", async (t) => {
  const { service, auth } = await signedIn(t);
  service.fixed = 401;
  await auth.fetch("/items");
  const now = performance.now.bind(performance);
  t.mock.method(performance, "now", () => now() + 60_000);
  service.fixed = null;
  service.expireTokens();
  assert.equal((await auth.fetch("/items")).status, 200);
});

test("a network error of the request itself is the caller's", async (t) => {
  const { service, auth } = await signedIn(t);
  service.fail("/items", { cut: "before" });
  await assert.rejects(auth.fetch("/items"), TypeError);
  assert.equal(auth.getSnapshot().status, "signed-in");
});

test("an API under a path is found", async (t) => {
  const { createAuth } = await import("../itemsapi-auth.js");
  const { service, storage, tabs } = await open(t);
  tabs.push(createAuth({ baseUrl: `${service.url}/api`, storage }));
  await tabs[0].restore({ force: true }).catch(() => {});
  assert.equal(service.calls[0].path, "/api/auth/refresh");
});
