"""The token codec: create and verify tokens. The only module that uses JWT libraries.

Flask-JWT-Extended encodes and decodes both kinds. This module checks what it and PyJWT leave open:
the compact form, the header and every claim, with their exact types (RFC 8725, RFC 9068, S-020 to
S-033). Expiry is checked against the application's clock, so the libraries get an unlimited leeway.
Access tokens are signed with the key set. Refresh tokens, which only this service reads, are signed
with HS256 under a key derived from the secret key: the same generation always gives the same bytes,
and a key of the set can retire one access token lifetime after its last signature (docs/adr/0002).
"""

import base64
import json
import random
import re
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from flask import Flask, current_app, g, has_app_context
from flask_jwt_extended import (
    JWTManager,
    create_access_token,
    create_refresh_token,
    decode_token,
    get_jwt,
)
from jwt import PyJWK

from itemsapi.clock import Clock, unix_seconds
from itemsapi.problems import GateUnavailable, Problem, RefreshInvalid, TokenInvalid
from itemsapi.settings import Settings
from itemsapi.tokens.claims import REQUIRED_CLAIMS, Claims
from itemsapi.tokens.key_set import KeySet
from itemsapi.tokens.keys import Key, derive_key, symmetric_key
from itemsapi.tokens.scopes import format_scopes, parse_scopes

MAX_TOKEN_LENGTH = 8192  # characters
MAX_JSON_BRACKETS = 16  # in a header or payload; this also limits how deeply it can nest
MAX_WORD_LENGTH = 200  # characters of a header value, of a method in `amr` or of an audience
LEEWAY_SECONDS = 60  # how far `iat` and `nbf` may lie in the future; `exp` has no leeway
LIFETIME_JITTER = 0.05  # share of the lifetime: tokens issued together do not expire together
MAX_LIFETIME_SECONDS = (
    int(3600 * (1 + LIFETIME_JITTER)) + 1
)  # the maximum of ITEMSAPI_ACCESS_TTL plus its jitter
LIBRARY_LEEWAY = timedelta(days=365_000)
COMPACT_FORM = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
MAX_TIMESTAMP = 253_402_300_799  # the end of the year 9999: the last second of a `datetime`
MAX_COUNTER = 2**63 - 1  # of a generation or an epoch: the database stores 64 bits
ID_FORM = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
REQUIRED_REFRESH_CLAIMS = frozenset(
    {"iss", "aud", "sub", "sid", "gen", "jti", "iat", "exp", "type"}
)

# Where Flask-JWT-Extended keeps the verified token of a request. It has no public function to set
# it without decoding the token again; tests/unit/test_library_internals.py fails when this changes.
_JWT, _JWT_HEADER = "_jwt_extended_jwt", "_jwt_extended_jwt_header"
_JWT_LOCATION, _JWT_USER = "_jwt_extended_jwt_location", "_jwt_extended_jwt_user"
_SIGNING_KEY = "itemsapi_signing_key"


@dataclass(frozen=True, slots=True)
class RefreshClaims:
    """Claims of a verified refresh token."""

    sub: str
    sid: str
    gen: int


@dataclass(frozen=True, slots=True)
class _SigningIdentity:
    """The identity that the codec gives to Flask-JWT-Extended: the subject and the signing key."""

    sub: str
    key: Key


