"""The token codec: create and verify tokens. The only module that uses JWT libraries.

Flask-JWT-Extended encodes both kinds, and holds the configuration for views that use it. A token is
parsed once, by `tokens.claims`, and PyJWT verifies the signature (docs/adr/0019). Expiry is checked
against the application's clock, so the libraries get an unlimited leeway.
Access tokens are signed with the key set. Refresh tokens, which only this service reads, are signed
with HS256 under a key derived from the secret key: the same generation always gives the same bytes,
and a key of the set can retire one access token lifetime after its last signature (docs/adr/0002).
While the secret is rotated, tokens of both secrets are accepted (docs/adr/0014).
"""

import random
import uuid
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

from flask import Flask, current_app, g, has_app_context
from flask_jwt_extended import (
    JWTManager,
    create_access_token,
    create_refresh_token,
    get_jwt,
)
from jwt import PyJWK

from itemsapi.clock import Clock, unix_seconds
from itemsapi.problems import (
    ClaimsUnavailable,
    Problem,
    RefreshInvalid,
    TokenInvalid,
)
from itemsapi.settings import Settings
from itemsapi.tokens.claims import (
    LIFETIME_JITTER,
    MAX_TOKEN_LENGTH,
    Claims,
    RefreshClaims,
    decode_base64url,
    parse_claims,
    parse_header,
    parse_payload,
    parse_refresh_claims,
    require_current,
    require_length,
)
from itemsapi.tokens.key_set import KeySet
from itemsapi.tokens.keys import Key
from itemsapi.tokens.scopes import format_scopes

LIBRARY_LEEWAY = timedelta(days=365_000)
_SIGNING_KEY = "itemsapi_signing_key"


@dataclass(frozen=True, slots=True)
class _SigningIdentity:
    """The identity that the codec gives to Flask-JWT-Extended: the subject and the signing key."""

    sub: str
    key: Key


