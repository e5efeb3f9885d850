"""Keys are strong, and are used with their own algorithm only."""

import dataclasses

import pytest

from itemsapi.settings import Settings, SettingsError
from itemsapi.tokens.keys import (
    Key,
    KeyEncryption,
    derive_key,
    generate_key,
    symmetric_key,
    validate_key,
)

SECRET = "0123456789" * 4
STORED_SECRET = (  # as the first version stored it
    "bm5ubm5ubm5ubm5urMPk3rgs1hLZhPaY70v+yckWg5i5JK3ZKYYx/CiRdArkJvQ5nvUIKKMuTTWpeC2V"
    "qKwwJZUmTbiE0AkqrKrXZBP4VhxQKmP4U0d7YMc0hkzoYg=="
)


@pytest.mark.parametrize("secret", ["secret", "changeme" * 3, "a" * 64, "0123456789abcdef"])
def test_the_start_fails_when_the_secret_is_weak(secret: str) -> None:
    """S-029: below 256 bit, known, or one repeated character (RFC 7518 section 3.2)."""
    with pytest.raises(SettingsError, match="ITEMSAPI_SECRET_KEY is weak"):
        Settings(secret_key=secret)


@pytest.mark.parametrize(
    ("alg", "member", "characters"), [("RS256", "n", 512), ("HS256", "k", 43), ("ES256", "x", 43)]
)
def test_new_keys_are_strong(alg: str, member: str, characters: int) -> None:
    """S-029, S-146: RSA 3072, HMAC 256 bit, P-256 (base64url: 4 characters for 3 bytes)."""
    assert len(generate_key(alg).members()[member]) >= characters


@pytest.mark.parametrize("alg", ["ES256", "HS256", "none", "RS256"])
def test_a_key_is_rejected_with_another_algorithm(alg: str) -> None:
    """S-020, S-029: a manipulated row cannot turn a public key into an HMAC secret."""
    with pytest.raises(SettingsError):
        validate_key(dataclasses.replace(generate_key("EdDSA"), alg=alg))


def test_a_key_is_rejected_with_another_kid() -> None:
    """S-029: the kid is the thumbprint (RFC 7638), so one kid never means two keys."""
    key = generate_key("EdDSA")
    with pytest.raises(SettingsError):
        validate_key(Key(generate_key("EdDSA").kid, key.alg, key.jwk))


def test_a_key_that_an_earlier_version_stored_can_be_decrypted() -> None:
    """R-20: the form of the stored text and the derivation of its key must never change."""
    key = symmetric_key(bytes(32))
    assert KeyEncryption(SECRET).decrypt(key.kid, "HS256", STORED_SECRET) == key


def test_a_key_is_encrypted_with_another_nonce_each_time() -> None:
    """S-148: AES-GCM with the same one twice would reveal the key."""
    encryption, key = KeyEncryption(SECRET), symmetric_key(bytes(32))
    assert encryption.encrypt(key) != encryption.encrypt(key)


def test_a_key_is_not_decrypted_under_another_kid() -> None:
    """S-148: a row that was copied over another one."""
    with pytest.raises(SettingsError, match="ITEMSAPI_SECRET_KEY does not fit"):
        KeyEncryption(SECRET).decrypt("another", "HS256", STORED_SECRET)


def test_derived_keys_have_256_bits_and_differ_by_purpose() -> None:
    """S-148: HKDF, RFC 5869."""
    refresh_key, other_key = derive_key(SECRET, "refresh tokens"), derive_key(SECRET, "x")
    assert len(refresh_key) == 32
    assert refresh_key != other_key


def test_an_rsa_key_has_3072_bits_and_the_usual_exponent() -> None:
    """S-146: RFC 7518 section 6.3: numbers without leading zeros."""
    members = generate_key("RS256").members()
    assert (len(members["n"]), members["e"]) == (512, "AQAB")


def test_the_members_of_a_p256_key_have_a_fixed_length() -> None:
    """RFC 7518 section 6.2.1: also if a number begins with zeros, as one in 128 does here."""
    keys = [generate_key("ES256").members() for _ in range(400)]
    assert {len(key[name]) for key in keys for name in ("x", "y", "d")} == {43}
