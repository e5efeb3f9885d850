/**
 * A small service on loopback with the sign-in endpoints of itemsapi, and faults on demand.
 *
 * It follows the rotation rule of the real one (docs/adr/0003): the first request with a refresh
 * token gets the next one, the same attempt gets it again, other requests in the window get only an
 * access token or wait, and a later request heals or ends the session.
 */
import { once } from "node:events";
import { createServer } from "node:http";

const COOKIE = "__Host-Http-itemsapi_rt";
const ATTEMPT = /^[!-~]{22,128}$/;
const now = performance.now.bind(performance); // before a test moves the client's clock

/** @typedef {{status?: number, headers?: object, body?: string, cut?: "before" | "after",
 *   delay?: "before" | "after", until?: Promise<void>}} Fault */

export class Service {
  calls = []; // {method, path, headers, body, status}
  sessions = new Map(); // id -> see `open`
  revoked = new Set(); // revoked access tokens
  window = 20_000; // milliseconds, as ITEMSAPI_REFRESH_GRACE
  lifetime = 600;
  fixed = null; // respond to everything below /items with this status
  below = ""; // the base path of the service
  strict = false; // strict single use of refresh tokens
  #faults = new Map();
  #permanentFaults = new Map();
  #issued = new Map(); // access token -> {sid, gen}
  #skipped = 0; // how far the clock of this service was moved
  #sid = 0;

  async start() {
    this.http = createServer((request, response) => this.#respond(request, response));
    this.http.listen(0, "127.0.0.1");
    await once(this.http, "listening");
    this.url = `http://127.0.0.1:${this.http.address().port}`;
    return this;
  }

  stop() {
    this.http.closeAllConnections();
    this.http.close();
  }

  /** Set faults for the next calls of a path, one each. */
  fail(path, ...faults) {
    this.#faults.set(path, [...(this.#faults.get(path) ?? []), ...faults]);
  }

  /** Respond to all calls of a path with this fault, until it is null. */
  break(path, fault) {
    this.#permanentFaults.set(path, fault);
  }

  /** Move the clock of the service forward. */
  skip(ms) {
    this.#skipped += ms;
  }

  /** Start a session, as a sign-in does. */
  open(user) {
    const sid = `s${(this.#sid += 1)}`;
    this.sessions.set(sid, { sid, user, live: true, gen: 0, renewed: 0, root: -1, seen: true, at: this.#now() });
    return this.sessions.get(sid);
  }

  /** Delay the next response of a path, before or after its work, until `release` is called. */
  delay(path, when = "after") {
    let release;
    const until = new Promise((resolve) => (release = resolve));
    let reached;
    const arrived = new Promise((resolve) => (reached = resolve));
    this.fail(path, { delay: when, until, reached });
    return { release, arrived };
  }

  count(path) {
    return this.calls.filter((call) => call.path === path).length;
  }

  last(path) {
    return this.calls.findLast((call) => call.path === path);
  }

  /** Expire every access token issued so far. */
  expireTokens() {
    for (const token of this.#issued.keys()) this.revoked.add(token);
  }

  endSessions() {
    for (const session of this.sessions.values()) session.live = false;
  }

  async #respond(request, response) {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const path = request.url.split("?")[0];
    const call = { method: request.method, path, url: request.url, headers: request.headers };
    this.calls.push(Object.assign(call, { body: Buffer.concat(chunks).toString() }));
    const fault = this.#faults.get(path)?.shift() ?? this.#permanentFaults.get(path) ?? {};
    if (fault.delay === "before") await this.#wait(fault);
    if (fault.cut === "before") return void request.socket.destroy();
    const result = fault.status ? fault : this.#route(call);
    if (fault.delay === "after") await this.#wait(fault);
    if (fault.cut === "after") return void request.socket.destroy();
    call.status = result.status;
    response.writeHead(result.status, { "Content-Type": "application/json", ...result.headers });
    response.end(result.body ?? (result.json && JSON.stringify(result.json)));
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
      "POST /me/password": () => this.#bearer(call, (session) => this.#password(call, session)),
    };
    const route = routes[`${call.method} ${call.path.slice(this.below.length)}`];
    return route ? route() : this.#protected(call);
  }

  /** Check what prevents cross-site request forgery. */
  #browser({ headers }, then) {
    const json = headers["content-type"] === "application/json";
    return json && headers["x-auth-delivery"] === "cookie" ? then() : problem(403, "csrf");
  }

  #login({ body }) {
    const { username, password } = JSON.parse(body);
    if (password !== "right") return problem(401, "invalid_credentials");
    return this.#grant(this.open(username));
  }

