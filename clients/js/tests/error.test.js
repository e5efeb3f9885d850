import assert from "node:assert/strict";
import { test } from "node:test";
import { AuthError } from "../itemsapi-auth.js";

const AWAY = "The service answered with the status 422. Try again later, or tell the operator. (http_error)";

test("a message is title, detail and code", () => {
  const { message, code } = new AuthError(409, { code: "conflict", title: "It changed", detail: "Load it again." });
  assert.equal(message, "It changed. Load it again. (conflict)");
  assert.equal(code, "conflict");
});

test("each sentence of a message has one full stop", () => {
  const messageOf = (problem) => new AuthError(404, problem).message;
  assert.equal(messageOf({ title: "No entry.", detail: "Ask" }), "No entry. Ask. (http_error)");
  assert.equal(messageOf({ title: "Who are you?", detail: "ログインしてください。 " }), "Who are you? ログインしてください。 (http_error)");
});

test("a message contains only texts", () => {
  const detail = [{ loc: ["body", "name"], msg: "Field required" }]; // as FastAPI sends it
  assert.equal(new AuthError(422, { detail }).message, AWAY);
  assert.equal(new AuthError(422, { code: 7, title: {}, detail: "Not Found" }).message, "Not Found. (http_error)");
});

test("a body of any kind makes an error", () => {
  for (const body of [null, undefined, "no", [], 0]) assert.equal(new AuthError(422, body).message, AWAY);
  assert.deepEqual(new AuthError(422, null).problem, {});
});
