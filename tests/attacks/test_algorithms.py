"""Algorithm confusion: the header never decides how a token is verified."""

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
from itemsapi.testing.tokens import encode_part, sign
from itemsapi.tokens.keys import Key, derive_key, generate_key, symmetric_key
from support.forged_tokens import ACCEPTED, REJECTED, TokenForger

ASYMMETRIC = ("EdDSA", "ES256", "RS256")


def test_tokens_of_every_algorithm_are_accepted(each_forge: TokenForger) -> None:
    """EdDSA, ES256, RS256 and HS256 by setting: created, signed and verified."""
    assert each_forge.try_token(each_forge.valid_token) == ACCEPTED
    assert each_forge.try_token(each_forge.token()) == ACCEPTED


@pytest.mark.parametrize("name", ["none", "None", "NONE", "nOnE", "none ", "", "HS256 ", "null"])
def test_a_token_is_rejected_when_its_alg_is_none(each_forge: TokenForger, name: str) -> None:
    """With the real signature, with another one, with none (S-020, RFC 8725 section 3.1)."""
    head = encode_part(each_forge.header | {"alg": name})
    _, body, tail = each_forge.valid_token.split(".")
    tails = [tail, "x", "AA", ""]
    assert {each_forge.try_token(f"{head}.{body}.{one}") for one in tails} == {REJECTED}


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
def test_a_token_is_rejected_when_the_public_key_is_its_hmac_secret(
    each_forge: TokenForger, size: int
) -> None:
    """The public key in some twenty encodings (CVE-2022-29217, GHSA-xgmm-8j9v-c9wx, S-020)."""
    key = each_forge.key
    if key.alg not in ASYMMETRIC:
        pytest.skip("a symmetric key has no public form")
    header = encode_part(each_forge.header | {"alg": f"HS{size}"})
    signed = f"{header}.{encode_part(each_forge.payload)}"
    macs = [hmac.digest(f, signed.encode(), f"sha{size}") for f in public_forms(key)]
    assert {each_forge.try_token(f"{signed}.{encode_part(mac)}") for mac in macs} == {REJECTED}


@pytest.mark.parametrize("secret", [b"", b"\0" * 32, b"null", b"None", b"secret", b"x" * 32])
def test_a_token_is_rejected_when_its_hmac_secret_was_guessed(
    each_forge: TokenForger, secret: bytes
) -> None:
    """Empty and well-known secrets, under the real kid (API2)."""
    signed = (
        f"{encode_part(each_forge.header | {'alg': 'HS256'})}.{encode_part(each_forge.payload)}"
    )
    mac = hmac.digest(secret, signed.encode(), "sha256")
    assert each_forge.try_token(f"{signed}.{encode_part(mac)}") == REJECTED


@pytest.mark.parametrize("alg", ["EdDSA", "ES256", "RS256", "HS256"])
def test_a_token_is_rejected_when_the_attacker_signed_it(each_forge: TokenForger, alg: str) -> None:
    """A valid signature by another key, under the real kid and under its own (S-020)."""
    key = generate_key(alg)
    heads = [each_forge.header | {"alg": alg, "kid": kid} for kid in (key.kid, each_forge.key.kid)]
    tokens = [sign(key, head, each_forge.payload) for head in heads]
    assert {each_forge.try_token(token) for token in tokens} == {REJECTED}


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
def test_a_token_is_rejected_when_kid_or_alg_is_another_one(
    each_forge: TokenForger, alg: str
) -> None:
    """Key, kid and alg belong together (S-020, GHSA-jq35-7prp-9v3f)."""
    expected = ACCEPTED if alg == each_forge.key.alg else REJECTED
    assert each_forge.try_token(each_forge.with_header(alg=alg)) == expected


def test_a_token_is_rejected_when_rsa_uses_pss_or_a_longer_hash(each_forge: TokenForger) -> None:
    """The RSA key is for RS256 only (S-020)."""
    key = each_forge.key
    if key.alg != "RS256":
        pytest.skip("of RSA keys only")
    loaded = get_default_algorithms()["RS256"].from_jwk(key.jwk)
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
    makers = {"PS256": (pss, hashes.SHA256()), "RS512": (padding.PKCS1v15(), hashes.SHA512())}
    tokens = []
    for alg, how in makers.items():
        signed = (
            f"{encode_part(each_forge.header | {'alg': alg})}.{encode_part(each_forge.payload)}"
        )
        tokens.append(f"{signed}.{encode_part(loaded.sign(signed.encode(), *how))}")
    assert {each_forge.try_token(token) for token in tokens} == {REJECTED}


def test_an_access_token_is_rejected_when_the_refresh_key_signed_it(
    each_forge: TokenForger,
) -> None:
    """The key set does not contain its kid, even if somebody knows the secret (S-031, S-121)."""
    key = symmetric_key(
        derive_key(each_forge.backend.services.settings.secret_key, "refresh tokens")
    )
    header = each_forge.header | {"alg": "HS256", "kid": key.kid}
    assert each_forge.try_token(sign(key, header, each_forge.payload)) == REJECTED


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
def test_a_token_is_rejected_when_its_signature_is_malformed(
    each_forge: TokenForger, how: str
) -> None:
    """Too short, too long, zero (CVE-2022-21449), DER instead of r and s (S-021)."""
    head, body, tail = each_forge.valid_token.split(".")
    raw = base64.urlsafe_b64decode(tail + "=" * (-len(tail) % 4))
    assert each_forge.try_token(f"{head}.{body}.{encode_part(SPOILT[how](raw))}") == REJECTED


def test_a_token_is_rejected_when_its_parts_come_from_two_tokens(
    each_forge: TokenForger,
) -> None:
    """A signature covers exactly its own header and payload (S-021)."""
    head, _, tail = each_forge.valid_token.split(".")
    richer = encode_part(each_forge.payload | {"scope": "users:write vault:open"})
    other = each_forge.with_claims(jti=new_id()).split(".")
    mixed = [f"{head}.{richer}.{tail}", f"{head}.{other[1]}.{tail}", f"{head}.{richer}.{other[2]}"]
    assert {each_forge.try_token(token) for token in mixed} == {REJECTED}