class TokenCodec:
    """Create and verify access and refresh tokens, with or without an application context."""

    def __init__(self, settings: Settings, key_set: KeySet, clock: Clock) -> None:
        """Take the key set, which has the keys of refresh tokens too."""
        self._key_set, self._clock = key_set, clock
        self._secret_keys = key_set.key_store.secret_keys
        self._issuer, self._audience = settings.public_url, settings.audience
        self._access_ttl = settings.access_ttl
        self._private_jwks: dict[str, PyJWK] = {}
        self._public_jwks: dict[str, PyJWK] = {}
        self._manager = self._make_manager()
        self._own_app = Flask("itemsapi.tokens", static_folder=None)
        self._own_app.config.update(
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
        self._manager.init_app(self._own_app)

    def install(self, app: Flask) -> None:
        """Configure Flask-JWT-Extended on `app`, unless the application has a manager of its own.

        Call this when the application is complete: its own manager may be registered late, and
        must not find our configuration. Only the gate reads tokens from requests.
        """
        if "flask-jwt-extended" in app.extensions:
            return
        own = self._own_app
        app.extensions["flask-jwt-extended"] = self._manager
        app.config.update({name: own.config[name] for name in own.config if name[:4] == "JWT_"})
        # `init_app` registers these too, but Flask permits that before the first request only.
        handlers = own.error_handler_spec[None][None]
        app.error_handler_spec[None][None] = {**handlers, **app.error_handler_spec[None][None]}

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
        additional: Mapping[str, Any] = MappingProxyType({}),
    ) -> tuple[str, int]:
        """Create an access token; return it and its lifetime in seconds, jitter included.

        It expires at `not_after` at the latest, when its session ends (S-064). `additional` claims
        of the application replace none of these. Raise `ClaimsUnavailable` for a token that the
        gate would refuse.
        """
        jitter = random.uniform(1 - LIFETIME_JITTER, 1 + LIFETIME_JITTER)  # noqa: S311 - no secret
        lifetime = round(self._access_ttl.total_seconds() * jitter)
        lifetime = max(0, min(lifetime, not_after - iat))
        key = self._key_set.snapshot().current
        header = {"typ": "at+jwt", "kid": key.kid}
        claims = {
            **additional,
            "iss": self._issuer, "aud": self._audience, "sub": sub, "jti": str(uuid.uuid4()),
            "type": "access", "fresh": fresh,
            "sid": sid, "gen": gen, "epoch": epoch, "iat": iat, "exp": iat + lifetime,
            "scope": format_scopes(scopes), "auth_time": auth_time, "amr": list(amr),
        }  # fmt: skip
        with self._configured_context():
            token = create_access_token(
                _SigningIdentity(sub, key),
                fresh=fresh,
                additional_claims=claims,
                additional_headers=header,
            )
        _require_readable(token, claims, header)
        return token, lifetime

    def create_refresh_token(
        self, *, sub: str, sid: str, gen: int, issued_at: datetime, expires_at: datetime
    ) -> str:
        """Create the refresh token of one generation: equal arguments give equal bytes.

        Only after a rotation of the secret are they others.
        """
        key = self._key_set.snapshot().refresh_key
        claims = {
            "sid": sid, "gen": gen, "jti": f"{sid}.{gen}",
            "iat": unix_seconds(issued_at), "exp": unix_seconds(expires_at),
        }  # fmt: skip
        headers = {"typ": "rt+jwt", "kid": key.kid}
        identity = _SigningIdentity(sub, key)
        with self._configured_context():
            token: str = create_refresh_token(
                identity, additional_claims=claims, additional_headers=headers
            )
        return token

    def verify_access_token(self, token: str) -> Claims:
        """Return the claims of an access token.

        Raise `TokenInvalid` unless it is valid, and `GateUnavailable` if the keys are not known.
        """
        header = parse_header(token, "at+jwt", TokenInvalid)
        key = self._key_set.find(header["kid"])
        payload = self._verified_payload(token, header, key, TokenInvalid)
        claims = parse_claims(payload, header)
        require_current(claims, unix_seconds(self._clock()))
        return claims

    def verify_refresh_token(self, token: str) -> RefreshClaims:
        """Return the claims of a refresh token; the row of its session decides whether it is good.

        Raise `RefreshInvalid` unless it is valid, and `GateUnavailable` if the keys are not known:
        a wrong secret key must sign nobody out.
        """
        self._key_set.snapshot()
        header = parse_header(token, "rt+jwt", RefreshInvalid)
        key = self._secret_keys.find_refresh_key(header["kid"])
        return parse_refresh_claims(self._verified_payload(token, header, key, RefreshInvalid))

    def _verified_payload(
        self, token: str, header: Mapping[str, Any], key: Key | None, error: type[Problem]
    ) -> dict[str, Any]:
        """Return the payload of a token with our issuer and audience, signed with a key of ours."""
        if key is None or header["alg"] != key.alg or not self._is_signed(token, key):
            raise error
        payload = parse_payload(token, error)
        audience = payload.get("aud")
        audiences = audience if isinstance(audience, list) else [audience]
        if payload.get("iss") != self._issuer or self._audience not in audiences:
            raise error
        return payload

    def _is_signed(self, token: str, key: Key) -> bool:
        """Return whether the signature of a token in compact form is that of a key."""
        jwk, (signed, _, signature) = self._public_jwk(key), token.rpartition(".")
        try:
            return jwk.Algorithm.verify(signed.encode(), jwk.key, decode_base64url(signature))
        except Exception:  # noqa: BLE001 - any error of a library on hostile bytes means invalid
            return False

    def _find_key(self, kid: str) -> Key:
        key = self._secret_keys.find_refresh_key(kid) or self._key_set.find(kid)
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


def _require_readable(token: str, claims: dict[str, Any], header: Mapping[str, Any]) -> None:
    """Raise `ClaimsUnavailable` for a token of ours that no view would accept.

    The application's claims were checked to come back as they are (`copy_additional_claims`).
    """
    try:
        require_length(token, TokenInvalid)
        parse_claims(claims, header)
    except TokenInvalid:
        cause = (
            f"token: the gate would refuse it, of {len(token)} characters ({MAX_TOKEN_LENGTH});"
            " give it fewer scopes or claims"
        )
        raise ClaimsUnavailable(cause=cause) from None


def _verified_claims() -> Mapping[str, Any] | None:
    """Return the claims that the gate has verified for this request; None on a public route."""
    try:
        claims: Mapping[str, Any] = get_jwt()
    except RuntimeError:
        return None
    return claims


def _subject(identity: object) -> object:
    return identity.sub if isinstance(identity, _SigningIdentity) else identity
