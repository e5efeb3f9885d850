"""No weak key signs, and no key is used as what it is not."""

import dataclasses

import pytest

from itemsapi.settings import Settings, SettingsError
from itemsapi.tokens.keys import Key, generate_key, validate_key


@pytest.mark.parametrize("secret", ["secret", "changeme" * 3, "a" * 64, "0123456789abcdef"])
def test_a_weak_secret_stops_the_boot(secret: str) -> None:
    """S-029: below 256 bit, known, or one character over and over (RFC 7518 section 3.2)."""
    with pytest.raises(SettingsError, match="ITEMSAPI_SECRET_KEY is weak"):
        Settings(secret_key=secret)


@pytest.mark.parametrize(
    ("alg", "member", "characters"), [("RS256", "n", 512), ("HS256", "k", 43), ("ES256", "x", 43)]
)
def test_new_keys_are_strong(alg: str, member: str, characters: int) -> None:
    """S-029, S-146: RSA 3072, HMAC 256 bit, P-256 (base64url: 4 characters for 3 bytes)."""
    assert len(generate_key(alg).members()[member]) >= characters


@pytest.mark.parametrize("alg", ["ES256", "HS256", "none", "RS256"])
def test_a_key_is_refused_under_another_algorithm(alg: str) -> None:
    """S-020, S-029: a row that was tampered with makes no public key an HMAC secret."""
    with pytest.raises(SettingsError):
        validate_key(dataclasses.replace(generate_key("EdDSA"), alg=alg))


def test_a_key_is_refused_under_another_name() -> None:
    """S-029: the kid is the thumbprint (RFC 7638), so one name never means two keys."""
    key = generate_key("EdDSA")
    with pytest.raises(SettingsError):
        validate_key(Key(generate_key("EdDSA").kid, key.alg, key.jwk))