class TokenCodec:
    """Create and verify access and refresh tokens, with or without an application context."""

    def __init__(self, settings: Settings, key_set: KeySet, clock: Clock) -> None:
        """Take the key set; derive the key of refresh tokens from the secret key."""
        self._key_set, self._clock = key_set, clock
        self._issuer, self._audience = settings.public_url, settings.audience
        self._access_ttl = settings.access_ttl
        self._refresh_key = symmetric_key(derive_key(settings.secret_key, "refresh tokens"))
        self._private_jwks: dict[str, PyJWK] = {}
        self._public_jwks: dict[str, PyJWK] = {}
        self._manager = self._make_manager()
        self._own_app = Flask("itemsapi.tokens", static_folder=None)
        self.install(self._own_app)

    def install(self, app: Flask) -> None:
        """Configure Flask-JWT-Extended on `app`; only the gate reads tokens from requests."""
        app.config.update(
            JWT_ALGORITHM=None,  # each PyJWK has its own
            JWT_DECODE_ALGORITHMS=["EdDSA", "ES256", "RS256", "HS256"],
            JWT_DECODE_LEEWAY=LIBRARY_LEEWAY,
            JWT_DECODE_ISSUER=self._issuer,
            JWT_DECODE_AUDIENCE=self._audience,
            JWT_ENCODE_ISSUER=self._issuer,
            JWT_ENCODE_AUDIENCE=self._audience,
            JWT_ENCODE_NBF=False,
            JWT_ACCESS_TOKEN_EXPIRES=self._access_ttl,  # of tokens that a view creates itself
            JWT_TOKEN_LOCATION=["headers"],
            JWT_COOKIE_CSRF_PROTECT=False,  # otherwise every token gets a random claim for it
        )
        self._manager.init_app(app)

    def _make_manager(self) -> JWTManager:
        manager = JWTManager()
        manager.user_identity_loader(_subject)
        manager.additional_headers_loader(self._headers_of_view_token)
        manager.encode_key_loader(self._signing_jwk)
        manager.decode_key_loader(lambda header, _: self._public_jwk(self._find_key(header["kid"])))
        # `@jwt_required` checks neither expiry nor revocations, so it accepts only the token that
        # the gate has verified for this request.
        manager.token_in_blocklist_loader(lambda _, claims: _verified_claims() != claims)
        return manager

    def _configured_context(self) -> AbstractContextManager[object]:
        """Return a context with the configuration of `install`: scripts and threads have none."""
        extensions = current_app.extensions if has_app_context() else {}
        if extensions.get("flask-jwt-extended") is self._manager:
            return nullcontext()
        return self._own_app.app_context()

    def create_access_token(  # noqa: PLR0913 - one parameter per claim
        self,
        *,
        sub: str,
        sid: str,
        gen: int,
        epoch: int,
        scopes: frozenset[str],
        auth_time: int,
        amr: tuple[str, ...],
        iat: int,
        not_after: int,
        fresh: bool,
    ) -> tuple[str, int]:
        """Create an access token; return it and its lifetime in seconds, jitter included.

        It expires at `not_after` at the latest, when its session ends (S-064).
        """
        jitter = random.uniform(1 - LIFETIME_JITTER, 1 + LIFETIME_JITTER)  # noqa: S311 - no secret
        lifetime = round(self._access_ttl.total_seconds() * jitter)
        lifetime = max(0, min(lifetime, not_after - iat))
        claims = {
            "sid": sid, "gen": gen, "epoch": epoch, "iat": iat, "exp": iat + lifetime,
            "scope": format_scopes(scopes), "auth_time": auth_time, "amr": list(amr),
        }  # fmt: skip
        key = self._key_set.snapshot().current
        with self._configured_context():
            token = create_access_token(
                _SigningIdentity(sub, key),
                fresh=fresh,
                additional_claims=claims,
                additional_headers={"typ": "at+jwt", "kid": key.kid},
            )
        return token, lifetime

    def create_refresh_token(
        self, *, sub: str, sid: str, gen: int, issued_at: datetime, expires_at: datetime
    ) -> str:
        """Create the refresh token of one generation: equal arguments give equal bytes."""
        claims = {
            "sid": sid, "gen": gen, "jti": f"{sid}.{gen}",
            "iat": unix_seconds(issued_at), "exp": unix_seconds(expires_at),
        }  # fmt: skip
        headers = {"typ": "rt+jwt", "kid": self._refresh_key.kid}
        identity = _SigningIdentity(sub, self._refresh_key)
        with self._configured_context():
            token: str = create_refresh_token(
                identity, additional_claims=claims, additional_headers=headers
            )
        return token

    def verify_access_token(self, token: str) -> Claims:
        """Return the claims of an access token.

        Raise `TokenInvalid` unless it is valid, and `GateUnavailable` if the keys are not known.
        """
        header = _parse_header(token, "at+jwt", TokenInvalid)
        key = self._key_set.find(header["kid"])
        payload = self._verified_payload(token, header, key, TokenInvalid)
        claims = _parse_claims(payload, header)
        now = unix_seconds(self._clock())
        valid_from = max(claims.iat, payload.get("nbf", 0))
        if valid_from > now + LEEWAY_SECONDS:
            raise TokenInvalid
        if not max(valid_from, now) < claims.exp <= claims.iat + MAX_LIFETIME_SECONDS:
            raise TokenInvalid
        return claims

    def verify_refresh_token(self, token: str) -> RefreshClaims:
        """Return the claims of a refresh token; the row of its session decides whether it is good.

        Raise `RefreshInvalid` unless it is valid, and `GateUnavailable` if the keys are not known:
        a wrong secret key must sign nobody out.
        """
        self._key_set.snapshot()
        header = _parse_header(token, "rt+jwt", RefreshInvalid)
        key = self._refresh_key if header["kid"] == self._refresh_key.kid else None
        payload = self._verified_payload(token, header, key, RefreshInvalid)
        if not (payload.keys() >= REQUIRED_REFRESH_CLAIMS and payload["type"] == "refresh"):
            raise RefreshInvalid
        if not (_is_id(payload["sub"]) and _is_id(payload["sid"]) and _is_count(payload["gen"])):
            raise RefreshInvalid
        return RefreshClaims(payload["sub"], payload["sid"], payload["gen"])

    def _verified_payload(
        self, token: str, header: Mapping[str, Any], key: Key | None, error: type[Problem]
    ) -> dict[str, Any]:
        if key is None or header["alg"] != key.alg:
            raise error
        try:
            with self._configured_context():
                decode_token(token)
        except GateUnavailable:
            raise
        except Exception:  # noqa: BLE001 - any error of a library on hostile bytes means invalid
            raise error from None
        return _parse_object(token.split(".", 2)[1], error)

    def _find_key(self, kid: str) -> Key:
        if kid == self._refresh_key.kid:
            return self._refresh_key
        key = self._key_set.find(kid)
        if key is None:
            raise TokenInvalid
        return key

    def _headers_of_view_token(self, identity: object) -> dict[str, str]:
        """Return the header of a token that a view creates with Flask-JWT-Extended itself.

        The gate accepts no such token, because it belongs to no session.
        """
        if isinstance(identity, _SigningIdentity):
            return {}  # the codec passes its own
        key = self._key_set.snapshot().current
        setattr(g, _SIGNING_KEY, key)  # `_signing_jwk` is called next, and has to use the same key
        return {"kid": key.kid}

    def _signing_jwk(self, identity: object) -> PyJWK:
        if isinstance(identity, _SigningIdentity):
            return self._private_jwk(identity.key)
        return self._private_jwk(g.pop(_SIGNING_KEY))

    def _private_jwk(self, key: Key) -> PyJWK:
        if key.kid not in self._private_jwks:
            self._private_jwks[key.kid] = PyJWK(key.members(), algorithm=key.alg)
        return self._private_jwks[key.kid]

    def _public_jwk(self, key: Key) -> PyJWK:
        """Return the key that verifies; PyJWT does not verify with a private RSA key."""
        if key.kid not in self._public_jwks:
            members = key.public_jwk() or key.members()
            self._public_jwks[key.kid] = PyJWK(members, algorithm=key.alg)
        return self._public_jwks[key.kid]


