"""Malformed tokens: other serializations, other spellings, other JSON."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from itemsapi.testing.tokens import encode_part
from support.forged_tokens import ACCEPTED, REJECTED, TokenForger

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
LOOSE = settings(
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def test_the_original_token_is_accepted(forge: TokenForger) -> None:
    """So each forgery is rejected because of its own fault."""
    assert forge.try_token(forge.valid_token) == ACCEPTED
    assert forge.try_token(forge.token()) == ACCEPTED


def test_a_token_is_rejected_when_it_does_not_have_three_parts(forge: TokenForger) -> None:
    """Five parts would be a JWE (S-026, S-027)."""
    head, body, tail = forge.valid_token.split(".")
    forms = [head, f"{head}.{body}", f"{head}.{body}.", f".{body}.{tail}", f"{head}..{tail}"]
    forms += [
        f"{forge.valid_token}.",
        f".{forge.valid_token}",
        f"{forge.valid_token}.{tail}",
        f"{forge.valid_token}.x.y",
    ]
    assert {forge.try_token(token) for token in forms} == {REJECTED}


def test_a_token_is_rejected_when_it_is_json_serialized(forge: TokenForger) -> None:
    """RFC 7515 section 7.2, general and flattened: only the compact form is accepted (S-026)."""
    head, body, tail = forge.valid_token.split(".")
    one = {"protected": head, "signature": tail}
    forms = [{"payload": body, **one}, {"payload": body, "signatures": [one]}]
    assert {forge.try_token(json.dumps(f, separators=(",", ":"))) for f in forms} == {REJECTED}


@pytest.mark.parametrize("odd", ["=", "==", "+", "/", "%2B", ",", "~", "\xad", "é", "."])
def test_a_token_is_rejected_when_it_has_other_characters(forge: TokenForger, odd: str) -> None:
    """The alphabet is checked first; PyJWT 2.15.1 accepts a trailing `=` (S-027)."""
    head, body, tail = forge.valid_token.split(".")
    forms = [
        f"{head}{odd}.{body}.{tail}",
        f"{head}.{body}{odd}.{tail}",
        f"{head}.{body}.{tail}{odd}",
    ]
    assert {forge.try_token(token) for token in forms} == {REJECTED}


def test_a_token_is_rejected_when_its_base64url_is_not_canonical(forge: TokenForger) -> None:
    """Unused bits decode to the same signature (GHSA-hxm8-2xgr-2p9m)."""
    last = ALPHABET.index(forge.valid_token[-1])
    twins = [forge.valid_token[:-1] + ALPHABET[last ^ bit] for bit in range(1, 4)]
    assert {forge.try_token(token) for token in twins} == {REJECTED}


@LOOSE
@given(at=st.integers(0, 10_000), letter=st.sampled_from(ALPHABET + ".=~"))
def test_a_token_is_rejected_when_one_character_is_changed(
    forge: TokenForger, at: int, letter: str
) -> None:
    """There is one spelling only (S-021, S-027)."""
    at %= len(forge.valid_token)
    token = forge.valid_token[:at] + letter + forge.valid_token[at + 1 :]
    assert forge.try_token(token) == (ACCEPTED if token == forge.valid_token else REJECTED)


@LOOSE
@given(text=st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=80))
def test_any_text_is_rejected_as_a_token(forge: TokenForger, text: str) -> None:
    """Any printable text: 401, never 5xx (S-014)."""
    assert forge.try_token(text) == REJECTED


@LOOSE
@given(head=st.binary(max_size=60), body=st.binary(max_size=60), tail=st.binary(max_size=60))
def test_any_bytes_are_rejected_as_parts_of_a_token(
    forge: TokenForger, head: bytes, body: bytes, tail: bytes
) -> None:
    """Well-formed base64url of any bytes: 401, never 5xx (S-014, S-028)."""
    assert forge.try_token(".".join(map(encode_part, (head, body, tail)))) == REJECTED


def test_an_oversized_token_gets_a_small_response(forge: TokenForger) -> None:
    """No token of ours has more than 8 KB (S-027)."""
    assert forge.with_claims(x="y" * 6100).__len__() > 8192
    sizes = [forge.with_claims(x="y" * 6030)[:8150], f"{'a' * 4000}.{'b' * 4000}.c"]
    assert {forge.try_token(token) for token in sizes} == {REJECTED}


HOSTILE_JSON = {
    "BOM": b"\xef\xbb\xbf%s",
    "UTF-16": None,
    "not UTF-8": b'{"x": "\xff", %s',
    "overlong UTF-8": b'{"x": "\xc0\xaf", %s',
    "CESU surrogates": b'{"x": "\xed\xa0\x80", %s',
    "NaN": b'{"x": NaN, %s',
    "Infinity": b'{"x": Infinity, %s',
    "-Infinity": b'{"x": -Infinity, %s',
    "trailing words": b"%s {}",
    "NUL behind": b"%s\x00",
    "NUL in front": b"\x00%s",
    "single quotes": b"{'x': 1, %s",
    "comment": b"/**/%s",
    "trailing comma": b'{"x": 1,, %s',
    "5,000 digits": b'{"x": 1' + b"0" * 5000 + b", %s",
    "deep nesting": b'{"x": ' + b"[" * 2500 + b"]" * 2500 + b", %s",
    "open nesting": b"[" * 5000,
    "open objects": b'{"a":' * 1000,
}


def malformed(good: dict[str, object], recipe: bytes | None) -> bytes:
    """Make the JSON of a header or payload malformed."""
    text = json.dumps(good)
    if recipe is None:
        return text.encode("utf-16")
    if recipe.endswith(b", %s"):
        return recipe[:-2] + text[1:].encode()
    return recipe.replace(b"%s", text.encode())


@pytest.mark.parametrize("name", HOSTILE_JSON)
def test_a_token_is_rejected_when_its_header_is_hostile_json(forge: TokenForger, name: str) -> None:
    """UTF-8 without BOM, one object, no NaN, limited depth and digits (S-028)."""
    assert forge.try_token(forge.token(malformed(forge.header, HOSTILE_JSON[name]))) == REJECTED


@pytest.mark.parametrize("name", HOSTILE_JSON)
def test_a_signed_token_is_rejected_when_its_payload_is_hostile_json(
    forge: TokenForger, name: str
) -> None:
    """Despite the valid signature (S-028, GHSA-8wjv-2p76-3863)."""
    assert (
        forge.try_token(forge.token(payload=malformed(forge.payload, HOSTILE_JSON[name])))
        == REJECTED
    )


@pytest.mark.parametrize("value", [[], {}, "x", 1, None, True, [1, 2], "", 1.5])
def test_a_token_is_rejected_when_a_part_is_not_an_object(
    forge: TokenForger, value: object
) -> None:
    """One JSON object each (RFC 7519 section 7.2, S-028)."""
    text = json.dumps(value)
    forms = [forge.token(header=text), forge.token(payload=text)]
    assert {forge.try_token(token) for token in forms} == {REJECTED}


@pytest.mark.parametrize("name", ["alg", "kid", "typ"])
def test_a_token_is_rejected_when_a_header_member_is_duplicated(
    forge: TokenForger, name: str
) -> None:
    """Even with the same value (S-028)."""
    twice = f'{{"{name}": {json.dumps(forge.header[name])}, {json.dumps(forge.header)[1:]}'
    assert forge.try_token(forge.token(header=twice)) == REJECTED


@pytest.mark.parametrize("name", ["sub", "exp", "scope", "aud", "iss", "type"])
def test_a_token_is_rejected_when_a_claim_is_duplicated(forge: TokenForger, name: str) -> None:
    """RFC 7519 section 4 allows it, and all readers of a token must agree (S-028)."""
    twice = f'{{"{name}": {json.dumps(forge.payload[name])}, {json.dumps(forge.payload)[1:]}'
    assert forge.try_token(forge.token(payload=twice)) == REJECTED
