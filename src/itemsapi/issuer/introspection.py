"""Introspection: whether a token is active, and its claims (RFC 7662)."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from itemsapi.accounts.user_state import read_user_state
from itemsapi.db import AnyRow
from itemsapi.issuer.issuer import Issuer
from itemsapi.problems import DatabaseUnavailable, RefreshInvalid, TokenInvalid
from itemsapi.tokens.revocation import load_global_epochs
from itemsapi.tokens.rotation import mark_generation_seen
from itemsapi.tokens.scopes import PASSWORD_CHANGE
from itemsapi.tokens.sessions import find_session, is_alive

INACTIVE: Mapping[str, Any] = {"active": False}  # nothing else, whatever the cause (S-137)
RETURNED_CLAIMS = ("scope", "sub", "sid", "iss", "aud", "iat", "exp", "jti", "auth_time")


def introspect(issuer: Issuer, token: str) -> Mapping[str, Any]:
    """Return the state and claims of an access or refresh token; introspection never rotates it."""
    try:
        return _introspect_access_token(issuer, token)
    except TokenInvalid:
        return _introspect_refresh_token(issuer, token)


def _introspect_access_token(issuer: Issuer, token: str) -> Mapping[str, Any]:
    claims = issuer.token_codec.verify_access_token(token)
    issuer.revocation_feed.check(
        sid=claims.sid, gen=claims.gen, user_id=claims.sub, epoch=claims.epoch
    )
    if PASSWORD_CHANGE.name in claims.scopes:
        return INACTIVE  # other services must reject it: it only permits to change the password
    with suppress(DatabaseUnavailable):
        with issuer.database.reading() as connection:
            session = find_session(connection, claims.sid)
        _note_seen(issuer, session, claims.gen)
    returned = {name: claims.raw[name] for name in RETURNED_CLAIMS}
    return {"active": True, "token_type": "Bearer", **returned}


def _note_seen(issuer: Issuer, session: AnyRow | None, gen: int) -> None:
    """Mark the generation as seen, so that its predecessor can no longer heal (docs/adr/0003).

    May raise `DatabaseUnavailable`. Callers ignore it: the next introspection marks it.
    """
    if session is not None and session.root_gen < gen and not session.seen:
        mark_generation_seen(issuer.database, session.id, gen)


def _introspect_refresh_token(issuer: Issuer, token: str) -> Mapping[str, Any]:
    try:
        claims = issuer.token_codec.verify_refresh_token(token)
    except RefreshInvalid:
        return INACTIVE
    user = issuer.users.find_by_id(claims.sub)
    with issuer.database.reading() as connection:
        session, global_epochs = (
            find_session(connection, claims.sid),
            load_global_epochs(connection),
        )
        state = read_user_state(connection, claims.sub)
    if session is None or user is None or not user.enabled or user.must_change_password:
        return INACTIVE
    if not state.knows_password(user.password_hash):
        return INACTIVE
    if session.epoch < global_epochs.sessions or session.gen != claims.gen:
        return INACTIVE
    if not is_alive(session, issuer.clock(), issuer.limits.max_idle):
        return INACTIVE
    with suppress(DatabaseUnavailable):
        _note_seen(issuer, session, claims.gen)
    return {"active": True, "sub": claims.sub, "sid": claims.sid}