  /** Apply the table of docs/adr/0003, row by row: `p` is the presented generation. */
  #refresh({ headers }) {
    const [sid, p] = presented(headers);
    const session = this.sessions.get(sid);
    const attempt = headers["idempotency-key"];
    if (attempt !== undefined && !ATTEMPT.test(attempt)) return problem(400, "invalid_attempt");
    if (sid === undefined) return problem(401, "token_missing");
    if (!session?.live) return problem(401, "invalid_refresh_token");
    const { gen, root, seen, at } = session;
    if (p === gen) return this.#rotate(session, p, attempt);
    if (!this.strict && p < gen) {
      if (p === root && attempt && attempt === session.attempt) return this.#grant(session);
      const early = this.#now() - at <= this.window;
      if (early && p === root && gen === root + 1) return this.#grant(session, p);
      if (early) return problem(503, "refresh_superseded", { "Retry-After": "1" });
      if (p === root && !seen) return this.#rotate(session, p, attempt);
      if (p < session.renewed) return problem(401, "invalid_refresh_token");
    }
    session.live = false;
    return problem(401, "refresh_reused");
  }

  /** Start a new generation; those between it and `p` are superseded. */
  #rotate(session, p, attempt) {
    this.#revoke(session, (gen) => gen > p);
    const gen = session.gen + 1;
    Object.assign(session, { gen, root: p, seen: false, at: this.#now(), attempt });
    return this.#grant(session);
  }

  #revoke({ sid }, concerns) {
    for (const [token, of] of this.#issued)
      if (of.sid === sid && concerns(of.gen)) this.revoked.add(token);
  }

  #logout({ headers }) {
    const session = this.sessions.get(presented(headers)[0]);
    if (session) session.live = false;
    return { status: 204, headers: { "Set-Cookie": `${COOKIE}=; Max-Age=0` } };
  }

  /** Renew the session: every older token of it is revoked. */
  #password({ headers, body }, session) {
    if (headers["x-auth-delivery"] !== "cookie") return problem(400, "delivery");
    const { current_password, new_password } = JSON.parse(body);
    const invalid = (field, message) =>
      problem(422, "validation_failed", {}, { errors: [{ field, message }] });
    if (current_password !== "right") return invalid("current_password", "Not yours.");
    if (new_password.length < 8) return invalid("new_password", "Too short.");
    this.#revoke(session, () => true);
    const gen = session.gen + 1;
    const after = { gen, renewed: gen, root: -1, seen: true, at: this.#now(), attempt: undefined };
    Object.assign(session, after);
    return this.#grant(session);
  }

  /** Respond with the current generation and its cookie, or with an access token of `old` only. */
  #grant({ sid, gen, user }, old) {
    const name = `at.${sid}.${old ?? gen}`;
    const fresh = old === undefined && !this.revoked.has(name);
    const token = fresh ? name : `${name}.${this.#issued.size}`; // a repeated attempt gets the same one
    this.#issued.set(token, { sid, gen: old ?? gen });
    const json = {
      access_token: token,
      token_type: "Bearer",
      expires_in: this.lifetime,
      scope: "items:read items:write",
      session_id: sid,
      user: { id: `id of ${user}`, username: user },
    };
    const cookie = { "Set-Cookie": `${COOKIE}=${sid}.${gen}` };
    return { status: 200, headers: old === undefined ? cookie : {}, json };
  }

  /** Find the session of the bearer token, or respond 401; note that its generation was seen. */
  #bearer({ headers }, then) {
    const token = headers.authorization?.replace("Bearer ", "");
    const session = this.sessions.get(this.#issued.get(token)?.sid);
    if (!session?.live || this.revoked.has(token)) return problem(401, "invalid_token");
    if (this.#issued.get(token).gen === session.gen) session.seen = true;
    return then(session);
  }

  #protected(call) {
    const { method, body, url } = call;
    if (url === "/public") return { status: 200, json: {} };
    return this.#bearer(call, ({ user }) => {
      if (this.fixed) return problem(this.fixed, "fixed");
      if (url.startsWith("/away")) return { status: 307, headers: { Location: url.split("to=")[1] } };
      return method === "DELETE" ? { status: 204 } : { status: 200, json: { user, body } };
    });
  }

  #now() {
    return now() + this.#skipped;
  }
}

const presented = ({ cookie = "" }) => {
  const [sid, gen] = cookie.split(`${COOKIE}=`)[1]?.split(".") ?? [];
  return [sid, Number(gen)];
};

const problem = (status, code, headers, more) => ({
  status,
  headers: { "Content-Type": "application/problem+json", ...headers },
  json: { status, code, title: `Title of ${code}`, detail: `Detail of ${code}`, ...more },
});
