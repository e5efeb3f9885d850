"""Refresh tokens forged with a leaked key or made of another token."""

from collections.abc import Callable

import pytest
from flask_jwt_extended import decode_token

from itemsapi.problems import RefreshInvalid, TokenInvalid
from itemsapi.testing.tokens import decode_part, sign
from itemsapi.tokens.keys import Key, derive_key, symmetric_key
from support.app_factory import Backend
from support.forged_tokens import ProtectedEndpoints, TokenForger

pytestmark = pytest.mark.dialect("sqlite")  # what is attacked here does not depend on the database


@pytest.fixture
def forge(make_backend: Callable[..., Backend]) -> TokenForger:
    """A forger."""
    vault = ProtectedEndpoints()
    return TokenForger(make_backend(vault.blueprint), vault)


@pytest.fixture
def key(forge: TokenForger) -> Key:
    """The key that signs refresh tokens."""
    return symmetric_key(derive_key(forge.backend.services.settings.secret_key, "refresh tokens"))


def refresh(forge: TokenForger, token: str) -> tuple[int, str]:
    """Present a refresh token; return the status and the code."""
    response = forge.client().post("/auth/refresh", json={"refresh_token": token})
    return response.status_code, response.get_json().get("code", "")


def forge_token(forge: TokenForger, key: Key, **claims: object) -> str:
    """Sign the real token's payload with some claims changed; `...` removes a claim."""
    token = forge.login["refresh_token"]
    changed = decode_part(token, 1) | claims
    kept = {name: value for name, value in changed.items() if value is not ...}
    return sign(key, decode_part(token, 0), kept)


def test_a_forgery_without_changes_is_accepted(forge: TokenForger, key: Key) -> None:
    """So the others are rejected because of their changes."""
    assert refresh(forge, forge_token(forge, key)) == (200, "")


@pytest.mark.parametrize(
    "claims",
    [
        {"sid": ...}, {"gen": ...}, {"type": ...}, {"iat": ...}, {"jti": ...}, {"type": "access"},
        {"sub": ""}, {"sub": 7}, {"sid": None}, {"sid": ["x"]}, {"sid": "x" * 201},
        {"gen": True}, {"gen": 0}, {"gen": -1}, {"gen": 1.0}, {"gen": "1"},
        {"iss": "https://elsewhere"}, {"aud": "somebody else"},
    ],
    ids=str,
)  # fmt: skip
def test_a_refresh_token_is_rejected_when_a_claim_is_wrong(
    forge: TokenForger, key: Key, claims: dict[str, object]
) -> None:
    """S-028, S-033: and the session continues, because no token of it was copied."""
    assert refresh(forge, forge_token(forge, key, **claims)) == (401, "invalid_refresh_token")
    assert refresh(forge, forge.login["refresh_token"]) == (200, "")


def test_a_refresh_token_is_rejected_when_it_names_another_user(
    forge: TokenForger, key: Key
) -> None:
    """S-028: the token and the row of the session must agree."""
    stranger = forge.backend.create_user("stranger", "admin")
    assert refresh(forge, forge_token(forge, key, sub=stranger)) == (401, "invalid_refresh_token")


def test_the_codec_rejects_a_token_that_is_too_long(forge: TokenForger, key: Key) -> None:
    """S-027: correctly signed, and without the limits of headers and schemas."""
    room = 8192 - len(forge_token(forge, key, x=""))
    longest, longer = (forge_token(forge, key, x="y" * (3 * room // 4 + extra)) for extra in (1, 2))
    assert len(longest) == 8192 < len(longer)
    read = forge.backend.services.issuer.token_codec.verify_refresh_token
    with forge.backend.app.app_context():
        assert read(longest).gen == 1
        with pytest.raises(RefreshInvalid):
            read(longer)


def test_a_refresh_token_is_rejected_when_it_has_another_algorithm(
    forge: TokenForger, key: Key
) -> None:
    """Key, kid and algorithm belong together (S-020)."""
    token = forge.login["refresh_token"]
    header = decode_part(token, 0) | {"alg": "HS512"}
    assert refresh(forge, sign(key, header, decode_part(token, 1)))[0] == 401


def test_flask_jwt_extended_uses_our_keys_only(forge: TokenForger) -> None:
    """Its own `decode_token` uses the same key set (S-023)."""
    token = forge.with_header(kid="of-nobody")
    with forge.backend.app.app_context(), pytest.raises(TokenInvalid):
        decode_token(token)