def set_current_jwt(claims: Claims) -> None:
    """Make the claims of this request available to `get_jwt()` and `get_jwt_identity()`."""
    setattr(g, _JWT, claims.raw)
    setattr(g, _JWT_HEADER, claims.header)
    setattr(g, _JWT_LOCATION, "headers")


def clear_current_jwt() -> None:
    """Remove the claims of an earlier request.

    Requests share `g` if one is made inside another, or inside an application context.
    """
    for name in (_JWT, _JWT_HEADER, _JWT_LOCATION, _JWT_USER):
        g.pop(name, None)


def _verified_claims() -> Mapping[str, Any] | None:
    """Return the claims that the gate has verified for this request; None on a public route."""
    try:
        claims: Mapping[str, Any] = get_jwt()
    except RuntimeError:
        return None
    return claims


def _subject(identity: object) -> object:
    return identity.sub if isinstance(identity, _SigningIdentity) else identity


def _parse_header(token: str, typ: str, error: type[Problem]) -> dict[str, Any]:
    """Return the header; check the compact form, and that it has exactly our members.

    Sources: S-022, S-026.
    """
    if len(token) > MAX_TOKEN_LENGTH or not COMPACT_FORM.fullmatch(token):
        raise error
    if not all(_is_canonical(part) for part in token.split(".")):
        raise error
    header = _parse_object(token.split(".", maxsplit=1)[0], error)
    if header.keys() != {"alg", "kid", "typ"} or not all(map(_is_word, header.values())):
        raise error
    if header["typ"].lower() not in {typ, f"application/{typ}"}:
        raise error
    return header


