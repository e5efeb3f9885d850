"""Signing keys: generate them, encrypt them for the database, validate them when they are loaded.

One key has one algorithm and one `kid` (S-020). Private keys are encrypted with AES-256-GCM under a
key derived (HKDF, RFC 5869) from the secret key of the settings. The `kid` is the associated data,
so a row that was copied over another one cannot be decrypted.
"""

import base64
import hashlib
import json
import os
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from itemsapi.command_line import command_line
from itemsapi.settings import SettingsError

RSA_BITS = 3072  # 128 bits of security: NIST SP 800-57 part 1, table 2
NONCE_BYTES = 12
PUBLIC_MEMBERS = {
    "OKP": ("crv", "kty", "x"),
    "EC": ("crv", "kty", "x", "y"),
    "RSA": ("e", "kty", "n"),
}
KEY_TYPES = {"EdDSA": "OKP", "ES256": "EC", "RS256": "RSA", "HS256": "oct"}


@dataclass(frozen=True, slots=True)
class Key:
    """A key and its algorithm; `jwk` includes the private members and must never be shown."""

    kid: str
    alg: str
    jwk: str

    def __repr__(self) -> str:
        """Return the id and the algorithm, without key material."""
        return f"Key({self.kid}, {self.alg})"

    def members(self) -> dict[str, str]:
        """Return the JWK with all members (RFC 7517 section 4), private ones included."""
        members: dict[str, str] = json.loads(self.jwk)
        return members

    def public_jwk(self) -> dict[str, str] | None:
        """Return the JWK without the private members; None for a symmetric key."""
        members = self.members()
        if members["kty"] not in PUBLIC_MEMBERS:
            return None
        public = {name: members[name] for name in PUBLIC_MEMBERS[members["kty"]]}
        return public | {"kid": self.kid, "alg": self.alg, "use": "sig"}


class KeyEncryption:
    """Encrypt private keys for the database, and decrypt them."""

    def __init__(self, secret: str) -> None:
        """Derive the encryption key from the secret key of the settings."""
        self._cipher = AESGCM(derive_key(secret, "signing keys at rest"))

    def encrypt(self, key: Key) -> str:
        """Return the encrypted private key, as base64."""
        nonce = os.urandom(NONCE_BYTES)
        ciphertext = self._cipher.encrypt(nonce, key.jwk.encode(), key.kid.encode())
        return base64.b64encode(nonce + ciphertext).decode()

    def decrypt(self, kid: str, alg: str, encrypted: str) -> Key:
        """Return the key. Raise `SettingsError` if the secret key of the settings is wrong."""
        try:
            raw = base64.b64decode(encrypted)
            jwk = self._cipher.decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], kid.encode())
        except (InvalidTag, ValueError) as error:
            msg = (
                "ITEMSAPI_SECRET_KEY does not fit the keys in the database; set the secret with"
                " which they were made, as ITEMSAPI_SECRET_KEY_PREVIOUS if you rotate it, or, if"
                f" that one leaked or is lost, run {command_line('secret revoke')}"
            )
            raise SettingsError(msg) from error
        return validate_key(Key(kid, alg, jwk.decode()))


def validate_key(key: Key) -> Key:
    """Return `key`. Raise `SettingsError` unless its type fits its `alg` and `kid` (S-029)."""
    members = key.members()
    if members.get("kty") != KEY_TYPES.get(key.alg) or thumbprint(members) != key.kid:
        msg = f"signing key {key.kid} in the database is not what its row says"
        raise SettingsError(msg)
    return key


def derive_key(secret: str, purpose: str) -> bytes:
    """Derive 256 bits for one purpose from the secret key of the settings."""
    info = f"itemsapi {purpose}".encode()
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(secret.encode())


def generate_key(alg: str) -> Key:
    """Generate a key for `alg`; its `kid` is its RFC 7638 thumbprint.

    No `kid` begins with `-`: `itemsapi keys withdraw` would parse it as an option.
    """
    members = _GENERATORS[alg]()
    while (kid := thumbprint(members)).startswith("-"):
        members = _GENERATORS[alg]()
    return Key(kid, alg, json.dumps(members))


def symmetric_key(secret: bytes) -> Key:
    """Return the HS256 key with these bytes, such as the one that signs refresh tokens."""
    members = {"kty": "oct", "k": _base64url(secret)}
    return Key(thumbprint(members), "HS256", json.dumps(members))


def thumbprint(members: dict[str, str]) -> str:
    """Return the RFC 7638 thumbprint of a JWK, SHA-256 in base64url."""
    names = PUBLIC_MEMBERS.get(members["kty"], ("k", "kty"))
    canonical = json.dumps({name: members[name] for name in names}, separators=(",", ":"))
    return _base64url(hashlib.sha256(canonical.encode()).digest())


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _base64url_number(value: int, length: int = 0) -> str:
    return _base64url(value.to_bytes(length or (value.bit_length() + 7) // 8, "big"))


def _generate_ed25519() -> dict[str, str]:
    private = ed25519.Ed25519PrivateKey.generate()
    x = _base64url(private.public_key().public_bytes_raw())
    return {"kty": "OKP", "crv": "Ed25519", "x": x, "d": _base64url(private.private_bytes_raw())}


def _generate_p256() -> dict[str, str]:
    private = ec.generate_private_key(ec.SECP256R1()).private_numbers()
    public = private.public_numbers
    x, y = _base64url_number(public.x, 32), _base64url_number(public.y, 32)
    d = _base64url_number(private.private_value, 32)
    return {"kty": "EC", "crv": "P-256", "x": x, "y": y, "d": d}


def _generate_rsa() -> dict[str, str]:
    private = rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS).private_numbers()
    public = private.public_numbers
    members: dict[str, Any] = {
        "n": public.n, "e": public.e, "d": private.d, "p": private.p, "q": private.q,
        "dp": private.dmp1, "dq": private.dmq1, "qi": private.iqmp,
    }  # fmt: skip
    return {"kty": "RSA", **{name: _base64url_number(value) for name, value in members.items()}}


def _generate_symmetric() -> dict[str, str]:
    return {"kty": "oct", "k": _base64url(os.urandom(32))}


_GENERATORS = {
    "EdDSA": _generate_ed25519,
    "ES256": _generate_p256,
    "RS256": _generate_rsa,
    "HS256": _generate_symmetric,
}
