"""Tokens of one kind in place of another, correctly signed."""

import pytest

from itemsapi.problems import RefreshInvalid
from itemsapi.testing.tokens import decode_part, encode_part, sign
from itemsapi.tokens.keys import derive_key, symmetric_key
from support.forged_tokens import ACCEPTED, REJECTED, TokenForger
from support.odd_values import NO_IDS


@pytest.mark.parametrize("name", ["sub", "sid", "gen"])
def test_the_codec_rejects_a_refresh_token_with_a_malformed_claim(
    forge: TokenForger, name: str
) -> None:
    """S-033: before the value reaches the database."""
    key = symmetric_key(derive_key(forge.backend.services.settings.secret_key, "refresh tokens"))
    header, claims = (decode_part(forge.login["refresh_token"], at) for at in (0, 1))
    token = sign(key, header, claims | {name: "x\0"})
    with forge.backend.app.app_context(), pytest.raises(RefreshInvalid):
        forge.backend.services.token_codec.verify_refresh_token(token)


@pytest.mark.parametrize("name", ["sub", "sid", "gen"])
def test_a_refresh_token_is_rejected_when_a_claim_is_malformed(
    forge: TokenForger, name: str
) -> None:
    """Signed with the right key: 401, not 500 (S-033)."""
    key = symmetric_key(derive_key(forge.backend.services.settings.secret_key, "refresh tokens"))
    header, claims = (decode_part(forge.login["refresh_token"], at) for at in (0, 1))
    odd = [2**63, 10**30] if name == "gen" else NO_IDS
    tokens = [sign(key, header, claims | {name: value}) for value in odd]
    responses = [
        forge.client().post("/auth/refresh", json={"refresh_token": one}) for one in tokens
    ]
    assert {response.status_code for response in responses} == {401}


@pytest.mark.parametrize("kind", [None, "", "refresh", "ACCESS", "Access", "access ", 1, [], True])
def test_a_token_is_rejected_when_it_has_another_type_claim(
    forge: TokenForger, kind: object
) -> None:
    """Flask-JWT-Extended accepts any `type` but `refresh` as an access token (S-031)."""
    assert forge.try_token(forge.with_claims(type=kind)) == REJECTED


def test_a_refresh_token_is_rejected_as_an_access_token(forge: TokenForger) -> None:
    """With the typ of one, too: other key, other kid, other claims (S-031, S-121)."""
    refresh = forge.login["refresh_token"]
    relabelled = (
        encode_part(decode_part(refresh, 0) | {"typ": "at+jwt"}) + refresh[refresh.index(".") :]
    )
    assert {forge.try_token(token) for token in (refresh, relabelled)} == {REJECTED}


def test_access_claims_are_rejected_when_the_refresh_key_signed_them(forge: TokenForger) -> None:
    """A leaked refresh key can still sign no access token (S-121)."""
    key = symmetric_key(derive_key(forge.backend.services.settings.secret_key, "refresh tokens"))
    heads = [{"alg": "HS256", "kid": key.kid, "typ": typ} for typ in ("at+jwt", "rt+jwt")]
    assert {forge.try_token(sign(key, head, forge.payload)) for head in heads} == {REJECTED}


@pytest.mark.parametrize("path", ["/auth/refresh", "/auth/logout"])
def test_an_access_token_is_rejected_as_a_refresh_token(forge: TokenForger, path: str) -> None:
    """In the body, and with another typ (S-031): logout ends nothing, refresh returns 401."""
    relabelled = forge.with_header(typ="rt+jwt")
    responses = [
        forge.client().post(path, json={"refresh_token": token})
        for token in (forge.valid_token, relabelled)
    ]
    assert {response.status_code for response in responses} == {401 if "refresh" in path else 204}
    assert forge.try_token(forge.valid_token) == ACCEPTED


def test_an_access_token_is_rejected_as_a_refresh_token_at_the_oauth_endpoint(
    forge: TokenForger,
) -> None:
    """The same at /oauth/token: invalid_grant (S-031, RFC 6749 section 5.2)."""
    form = {"grant_type": "refresh_token", "refresh_token": forge.valid_token}
    response = forge.client().post("/oauth/token", data=form)
    assert (response.status_code, response.get_json()["error"]) == (400, "invalid_grant")


def test_refresh_claims_are_rejected_when_the_key_set_signed_them(forge: TokenForger) -> None:
    """A correctly signed access token with all claims of a refresh token (S-121)."""
    claims = decode_part(forge.login["refresh_token"], 1)
    token = sign(forge.key, forge.header | {"typ": "rt+jwt"}, claims)
    response = forge.client().post("/auth/refresh", json={"refresh_token": token})
    assert (response.status_code, response.get_json()["code"]) == (401, "invalid_refresh_token")
