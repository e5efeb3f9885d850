"""Real access tokens, signed by the keys of the application under test.

The token codec of the application makes them, so they are what its issuer would hand out; only
claims that a test asks for differ. Each is issued after all revocations so far. There is no row of
a session for it: the gate does not look for one. Use `sign_in` to test refresh and sessions.
"""

import base64
import json
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from flask import Flask
from jwt.algorithms import get_default_algorithms
from sqlalchemy import func, select

from itemsapi.clock import new_id, unix_seconds
from itemsapi.composition import Services
from itemsapi.services import services_of
from itemsapi.testing.application import seal
from itemsapi.tokens.claims import MAX_LIFETIME_SECONDS
from itemsapi.tokens.keys import Key
from itemsapi.tokens.revocation import NO_EPOCH, Revocation
from itemsapi.tokens.scopes import PASSWORD_CHANGE, Scope

_LATEST_EPOCH = select(func.coalesce(func.max(Revocation.seq), NO_EPOCH))


def access_token(  # noqa: PLR0913 - what a test may want to be different
    app: Flask,
    scopes: Iterable[Scope | str] = (),
    *,
    user_id: str | int | UUID | None = None,
    session_id: str | None = None,
    age: timedelta = timedelta(0),
    amr: Iterable[str] = ("pwd",),
    claims: Mapping[str, Any] | None = None,
) -> str:
    """Return an access token with `scopes`; the application is sealed first.

    `user_id` and `session_id` are new ids by default. `age` is how long ago the user signed in and
    got the token: older than its lifetime, it has expired; below zero, it is not valid yet. `amr`
    names the methods of authentication (RFC 8176). `claims` are added to the claims of the token,
    or replace them. Raise `ValueError` for an unknown scope, and `RulesInvalid` if a route has no
    rule.
    """
    seal(app)
    services = services_of(app)
    issued_at = unix_seconds(services.clock() - age)
    token, _ = services.token_codec.create_access_token(
        sub=new_id() if user_id is None else str(user_id),
        sid=session_id or new_id(),
        gen=1,
        epoch=latest_epoch(services),
        scopes=_known(services, scopes),
        auth_time=issued_at,
        amr=tuple(amr),
        iat=issued_at,
        not_after=issued_at + MAX_LIFETIME_SECONDS,
        fresh=True,
    )
    return with_claims(services, token, claims) if claims else token


def _known(services: Services, scopes: Iterable[Scope | str]) -> frozenset[str]:
    names = frozenset(scopes.split() if isinstance(scopes, str) else map(str, scopes))
    known = services.scopes()
    if unknown := sorted(names - known.keys() - {PASSWORD_CHANGE.name}):
        text = ", ".join(sorted(known))
        raise ValueError(f"{unknown[0]} is no scope of this application; it has {text}")
    return names


def latest_epoch(services: Services) -> int:
    """Return the epoch of a token that is issued after all revocations so far."""
    with services.database.reading() as connection:
        return int(connection.execute(_LATEST_EPOCH).scalar_one())


def with_claims(services: Services, token: str, claims: Mapping[str, Any]) -> str:
    """Return a token with other claims, signed by the key that signs now."""
    key = services.key_set.snapshot().current
    return sign(key, decode_part(token, 0), {**decode_part(token, 1), **claims})


def sign(key: Key, header: object, payload: object) -> str:
    """Sign any header and payload, each JSON, text or bytes, with a key."""
    signed = f"{encode_part(header)}.{encode_part(payload)}"
    algorithm = get_default_algorithms()[key.alg]
    loaded = algorithm.from_jwk(key.jwk)
    return f"{signed}.{encode_part(algorithm.sign(signed.encode(), loaded))}"


def encode_part(part: object) -> str:
    """Return bytes, text or JSON as base64url without padding (RFC 7515 section 2)."""
    if not isinstance(part, str | bytes):
        part = json.dumps(part)
    raw = part.encode() if isinstance(part, str) else part
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def decode_part(token: str, at: int) -> dict[str, Any]:
    """Return the header (0) or the payload (1) of a token, without any check."""
    part = token.split(".")[at]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found
