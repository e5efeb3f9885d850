import assert from "node:assert/strict";
import { test } from "node:test";
import { ANNA, hurry, open, passTime, signedIn } from "./browser.js";
import { Service } from "./server.js";

const NO_ANSWER = "The service did not answer. Check the connection, and try again. (network_error)";

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

test("a request without a session carries no token", async (t) => {
  const { service, tab } = await open(t);
  assert.equal((await tab().fetch("/public")).status, 200);
  assert.equal(service.last("/public").headers.authorization, undefined);
});

test("a 401 without a session causes no refresh", async (t) => {
  const { service, tab } = await open(t);
  assert.equal((await tab().fetch("/items")).status, 401);
  assert.equal(service.count("/auth/refresh"), 0);
});

test("a 401 causes one refresh and one retry", async (t) => {
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
  const response = await auth.fetch("/items", { method: "POST", body });
  assert.equal((await response.json()).body, body);
});

test("a Request object is accepted, as openapi-fetch gives it", async (t) => {
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
  const response = await auth.fetch("/items", { method: "POST", body, duplex: "half" });
  assert.equal((await response.json()).body, "in pieces");
});

test("a URL object is accepted", async (t) => {
  const { service, auth } = await signedIn(t);
  assert.equal((await auth.fetch(new URL("/items", service.url))).status, 200);
});

test("many parallel 401 responses cause one refresh", async (t) => {
  const { service, auth } = await signedIn(t);
  service.expireTokens();
  const responses = await Promise.all(Array.from({ length: 20 }, () => auth.fetch("/items")));
  assert.deepEqual([...new Set(responses.map((response) => response.status))], [200]);
  assert.equal(service.count("/auth/refresh"), 1);
});

test("a 403 never refreshes", async (t) => {
  const { service, auth } = await signedIn(t);
  service.fixed = 403;
  assert.equal((await auth.fetch("/items")).status, 403);
  assert.equal(service.count("/auth/refresh"), 0);
});

test("a service that rejects every token causes no loop", async (t) => {
  const { service, auth } = await signedIn(t);
  service.fixed = 401;
  t.mock.method(performance, "now", () => 1_000); // on a slow machine the pause would be over
  for (let i = 0; i < 50; i += 1) assert.equal((await auth.fetch("/items")).status, 401);
  assert.equal(service.count("/auth/refresh"), 1);
  assert.equal(auth.getSnapshot().status, "signed-in");
});

test("a transient failure of refresh makes the request fail, not look refused", async (t) => {
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

test("a URL within a path stays within it", async (t) => {
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

test("a request of one user is not sent as the next user", async (t) => {
  const { service, auth } = await signedIn(t);
  const delayed = service.delay("/items", "before");
  const response = auth.fetch("/items", { method: "POST", body: "anna's" });
  await delayed.arrived;
  await auth.login({ username: "bea", password: "right" });
  service.sessions.get("s1").live = false;
  delayed.release();
  assert.equal((await response).status, 401);
  assert.equal(service.count("/items"), 1);
});

test("a request of one user is not sent as the next user after a wait", async (t) => {
  const { service, jar, auth } = await signedIn(t);
  jar.cookie = jar.cookie.replace("s1", service.open("bea").sid); // by another SPA of this browser
  passTime(t, 11 * 60_000);
  await assert.rejects(auth.fetch("/items", { method: "POST" }), { code: "session_changed" });
  assert.equal(service.count("/items"), 0);
});

test("an abort works during a refresh", async (t) => {
  const { service, auth } = await signedIn(t);
  passTime(t, 11 * 60_000);
  const delayed = service.delay("/auth/refresh");
  const controller = new AbortController();
  const response = auth.fetch("/items", { signal: controller.signal });
  await delayed.arrived;
  controller.abort();
  await assert.rejects(response, { name: "AbortError" });
  delayed.release();
});

test("a request that is already aborted is not sent", async (t) => {
  const { service, auth } = await signedIn(t);
  await assert.rejects(auth.fetch("/items", { signal: AbortSignal.abort() }), { name: "AbortError" });
  assert.equal(service.count("/items"), 0);
});

test("a request that is already aborted does not wait for a refresh", async (t) => {
  const { service, auth } = await signedIn(t);
  passTime(t, 11 * 60_000);
  const delayed = service.delay("/auth/refresh");
  await assert.rejects(auth.fetch("/items", { signal: AbortSignal.abort() }), { name: "AbortError" });
  delayed.release();
});

test("a service that rejected every token is called again later", async (t) => {
  const { service, auth } = await signedIn(t);
  service.fixed = 401;
  await auth.fetch("/items");
  const now = performance.now.bind(performance);
  t.mock.method(performance, "now", () => now() + 60_000);
  service.fixed = null;
  service.expireTokens();
  assert.equal((await auth.fetch("/items")).status, 200);
});

test("a request without a response rejects with words for the user", async (t) => {
  const { service, auth } = await signedIn(t);
  service.fail("/items", { cut: "before" });
  await assert.rejects(auth.fetch("/items"), (error) => {
    assert.equal(error.message, NO_ANSWER);
    assert.deepEqual([error.status, error.code], [0, "network_error"]);
    assert.ok(error.cause instanceof TypeError); // for developers: what fetch threw
    return true;
  });
  assert.equal(auth.getSnapshot().status, "signed-in");
});

test("a request beside baseUrl rejects in the same way without a response", async (t) => {
  const { auth } = await signedIn(t);
  const other = await new Service().start();
  await other.stop();
  await assert.rejects(auth.fetch(`${other.url}/public`), (error) => {
    assert.deepEqual([error.name, error.message, error.code], ["AuthError", NO_ANSWER, "network_error"]);
    return error.cause instanceof TypeError;
  });
});

test("an abort of a request beside baseUrl stays an abort", async (t) => {
  const { auth } = await signedIn(t);
  const away = auth.fetch("http://other.invalid/", { signal: AbortSignal.abort() });
  await assert.rejects(away, { name: "AbortError" });
});

test("an API under a path is found", async (t) => {
  const { createAuth } = await import("../itemsapi-auth.js");
  const { service, storage, tabs } = await open(t);
  tabs.push(createAuth({ baseUrl: `${service.url}/api`, storage }));
  await tabs[0].restore({ force: true }).catch(() => {});
  assert.equal(service.calls[0].path, "/api/auth/refresh");
});
