/**
 * A small service that speaks itemsapi's sign-in contract over loopback, with faults to order.
 *
 * It follows the rotation rule of the real one: the direct predecessor of a refresh token is handed
 * the same successor again, anything older ends the session.
 */
import { once } from "node:events";
import { createServer } from "node:http";

const COOKIE = "__Host-Http-itemsapi_rt";

/** @typedef {{status?: number, headers?: object, body?: string, cut?: "before" | "after",
 *   hold?: "before" | "after", until?: Promise<void>}} Fault */

export class Service {
  calls = []; // {method, path, headers, body, status}
  sessions = new Map(); // id -> {gen, user, live}
  refused = new Set(); // access tokens that no longer hold
  lifetime = 600;
  fixed = null; // answer everything on /items with this status
  strict = false;
  #faults = new Map();
  #sid = 0;

  async start() {
    this.http = createServer((request, response) => this.#answer(request, response));
    this.http.listen(0, "127.0.0.1");
    await once(this.http, "listening");
    this.url = `http://127.0.0.1:${this.http.address().port}`;
    return this;
  }

  stop() {
    this.http.closeAllConnections();
    this.http.close();
  }

  /** Order faults for the next calls of a path, one each. */
  fail(path, ...faults) {
    this.#faults.set(path, [...(this.#faults.get(path) ?? []), ...faults]);
  }

  /** Hold the next answer of a path back, before or after its work; `release` lets it go. */
  hold(path, when = "after") {
    let release;
    const until = new Promise((resolve) => (release = resolve));
    let reached;
    const arrived = new Promise((resolve) => (reached = resolve));
    this.fail(path, { hold: when, until, reached });
    return { release, arrived };
  }

  count(path) {
    return this.calls.filter((call) => call.path === path).length;
  }

  last(path) {
    return this.calls.findLast((call) => call.path === path);
  }

  /** Every access token made so far is over, as after its lifetime. */
  expireTokens() {
    for (const [sid, { gen }] of this.sessions)
      for (let g = 0; g <= gen; g += 1) this.refused.add(`at.${sid}.${g}`);
  }

  endSessions() {
    for (const session of this.sessions.values()) session.live = false;
  }

  async #answer(request, response) {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const path = request.url.split("?")[0];
    const call = { method: request.method, path, url: request.url, headers: request.headers };
    this.calls.push(Object.assign(call, { body: Buffer.concat(chunks).toString() }));
    const fault = this.#faults.get(path)?.shift() ?? {};
    if (fault.hold === "before") await this.#wait(fault);
    if (fault.cut === "before") return void request.socket.destroy();
    const answer = fault.status ? fault : this.#route(call);
    if (fault.hold === "after") await this.#wait(fault);
    if (fault.cut === "after") return void request.socket.destroy();
    call.status = answer.status;
    response.writeHead(answer.status, { "Content-Type": "application/json", ...answer.headers });
    response.end(answer.body ?? (answer.json && JSON.stringify(answer.json)));
  }

  async #wait({ until, reached }) {
    reached();
    await until;
  }

  #route(call) {
    const routes = {
      "POST /auth/login": () => this.#browser(call, () => this.#login(call)),
      "POST /auth/refresh": () => this.#browser(call, () => this.#refresh(call)),
      "POST /auth/logout": () => this.#browser(call, () => this.#logout(call)),
    };
    const route = routes[`${call.method} ${call.path}`];
    return route ? route() : this.#protected(call);
  }

  /** What stands against cross-site request forgery. */
  #browser({ headers }, then) {
    const json = headers["content-type"] === "application/json";
    return json && headers["x-auth-delivery"] === "cookie" ? then() : problem(403, "csrf");
  }

  #login({ body }) {
    const { username, password } = JSON.parse(body);
    if (password !== "right") return problem(401, "invalid_credentials");
    const sid = `s${(this.#sid += 1)}`;
    this.sessions.set(sid, { gen: 0, user: username, live: true });
    return this.#grant(sid);
  }

  #refresh({ headers }) {
    const [sid, gen] = presented(headers);
    const session = this.sessions.get(sid);
    if (!session?.live) return problem(401, "invalid_refresh_token");
    if (gen === session.gen) session.gen += 1;
    else if (this.strict || gen !== session.gen - 1) {
      session.live = false;
      return problem(401, "refresh_reused");
    }
    return this.#grant(sid);
  }

  #logout({ headers }) {
    const session = this.sessions.get(presented(headers)[0]);
    if (session) session.live = false;
    return { status: 204, headers: { "Set-Cookie": `${COOKIE}=; Max-Age=0` } };
  }

  #grant(sid) {
    const { gen } = this.sessions.get(sid);
    const json = {
      access_token: `at.${sid}.${gen}`,
      token_type: "Bearer",
      expires_in: this.lifetime,
      scope: "items:read items:write",
      session_id: sid,
    };
    return { status: 200, headers: { "Set-Cookie": `${COOKIE}=${sid}.${gen}` }, json };
  }

  #protected({ method, headers, body, url }) {
    if (url === "/public") return { status: 200, json: {} };
    const token = headers.authorization?.replace("Bearer ", "");
    const session = this.sessions.get(token?.split(".")[1]);
    if (!session?.live || this.refused.has(token)) return problem(401, "invalid_token");
    if (this.fixed) return problem(this.fixed, "fixed");
    if (url.startsWith("/away")) return { status: 307, headers: { Location: url.split("to=")[1] } };
    if (method === "DELETE") return { status: 204 };
    return { status: 200, json: { user: session.user, body } };
  }
}

const presented = ({ cookie = "" }) => {
  const [sid, gen] = cookie.split(`${COOKIE}=`)[1]?.split(".") ?? [];
  return [sid, Number(gen)];
};

const problem = (status, code) => ({
  status,
  headers: { "Content-Type": "application/problem+json" },
  json: { status, code, title: code, detail: `In words: ${code}` },
});
