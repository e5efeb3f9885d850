// What a test drives: the client as any application uses it, its state shown on the page.
// ?api=ORIGIN is where the API is; ?without=locks,channel takes from the browser what old ones lack.
const asked = new URLSearchParams(location.search);
const api = asked.get("api") ?? location.origin;
const without = asked.get("without") ?? "";
const Channel = globalThis.BroadcastChannel;

if (without.includes("locks")) Object.defineProperty(navigator, "locks", { value: undefined });
if (without.includes("channel")) delete globalThis.BroadcastChannel;

const { createAuth } = await import(`${api}/client.js`);
// In a browser where somebody signed in before, no refresh follows the sign-in.
if (!asked.has("first")) localStorage[`itemsapi-auth:${api}/`] ??= "out";
const auth = createAuth({ baseUrl: api });
const show = (id, text) => (document.getElementById(id).textContent = text);
const results = [];
let busy = null;

const render = () => {
  const { status, sessionId, reason } = auth.getSnapshot();
  show("status", status);
  show("session", sessionId ?? "");
  show("reason", reason ?? "");
};

/** Answers' status codes, or the code of the error. */
const call = (path = "/auth/sessions", init) =>
  auth.fetch(path, init).then((answer) => answer.status, (error) => error.code ?? String(error));

const several = (count) => Promise.all(Array.from({ length: count }, () => call()));

/** All tabs at once: whoever is told tells the others. */
const orders = new Channel("test-orders");
const obey = async ({ round, count }) => {
  results.push(...(await several(count)));
  show("done", String(round));
};
orders.onmessage = ({ data }) => obey(data);

addEventListener("pageshow", ({ persisted }) => (globalThis.persisted = persisted));
globalThis.api = api;
globalThis.spa = {
  auth,
  call,
  several,
  results,
  all: (order) => (orders.postMessage(order), obey(order)),
  login: (username, password) => auth.login({ username, password }).then(() => null, (e) => e.code),
  changePassword: (currentPassword, newPassword) =>
    auth.changePassword({ currentPassword, newPassword }).then(() => null, (e) => e.code),
  logout: (options) => auth.logout(options).then(() => null, (e) => e.code),
  /** Ask again and again, as a page with live data does. */
  poll: (pause) => {
    const again = async () => {
      await call();
      if (auth.getSnapshot().status === "signed-in") busy = setTimeout(again, pause);
    };
    again();
  },
  rest: () => clearTimeout(busy),
};

auth.subscribe(render);
await auth.restore().catch((error) => show("reason", error.code));
render();
