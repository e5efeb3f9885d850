"""Introspection: whether a token is active, and what it says (RFC 7662)."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from itemsapi.accounts import repository
from itemsapi.db import AnyRow
from itemsapi.issuer.issuer import Issuer
from itemsapi.problems import DatabaseUnavailable, RefreshInvalid, TokenInvalid
from itemsapi.tokens.revocation import everybodys_epochs
from itemsapi.tokens.scopes import PASSWORD_CHANGE
from itemsapi.tokens.sessions import alive, find, note_seen

INACTIVE: Mapping[str, Any] = {"active": False}  # and nothing else, whatever the cause (S-137)
SHOWN = ("scope", "sub", "sid", "iss", "aud", "iat", "exp", "jti", "auth_time")


def introspect(issuer: Issuer, token: str) -> Mapping[str, Any]:
    """Say what an access or refresh token is worth now; asking does not use it up."""
    try:
        return _access(issuer, token)
    except TokenInvalid:
        return _refresh(issuer, token)


def _access(issuer: Issuer, token: str) -> Mapping[str, Any]:
    claims = issuer.token_codec.read_access(token)
    issuer.revocation_feed.check(
        sid=claims.sid, gen=claims.gen, user_id=claims.sub, epoch=claims.epoch
    )
    if PASSWORD_CHANGE.name in claims.scopes:
        return INACTIVE  # whoever asks would let it in; it is good for one thing alone, and here
    with suppress(DatabaseUnavailable):
        with issuer.database.reading() as connection:
            session = find(connection, claims.sid)
        _note_seen(issuer, session, claims.gen)
    shown = {name: claims.raw[name] for name in SHOWN}
    return {"active": True, "token_type": "Bearer", **shown}


def _note_seen(issuer: Issuer, session: AnyRow | None, gen: int) -> None:
    """Note that the token is in use elsewhere, so that its predecessor heals no more (ADR 3).

    Raise `DatabaseUnavailable`, which fails no request: the next question notes it.
    """
    if session is not None and session.root_gen < gen and not session.seen:
        note_seen(issuer.database, session.id, gen)


def _refresh(issuer: Issuer, token: str) -> Mapping[str, Any]:
    try:
        claims = issuer.token_codec.read_refresh(token)
    except RefreshInvalid:
        return INACTIVE
    with issuer.database.reading() as connection:
        session, user = find(connection, claims.sid), repository.find_by_id(connection, claims.sub)
        everybody = everybodys_epochs(connection)
    if session is None or user is None or not user.enabled or user.must_change_password:
        return INACTIVE
    if session.epoch < everybody.sessions or session.gen != claims.gen:
        return INACTIVE
    if not alive(session, issuer.clock(), issuer.limits.idle):
        return INACTIVE
    with suppress(DatabaseUnavailable):
        _note_seen(issuer, session, claims.gen)
    return {"active": True, "sub": claims.sub, "sid": claims.sid}
