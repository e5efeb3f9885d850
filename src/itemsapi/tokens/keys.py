"""Keys: made, sealed for the database, and checked when they are read back.

One key, one algorithm, one `kid` (S-020). Private parts are sealed with AES-256-GCM under a key
derived (HKDF, RFC 5869) from the secret key of the settings, with the `kid` as associated data, so
that a row copied over another does not open.
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

from itemsapi.settings import SettingsError

RSA_BITS = 3072  # 128 bit of strength: NIST SP 800-57 part 1, table 2
NONCE_BYTES = 12
PUBLIC_MEMBERS = {
    "OKP": ("crv", "kty", "x"),
    "EC": ("crv", "kty", "x", "y"),
    "RSA": ("e", "kty", "n"),
}
KINDS = {"EdDSA": "OKP", "ES256": "EC", "RS256": "RSA", "HS256": "oct"}


@dataclass(frozen=True, slots=True)
class Key:
    """A key with its one algorithm; `jwk` holds the private members too and never shows."""

    kid: str
    alg: str
    jwk: str

    def __repr__(self) -> str:
        """Show which key it is and nothing that signs."""
        return f"Key({self.kid}, {self.alg})"

    def members(self) -> dict[str, str]:
        """Return the JWK with all members (RFC 7517 section 4)."""
        members: dict[str, str] = json.loads(self.jwk)
        return members

    def public_jwk(self) -> dict[str, str] | None:
        """Return the JWK without what signs; None for a symmetric key."""
        members = self.members()
        if members["kty"] not in PUBLIC_MEMBERS:
            return None
        public = {name: members[name] for name in PUBLIC_MEMBERS[members["kty"]]}
        return public | {"kid": self.kid, "alg": self.alg, "use": "sig"}


class KeyEncryption:
    """Closes private keys for the database and opens them again."""

    def __init__(self, secret: str) -> None:
        """Derive the sealing key from the secret key of the settings."""
        self._cipher = AESGCM(derive(secret, "signing keys at rest"))

    def encrypt(self, key: Key) -> str:
        """Return the sealed private part, as text."""
        nonce = os.urandom(NONCE_BYTES)
        sealed = self._cipher.encrypt(nonce, key.jwk.encode(), key.kid.encode())
        return base64.b64encode(nonce + sealed).decode()

    def decrypt(self, kid: str, alg: str, sealed: str) -> Key:
        """Return the key; raises `SettingsError` if the secret key does not fit."""
        try:
            raw = base64.b64decode(sealed)
            jwk = self._cipher.decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], kid.encode())
        except (InvalidTag, ValueError) as error:
            msg = (
                "ITEMSAPI_SECRET_KEY does not fit the keys in the database;"
                " set the secret with which they were made"
            )
            raise SettingsError(msg) from error
        return validate_key(Key(kid, alg, jwk.decode()))


def validate_key(key: Key) -> Key:
    """Return `key` if its kind fits its algorithm and `kid`, or raise `SettingsError` (S-029)."""
    members = key.members()
    if members.get("kty") != KINDS.get(key.alg) or thumbprint(members) != key.kid:
        msg = f"signing key {key.kid} in the database is not what its row says"
        raise SettingsError(msg)
    return key


def derive(secret: str, purpose: str) -> bytes:
    """Derive 256 bits for one purpose from the secret key of the settings."""
    info = f"itemsapi {purpose}".encode()
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(secret.encode())


def make_key(alg: str) -> Key:
    """Make a new key for `alg`; its `kid` is its RFC 7638 thumbprint.

    None begins with `-`: in an emergency `itemsapi keys withdraw` must not take it for an option.
    """
    members = _MAKERS[alg]()
    while (kid := thumbprint(members)).startswith("-"):
        members = _MAKERS[alg]()
    return Key(kid, alg, json.dumps(members))


def symmetric_key(secret: bytes) -> Key:
    """Make an HS256 key of given bytes, such as the one that signs refresh tokens."""
    members = {"kty": "oct", "k": _text(secret)}
    return Key(thumbprint(members), "HS256", json.dumps(members))


def thumbprint(members: dict[str, str]) -> str:
    """Return the RFC 7638 thumbprint of a JWK, SHA-256 in base64url."""
    names = PUBLIC_MEMBERS.get(members["kty"], ("k", "kty"))
    canonical = json.dumps({name: members[name] for name in names}, separators=(",", ":"))
    return _text(hashlib.sha256(canonical.encode()).digest())


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _number(value: int, length: int = 0) -> str:
    return _text(value.to_bytes(length or (value.bit_length() + 7) // 8, "big"))


def _ed25519() -> dict[str, str]:
    key = ed25519.Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes_raw()
    return {"kty": "OKP", "crv": "Ed25519", "x": _text(public), "d": _text(key.private_bytes_raw())}


def _p256() -> dict[str, str]:
    private = ec.generate_private_key(ec.SECP256R1()).private_numbers()
    public = private.public_numbers
    coordinates = {"x": _number(public.x, 32), "y": _number(public.y, 32)}
    return {"kty": "EC", "crv": "P-256", **coordinates, "d": _number(private.private_value, 32)}


def _rsa() -> dict[str, str]:
    private = rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS).private_numbers()
    public = private.public_numbers
    members: dict[str, Any] = {
        "n": public.n, "e": public.e, "d": private.d, "p": private.p, "q": private.q,
        "dp": private.dmp1, "dq": private.dmq1, "qi": private.iqmp,
    }  # fmt: skip
    return {"kty": "RSA", **{name: _number(value) for name, value in members.items()}}


def _symmetric() -> dict[str, str]:
    return {"kty": "oct", "k": _text(os.urandom(32))}


_MAKERS = {"EdDSA": _ed25519, "ES256": _p256, "RS256": _rsa, "HS256": _symmetric}
