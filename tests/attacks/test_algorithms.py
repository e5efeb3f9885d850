"""Algorithm confusion: what the header says never chooses how a token is verified."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import get_default_algorithms

from itemsapi.clock import new_id
from itemsapi.tokens.keys import Key, derive_key, generate_key, symmetric_key
from support.forged_tokens import ACCEPTED, REJECTED, TokenForger, encode_part, sign

ASYMMETRIC = ("EdDSA", "ES256", "RS256")


def test_tokens_of_every_algorithm_open(forge_of_each: TokenForger) -> None:
    """EdDSA, ES256, RS256, HS256 by setting: made, signed and verified."""
    assert forge_of_each.try_token(forge_of_each.valid_token) == ACCEPTED
    assert forge_of_each.try_token(forge_of_each.token()) == ACCEPTED


@pytest.mark.parametrize("name", ["none", "None", "NONE", "nOnE", "none ", "", "HS256 ", "null"])
def test_alg_none_is_refused(forge_of_each: TokenForger, name: str) -> None:
    """With the real signature, with another one, with none (S-020, RFC 8725 section 3.1)."""
    head = encode_part(forge_of_each.header | {"alg": name})
    _, body, tail = forge_of_each.valid_token.split(".")
    tails = [tail, "x", "AA", ""]
    assert {forge_of_each.try_token(f"{head}.{body}.{one}") for one in tails} == {REJECTED}


def public_forms(key: Key) -> list[bytes]:
    """Return the public key in every form that a library might take for an HMAC secret."""
    jwk = key.public_jwk()
    assert jwk is not None
    loaded = get_default_algorithms()[key.alg].from_jwk(json.dumps(jwk))
    pem = loaded.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    der = loaded.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    bare = {name: jwk[name] for name in jwk if name not in {"kid", "alg", "use"}}
    forms = [pem, pem.strip(), pem.replace(b"\n", b"\r\n"), pem.replace(b"\n", b""), der]
    forms += [b"\xef\xbb\xbf" + pem, b"".join(pem.splitlines()[1:-1]), base64.b64encode(der)]
    forms += [json.dumps(one).encode() for one in (jwk, bare, {"keys": [jwk]})]
    forms += [json.dumps(one, separators=(",", ":")).encode() for one in (jwk, bare)]
    forms += [
        json.dumps(one, separators=(",", ":"), sort_keys=True).encode() for one in (jwk, bare)
    ]
    forms += [value.encode() for value in jwk.values()]
    forms += [
        base64.urlsafe_b64decode(v + "=" * (-len(v) % 4)) for v in bare.values() if len(v) > 8
    ]
    forms.append(loaded.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH))
    if key.alg == "RS256":
        forms += [loaded.public_bytes(e, PublicFormat.PKCS1) for e in (Encoding.PEM, Encoding.DER)]
    if key.alg == "ES256":
        point = PublicFormat.UncompressedPoint, PublicFormat.CompressedPoint
        forms += [loaded.public_bytes(Encoding.X962, form) for form in point]
    if key.alg == "EdDSA":
        forms.append(loaded.public_bytes(Encoding.Raw, PublicFormat.Raw))
    return forms


@pytest.mark.parametrize("size", [256, 384, 512])
def test_a_public_key_is_no_hmac_secret(forge_of_each: TokenForger, size: int) -> None:
    """The public key in some twenty spellings (CVE-2022-29217, GHSA-xgmm-8j9v-c9wx, S-020)."""
    key = forge_of_each.key
    if key.alg not in ASYMMETRIC:
        pytest.skip("a symmetric key has no public form")
    header = encode_part(forge_of_each.header | {"alg": f"HS{size}"})
    signed = f"{header}.{encode_part(forge_of_each.payload)}"
    macs = [hmac.digest(f, signed.encode(), f"sha{size}") for f in public_forms(key)]
    assert {forge_of_each.try_token(f"{signed}.{encode_part(mac)}") for mac in macs} == {REJECTED}


@pytest.mark.parametrize("secret", [b"", b"\0" * 32, b"null", b"None", b"secret", b"x" * 32])
def test_a_guessed_hmac_secret_opens_nothing(forge_of_each: TokenForger, secret: bytes) -> None:
    """Empty and well-known secrets, under the real kid (API2)."""
    signed = f"{encode_part(forge_of_each.header | {'alg': 'HS256'})}.{encode_part(forge_of_each.payload)}"
    mac = hmac.digest(secret, signed.encode(), "sha256")
    assert forge_of_each.try_token(f"{signed}.{encode_part(mac)}") == REJECTED


@pytest.mark.parametrize("alg", ["EdDSA", "ES256", "RS256", "HS256"])
def test_a_key_of_the_attacker_opens_nothing(forge_of_each: TokenForger, alg: str) -> None:
    """A good signature by another key, under the real kid and under its own (S-020)."""
    key = generate_key(alg)
    heads = [
        forge_of_each.header | {"alg": alg, "kid": kid} for kid in (key.kid, forge_of_each.key.kid)
    ]
    tokens = [sign(key, head, forge_of_each.payload) for head in heads]
    assert {forge_of_each.try_token(token) for token in tokens} == {REJECTED}


NAMES = [
    "EdDSA",
    "ES256",
    "RS256",
    "HS256",
    "HS384",
    "HS512",
    "ES384",
    "ES512",
    "RS384",
    "RS512",
    "PS256",
    "ES256K",
    "Ed25519",
    "eddsa",
    "es256",
    "dir",
    "A256GCMKW",
    "RSA-OAEP",
    "ECDH-ES",
    "PBES2-HS256+A128KW",
]


@pytest.mark.parametrize("alg", NAMES)
def test_a_real_signature_under_another_name_is_refused(
    forge_of_each: TokenForger, alg: str
) -> None:
    """Key, kid and alg are bound one to one (S-020, GHSA-jq35-7prp-9v3f)."""
    expected = ACCEPTED if alg == forge_of_each.key.alg else REJECTED
    assert forge_of_each.try_token(forge_of_each.with_header(alg=alg)) == expected


def test_rsa_pss_and_longer_hashes_are_refused(forge_of_each: TokenForger) -> None:
    """The RSA key signs RS256 and nothing else (S-020)."""
    key = forge_of_each.key
    if key.alg != "RS256":
        pytest.skip("of RSA keys only")
    loaded = get_default_algorithms()["RS256"].from_jwk(key.jwk)
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
    makers = {"PS256": (pss, hashes.SHA256()), "RS512": (padding.PKCS1v15(), hashes.SHA512())}
    tokens = []
    for alg, how in makers.items():
        signed = f"{encode_part(forge_of_each.header | {'alg': alg})}.{encode_part(forge_of_each.payload)}"
        tokens.append(f"{signed}.{encode_part(loaded.sign(signed.encode(), *how))}")
    assert {forge_of_each.try_token(token) for token in tokens} == {REJECTED}


def test_the_key_of_refresh_tokens_signs_no_access_token(forge_of_each: TokenForger) -> None:
    """Its kid is not in the ring, even if somebody had its secret (S-031, S-121)."""
    key = symmetric_key(
        derive_key(forge_of_each.backend.services.settings.secret_key, "refresh tokens")
    )
    header = forge_of_each.header | {"alg": "HS256", "kid": key.kid}
    assert forge_of_each.try_token(sign(key, header, forge_of_each.payload)) == REJECTED


SPOILT: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda raw: raw[:0],
    "shorter": lambda raw: raw[:-1],
    "longer": lambda raw: raw + b"\0",
    "twice": lambda raw: raw * 2,
    "zeros": lambda raw: bytes(len(raw)),
    "ones": lambda raw: b"\xff" * len(raw),
    "backwards": lambda raw: raw[::-1],
    "DER": lambda raw: b"\x30\x44\x02\x20" + raw[:32] + b"\x02\x20" + raw[32:],
    "half": lambda raw: raw[:32] + bytes(len(raw) - 32) if len(raw) > 32 else raw[:16] + bytes(16),
    "digest": lambda raw: hashlib.sha256(raw).digest(),
}


@pytest.mark.parametrize("how", SPOILT)
def test_a_spoiled_signature_is_refused(forge_of_each: TokenForger, how: str) -> None:
    """Too short, too long, zero (CVE-2022-21449), DER instead of r and s (S-021)."""
    head, body, tail = forge_of_each.valid_token.split(".")
    raw = base64.urlsafe_b64decode(tail + "=" * (-len(tail) % 4))
    assert forge_of_each.try_token(f"{head}.{body}.{encode_part(SPOILT[how](raw))}") == REJECTED


def test_a_signature_covers_its_own_header_and_payload_only(forge_of_each: TokenForger) -> None:
    """Parts of two good tokens make no third (S-021)."""
    head, _, tail = forge_of_each.valid_token.split(".")
    richer = encode_part(forge_of_each.payload | {"scope": "users:write vault:open"})
    other = forge_of_each.with_claims(jti=new_id()).split(".")
    mixed = [f"{head}.{richer}.{tail}", f"{head}.{other[1]}.{tail}", f"{head}.{richer}.{other[2]}"]
    assert {forge_of_each.try_token(token) for token in mixed} == {REJECTED}
