// A program that knows its way by RFC 8414 alone: node oauth4webapi.mjs ISSUER REFRESH_TOKEN
import assert from "node:assert/strict";
import * as oauth from "oauth4webapi";

const [issuer, first] = process.argv.slice(2);
const options = { [oauth.allowInsecureRequests]: true }; // the issuer is on a loopback address
const client = { client_id: "app" };
const nobody = oauth.None();

const where = new URL(issuer);
const found = await oauth.discoveryRequest(where, { ...options, algorithm: "oauth2" });
const server = await oauth.processDiscoveryResponse(where, found);
console.log("discovered");

const refresh = async (token, more = {}) => {
  const answer = await oauth.refreshTokenGrantRequest(server, client, nobody, token, {
    ...options,
    ...more,
  });
  return oauth.processRefreshTokenResponse(server, client, answer);
};

const second = await refresh(first);
assert.notEqual(second.refresh_token, first);
console.log("refreshed");

const third = await refresh(second.refresh_token, {
  additionalParameters: new URLSearchParams({ scope: "items:read" }),
});
assert.equal(third.scope, "items:read");
console.log("narrowed");

await assert.rejects(refresh("nonsense"), (error) => {
  assert.ok(error instanceof oauth.ResponseBodyError);
  assert.deepEqual([error.status, error.error], [400, "invalid_grant"]);
  return true;
});
console.log("refused");

const revoked = await oauth.revocationRequest(server, client, nobody, third.refresh_token, options);
await oauth.processRevocationResponse(revoked);
await assert.rejects(refresh(third.refresh_token), { error: "invalid_grant" });
console.log("revoked");
