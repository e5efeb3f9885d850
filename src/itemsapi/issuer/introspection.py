"""Introspection: whether a token is active, and what it says (RFC 7662)."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from itemsapi.accounts import lookup
from itemsapi.issuer.desk import Desk
from itemsapi.problems import DatabaseUnavailable, RefreshInvalid, TokenInvalid
from itemsapi.tokens.claims import Claims
from itemsapi.tokens.revocations import cutoff
from itemsapi.tokens.sessions import alive, confirm, find

INACTIVE: Mapping[str, Any] = {"active": False}  # and nothing else, whatever the cause (S-137)
SHOWN = ("scope", "sub", "sid", "iss", "aud", "iat", "exp", "jti", "auth_time")


def introspect(desk: Desk, token: str) -> Mapping[str, Any]:
    """Say what an access or refresh token is worth now; asking does not use it up."""
    try:
        return _access(desk, token)
    except TokenInvalid:
        return _refresh(desk, token)


def _access(desk: Desk, token: str) -> Mapping[str, Any]:
    claims = desk.codec.read_access(token)
    desk.feed.check(sid=claims.sid, user_id=claims.sub, iat=claims.iat)
    _confirm(desk, claims)
    shown = {name: claims.raw[name] for name in SHOWN}
    return {"active": True, "token_type": "Bearer", **shown}


def _confirm(desk: Desk, claims: Claims) -> None:
    """Note that the token is in use elsewhere, so that its predecessor heals no more (ADR 3).

    As at the gate, what cannot be noted fails no request.
    """
    with suppress(DatabaseUnavailable):
        with desk.database.reading() as connection:
            session = find(connection, claims.sid)
        if session is not None and session.gen == claims.gen and not session.confirmed:
            confirm(desk.database, claims.sid, claims.gen)


def _refresh(desk: Desk, token: str) -> Mapping[str, Any]:
    try:
        claims = desk.codec.read_refresh(token)
    except RefreshInvalid:
        return INACTIVE
    with desk.database.reading() as connection:
        session, holder = find(connection, claims.sid), lookup.by_id(connection, claims.sub)
        ended = cutoff(connection).sessions
    if session is None or holder is None or not holder.enabled or session.auth_time < ended:
        return INACTIVE
    if session.gen != claims.gen or not alive(session, desk.clock(), desk.limits.idle):
        return INACTIVE
    return {"active": True, "sub": claims.sub, "sid": claims.sid}
