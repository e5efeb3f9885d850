/** One tab in a worker thread: runs the commands it receives and posts their results. */
import { parentPort, workerData } from "node:worker_threads";
import { createAuth } from "../itemsapi-auth.js";
import { fetchWith, Jar, setLocks, ThreadLocks } from "./browser.js";

globalThis.fetch = fetchWith(new Jar(workerData.jar));
setLocks(new ThreadLocks(workerData.locks));
const auth = createAuth({ baseUrl: workerData.url });

const commands = {
  items: async () => (await auth.fetch("/items")).status,
  "wait-for-end": () =>
    new Promise((resolve) => {
      const look = () => auth.getSnapshot().status === "signed-out" && resolve(0);
      auth.subscribe(look);
      look();
    }),
};

parentPort.on("message", async (verb) => {
  const status = await commands[verb]();
  parentPort.postMessage({ status, snapshot: auth.getSnapshot().status });
});
