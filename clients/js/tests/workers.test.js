import assert from "node:assert/strict";
import { test } from "node:test";
import { Worker } from "node:worker_threads";
import { ANNA, open, ThreadLocks } from "./browser.js";

/** Start a tab in a thread of its own, which runs commands. */
const tabInThread = (t, { service, jar, locks }) => {
  const workerData = { url: service.url, jar: jar.buffer, locks: locks.buffer };
  const worker = new Worker(new URL("./tab.js", import.meta.url), { workerData });
  t.after(() => worker.terminate());
  return (verb) =>
    new Promise((resolve, reject) => {
      worker.once("message", resolve);
      worker.once("error", reject);
      worker.postMessage(verb);
    });
};

test("five tabs in threads of their own wake up together, 50 times, and stay one session", async (t) => {
  const world = await open(t, { locks: new ThreadLocks() });
  const { service } = world;
  service.strict = true;
  await world.tab().login(ANNA);
  const tabs = Array.from({ length: 5 }, () => tabInThread(t, world));
  for (let round = 0; round < 50; round += 1) {
    service.expireTokens();
    const seen = await Promise.all(tabs.map((tell) => tell("items")));
    assert.deepEqual(new Set(seen.map(({ status }) => status)), new Set([200]));
  }
  assert.equal(service.sessions.get("s1").live, true);
});

test("a logout crosses threads", async (t) => {
  const world = await open(t, { locks: new ThreadLocks() });
  const auth = world.tab();
  await auth.login(ANNA);
  const tell = tabInThread(t, world);
  await tell("items");
  const ended = tell("wait-for-end");
  await auth.logout();
  assert.equal((await ended).snapshot, "signed-out");
});
