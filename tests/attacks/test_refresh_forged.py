"""Refresh tokens forged by somebody who has the key, or who has another token of ours."""

from collections.abc import Callable

import pytest
from flask_jwt_extended import decode_token

from itemsapi.clock import new_id
from itemsapi.problems import GateUnavailable, RefreshInvalid, TokenInvalid
from itemsapi.tokens.keys import Key, derive_key, symmetric_key
from support.app_factory import Backend
from support.forged_tokens import ProtectedEndpoints, TokenForger, decode_part, sign


@pytest.fixture
def dialect() -> str:
    """What is attacked here does not depend on the database."""
    return "sqlite"


@pytest.fixture
def forge(make_backend: Callable[..., Backend]) -> TokenForger:
    """A forge."""
    vault = ProtectedEndpoints()
    return TokenForger(make_backend(vault.blueprint), vault)


@pytest.fixture
def key(forge: TokenForger) -> Key:
    """The key that signs refresh tokens."""
    return symmetric_key(derive_key(forge.backend.services.settings.secret_key, "refresh tokens"))


def refreshed(forge: TokenForger, token: str) -> tuple[int, str]:
    """Present a refresh token; return the status and the code."""
    answer = forge.client().post("/auth/refresh", json={"refresh_token": token})
    return answer.status_code, answer.get_json().get("code", "")


def forged(forge: TokenForger, key: Key, **claims: object) -> str:
    """Sign the real token's payload with some claims changed; `...` leaves a claim out."""
    token = forge.login["refresh_token"]
    changed = decode_part(token, 1) | claims
    kept = {name: value for name, value in changed.items() if value is not ...}
    return sign(key, decode_part(token, 0), kept)


def test_the_forgery_with_nothing_changed_is_good(forge: TokenForger, key: Key) -> None:
    """So that the others are refused for what they say."""
    assert refreshed(forge, forged(forge, key)) == (200, "")


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
def test_a_claim_that_is_not_exactly_right_is_refused(
    forge: TokenForger, key: Key, claims: dict[str, object]
) -> None:
    """S-028, S-033: and the session lives on, for nobody copied a token of it."""
    assert refreshed(forge, forged(forge, key, **claims)) == (401, "invalid_refresh_token")
    assert refreshed(forge, forge.login["refresh_token"]) == (200, "")


def test_a_session_is_refused_under_the_name_of_another_user(forge: TokenForger, key: Key) -> None:
    """S-028: whose session it is says the row, and the token must say the same."""
    stranger = forge.backend.create_user("stranger", "admin")
    assert refreshed(forge, forged(forge, key, sub=stranger)) == (401, "invalid_refresh_token")


def test_the_codec_reads_no_token_that_is_too_long(forge: TokenForger, key: Key) -> None:
    """S-027: though well signed, and where no header or schema is in front to refuse it."""
    room = 8192 - len(forged(forge, key, x=""))
    longest, longer = (forged(forge, key, x="y" * (3 * room // 4 + more)) for more in (1, 2))
    assert len(longest) == 8192 < len(longer)
    read = forge.backend.services.issuer.token_codec.verify_refresh_token
    with forge.backend.app.app_context():
        assert read(longest).gen == 1
        with pytest.raises(RefreshInvalid):
            read(longer)


def test_another_algorithm_for_the_same_key_is_refused(forge: TokenForger, key: Key) -> None:
    """Key, kid and algorithm belong together (S-020)."""
    token = forge.login["refresh_token"]
    header = decode_part(token, 0) | {"alg": "HS512"}
    assert refreshed(forge, sign(key, header, decode_part(token, 1)))[0] == 401


def test_flask_jwt_extended_knows_no_key_but_ours(forge: TokenForger) -> None:
    """Its own `decode_token` goes by the same ring (S-023)."""
    token = forge.with_header(kid="of-nobody")
    with forge.backend.app.app_context(), pytest.raises(TokenInvalid):
        decode_token(token)


def test_a_ring_that_fails_between_two_looks_is_no_fault_of_the_token(
    forge: TokenForger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """503, so that the client keeps it (S-003)."""
    key_set = forge.backend.services.key_set
    find, looks = key_set.find, iter([True])

    def once(kid: str) -> Key | None:
        if next(looks, None):
            return find(kid)
        raise GateUnavailable

    monkeypatch.setattr(key_set, "find", once)
    answer = forge.backend.bearer_client(forge.with_claims(jti=new_id())).get("/vault")
    assert (answer.status_code, forge.vault.calls) == (503, 0)
