"""Headers of tokens with hostile members, correctly signed."""

import pytest

from itemsapi.testing.tokens import sign
from itemsapi.tokens.keys import symmetric_key
from support.forged_tokens import ACCEPTED, REJECTED, TokenForger
from support.odd_values import NO_WORDS


@pytest.mark.parametrize(
    "typ",
    [
        None,
        1,
        [],
        {},
        "",
        "JWT",
        "at",
        "at+jwt ",
        " at+jwt",
        "rt+jwt",
        "application/jwt",
        "at+jwt;x=1",
        "application/application/at+jwt",
        "dpop+jwt",
        "id_token+jwt",
        "at\u2010jwt",
        "application/rt+jwt",
    ],
)
def test_a_token_is_rejected_when_it_has_another_typ(forge: TokenForger, typ: object) -> None:
    """RFC 9068 section 4 (S-025)."""
    assert forge.try_token(forge.with_header(typ=typ)) == REJECTED


@pytest.mark.parametrize("typ", ["at+jwt", "AT+JWT", "application/at+jwt", "Application/AT+jwt"])
def test_typ_is_compared_as_a_media_type(forge: TokenForger, typ: str) -> None:
    """Case-insensitive, with or without `application/` (RFC 7515 section 4.1.9, S-025)."""
    assert forge.try_token(forge.with_header(typ=typ)) == ACCEPTED


ODD_MEMBERS: dict[str, list[object]] = {
    "crit": [["exp"], ["b64"], ["x"], [], None, "exp"],
    "b64": [False, True, "false"],
    "zip": ["DEF", "", None],
    "jwk": [{}, {"kty": "oct", "k": "AAAA"}, None, "x"],
    "jku": ["http://127.0.0.1:9/jwks.json", "", None],
    "x5u": ["http://127.0.0.1:9/x.pem", "file:///etc/passwd"],
    "x5c": [["MIIB"], [], "MIIB"],
    "x5t": ["AAAA"],
    "x5t#S256": ["AAAA"],
    "enc": ["A256GCM"],
    "cty": ["JWT", ""],
    "epk": [{}],
    "p2c": [10**9],
    "apu": ["x"],
    "iss": ["http://localhost:8000"],
    "": [1],
    "Alg": ["none"],
    "ALG": ["none"],
}


@pytest.mark.parametrize("name", ODD_MEMBERS)
def test_a_token_is_rejected_when_its_header_has_another_member(
    forge: TokenForger, name: str
) -> None:
    """Exactly alg, kid and typ: nothing is fetched, decompressed or disabled (S-022, S-026)."""
    tokens = [forge.with_header(**{name: value}) for value in ODD_MEMBERS[name]]
    assert {forge.try_token(token) for token in tokens} == {REJECTED}


@pytest.mark.parametrize("name", ["alg", "kid", "typ"])
def test_every_header_member_is_required(forge: TokenForger, name: str) -> None:
    """And is a word (S-020, S-023, S-025)."""
    tokens = [forge.with_header(**{name: value}) for value in (..., *NO_WORDS)]
    assert {forge.try_token(token) for token in tokens} == {REJECTED}


def test_a_token_is_rejected_when_it_brings_its_own_key(forge: TokenForger) -> None:
    """A token signed by the key in its header (CVE-2026-27962, S-022)."""
    key = symmetric_key(b"attacker" * 4)
    header = forge.header | {"alg": "HS256", "jwk": key.members()}
    heads = [header, header | {"kid": key.kid}]
    assert {forge.try_token(sign(key, head, forge.payload)) for head in heads} == {REJECTED}


ODD_KIDS = [
    "../../../../dev/null",
    "/dev/null",
    "file:///dev/null",
    "' OR '1'='1",
    "x'; DROP TABLE itemsapi_user;--",
    "%00",
    "\x00",
    "\r\nX-Injected: 1",
    "\x1b[31m",
    "\u202e",
    "\ud800",
    "*",
    "%",
    "_",
    "None",
    "null",
    "x" * 200,
    "__proto__",
    "é",
    "\ufeff",
    "http://127.0.0.1:9/",
    "{{7*7}}",
    "${jndi:ldap://x}",
]


@pytest.mark.parametrize("at", range(len(ODD_KIDS)))
def test_a_token_is_rejected_when_its_kid_is_hostile(forge: TokenForger, at: int) -> None:
    """Traversal, SQL, control characters, lone surrogates: looked up and not found (S-023)."""
    assert forge.try_token(forge.with_header(kid=ODD_KIDS[at])) == REJECTED


def test_a_token_is_rejected_when_its_kid_is_spelled_otherwise(forge: TokenForger) -> None:
    """Compared exactly (S-023)."""
    kid = forge.key.kid
    odd = [kid + " ", kid[:-1], kid.swapcase(), kid + "=", f"{kid},{kid}", kid + "\x00"]
    assert {forge.try_token(forge.with_header(kid=one)) for one in odd} == {REJECTED}
