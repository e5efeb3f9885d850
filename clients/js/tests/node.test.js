import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { createAuth } from "../itemsapi-auth.js";
import { ANNA, open } from "./browser.js";

const CLIENT = new URL("../itemsapi-auth.js", import.meta.url);
// Nothing listens there. Each wait is a hundredth, and the clock runs a hundred times as fast.
const AWAY = `
  const [later, now] = [setTimeout, performance.now.bind(performance)];
  globalThis.setTimeout = (act, ms, ...rest) => later(act, ms / 100, ...rest);
  performance.now = () => now() * 100;
  const auth = createAuth({ baseUrl: "http://127.0.0.1:1" });
`;

/** Run a script in a process of its own, until it ends by itself; return what it printed. */
const run = (script) => {
  const code = `import { createAuth } from ${JSON.stringify(CLIENT)};\n${script}`;
  const options = { encoding: "utf8", timeout: 60_000 };
  const { status, stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "--eval", code], options);
  assert.equal(status, 0, stderr);
  return stdout.trim();
};

test("a process with a client ends by itself", () => {
  const script = `
    const auth = createAuth({ baseUrl: "https://api.example" });
    auth.subscribe(() => {});
    console.log(auth.getSnapshot().status);`;
  assert.equal(run(script), "unknown");
});

test("attempts in the background do not keep a process alive", () => {
  const script = `${AWAY} await auth.restore().catch(({ code }) => console.log(code));`;
  assert.equal(run(script), "network_error");
});

test("a call that joins them does", () => {
  const script = `${AWAY}
    await auth.restore().catch(() => {});
    await auth.restore().catch(({ code }) => console.log(code));`;
  assert.equal(run(script), "network_error");
});

for (const options of [undefined, {}, { baseUrl: undefined }, { baseUrl: "" }, { baseUrl: "/api" }])
  test(`without a page, ${JSON.stringify(options)} is enough until the first request`, async () => {
    const auth = createAuth(options);
    assert.equal(auth.getSnapshot(), auth.getServerSnapshot());
    for (const call of [() => auth.login(ANNA), () => auth.fetch("/items"), () => auth.restore()])
      await assert.rejects(call, /^TypeError: createAuth needs the address of the API here, .+https:.+ no page that ".*" could/);
  });

for (const baseUrl of ["localhost:8000", "api.example:80/api", "ftp://api.example", "file:///api"])
  test(`${baseUrl} is refused at once, in one line`, () => {
    assert.throws(() => createAuth({ baseUrl }), new RegExp(`"${baseUrl}" is no URL of an API; write .+ "https://`));
  });

/** Pretend that there is a page of this origin. */
const onPage = (t, origin) => {
  globalThis.location = { origin };
  t.after(() => delete globalThis.location);
};

for (const [baseUrl, path] of [[undefined, ""], ["", ""], ["/", ""], ["/api", "/api"], ["/api/", "/api"], ["api", "/api"]])
  test(`on a page, baseUrl ${JSON.stringify(baseUrl)} is of its origin`, async (t) => {
    const { service, tabs, storage } = await open(t);
    onPage(t, service.url);
    service.below = path;
    const auth = createAuth({ baseUrl, storage });
    tabs.push(auth);
    await auth.login(ANNA);
    assert.equal((await auth.fetch("/items")).status, 200);
    assert.equal(service.count(`${path}/items`), 1);
  });

test("on a page without an origin, an absolute baseUrl works", async (t) => {
  const { service, tab } = await open(t);
  onPage(t, "null"); // a sandboxed frame
  await tab().login(ANNA);
  assert.equal(service.count("/auth/login"), 1);
});