def _is_canonical(part: str) -> bool:
    """Tell whether a part is the canonical base64url of its bytes: no unused bits at the end."""
    return base64.urlsafe_b64encode(_decode_base64url(part)).rstrip(b"=").decode() == part


def _decode_base64url(part: str) -> bytes:
    """Decode base64url; the alphabet was checked, so only an impossible length can fail."""
    try:
        return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except ValueError:
        return b""


def _parse_object(part: str, error: type[Problem]) -> dict[str, Any]:
    """Parse one JSON object: UTF-8 without BOM, no duplicate name, no NaN (RFC 7519 section 4)."""
    raw = _decode_base64url(part)
    if raw.count(b"{") + raw.count(b"[") > MAX_JSON_BRACKETS:
        raise error
    try:
        value = json.loads(
            raw.decode(), object_pairs_hook=_unique_members, parse_constant=_reject_constant
        )
    except ValueError:
        raise error from None
    if not isinstance(value, dict):
        raise error
    return value


def _unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        msg = "a name occurs twice"
        raise ValueError(msg)
    return members


def _reject_constant(name: str) -> None:
    msg = f"{name} is not JSON"
    raise ValueError(msg)


def _is_word(value: object) -> bool:
    """Tell whether this may appear in a response or a log: short and printable.

    Half of a surrogate pair is not printable, and could not be encoded as UTF-8.
    """
    return isinstance(value, str) and 0 < len(value) <= MAX_WORD_LENGTH and value.isprintable()


def _is_id(value: object) -> bool:
    """Tell whether this has the form of our ids; nothing else reaches the database (S-033)."""
    return isinstance(value, str) and ID_FORM.fullmatch(value) is not None


def _is_count(value: object, *, minimum: int = 1, maximum: int = MAX_COUNTER) -> bool:
    return type(value) is int and minimum <= value <= maximum


def _is_audience(value: object) -> bool:
    """Tell whether every audience is a word; the library only checks that ours is among them."""
    return all(map(_is_word, value if isinstance(value, list) else [value]))


def _parse_claims(payload: dict[str, Any], header: Mapping[str, Any]) -> Claims:
    """Check every claim with its exact type: `true` is not a number, a list not a scope (S-085)."""
    amr = payload.get("amr")
    if not (
        payload.keys() >= REQUIRED_CLAIMS
        and payload["type"] == "access"
        and all(_is_id(payload[name]) for name in ("sub", "sid", "jti"))
        and all(
            _is_count(payload[name], maximum=MAX_TIMESTAMP) for name in ("iat", "exp", "auth_time")
        )
        and _is_count(payload["gen"])
        and _is_count(payload["epoch"], minimum=0)
        and _is_audience(payload["aud"])
        and isinstance(payload["fresh"], bool)
        and isinstance(payload["scope"], str)
        and isinstance(amr, list)
        and all(map(_is_word, amr))
        and _is_count(payload.get("nbf", 1), maximum=MAX_TIMESTAMP)
    ):
        raise TokenInvalid
    try:
        scopes = parse_scopes(payload["scope"])
    except ValueError:
        raise TokenInvalid from None
    names = ("sub", "sid", "gen", "epoch", "jti", "iat", "exp", "auth_time")
    copied = {name: payload[name] for name in names}
    return Claims(**copied, amr=tuple(amr), scopes=scopes, raw=payload, header=header)
