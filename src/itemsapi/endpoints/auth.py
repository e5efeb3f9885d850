"""Sign in, stay signed in, sign out."""

from collections.abc import Mapping
from contextlib import suppress

import flask
from marshmallow import validate

from itemsapi.endpoints.token_response import AttemptHeaders, Tokens, attempt_id, token_response
from itemsapi.gate.caller import Caller, has_stale_credential, optional_caller
from itemsapi.gate.csrf import COOKIE, requested_delivery
from itemsapi.gate.decorators import public, refresh_token, refresh_token_or_signed_in
from itemsapi.issuer.login import LoginRequest, login
from itemsapi.issuer.refresh import RefreshRequest, refresh
from itemsapi.issuer.sessions import end_session, logout
from itemsapi.problems import (
    Busy,
    CookiesUnreadable,
    CredentialsInvalid,
    NotFound,
    Problem,
    RefreshInvalid,
    RefreshReused,
    RefreshSuperseded,
    ScopeInvalid,
    TokenMissing,
    TooManyRequests,
)
from itemsapi.rest import Blueprint, Schema, cookies, documented_headers, fields
from itemsapi.services import services
from itemsapi.settings import MAX_PASSWORD_LENGTH
from itemsapi.tokens.jwt import MAX_TOKEN_LENGTH as LONGEST_TOKEN
from itemsapi.tokens.scopes import MAX_SCOPE_LENGTH as LONGEST_SCOPE

blueprint = Blueprint("auth", __name__, url_prefix="/auth")

SCOPE = fields.String(
    load_default=None,
    validate=validate.Length(1, LONGEST_SCOPE),
    metadata={"description": "Scopes wanted, parted by single spaces; all you may have if absent."},
)


class LoginIn(Schema):
    """A name and a password, and what is wished for."""

    username = fields.String(required=True, validate=validate.Length(1, 200))
    password = fields.String(required=True, validate=validate.Length(1, MAX_PASSWORD_LENGTH))
    scope = SCOPE
    device = fields.Line(
        load_default=None,
        validate=validate.Length(1, 120),
        metadata={"description": "How to call this device in the list of sessions."},
    )


class RefreshIn(Schema):
    """A refresh token, unless it comes in the cookie."""

    refresh_token = fields.String(load_default=None, validate=validate.Length(1, LONGEST_TOKEN))
    scope = SCOPE


class LogoutIn(Schema):
    """A refresh token, unless it comes in the cookie or an access token is shown."""

    refresh_token = fields.String(load_default=None, validate=validate.Length(1, LONGEST_TOKEN))


@blueprint.post("/login")
@public("who signs in has no token yet")
@blueprint.arguments(
    LoginIn(), example={"username": "ada", "password": "correct horse battery staple"}
)
@blueprint.response(200, Tokens(), headers=documented_headers("Set-Cookie"))
@blueprint.alt_response(CredentialsInvalid)
@blueprint.alt_response(ScopeInvalid)
@blueprint.alt_response(TooManyRequests)
@blueprint.alt_response(Busy)
def sign_in(wish: dict[str, str]) -> object:
    """Sign in with a name and a password."""
    grant = login(
        services().issuer, LoginRequest(**wish, delivery=requested_delivery(flask.request))
    )
    for token in _shown({}):  # a sign-in ends the one that the browser had before (S-069)
        logout(services().issuer, token, delivery=COOKIE)
    return token_response(grant)


@blueprint.post("/refresh")
@refresh_token
@blueprint.arguments(AttemptHeaders(), location="headers")
@blueprint.arguments(RefreshIn())
@blueprint.response(200, Tokens(), headers=documented_headers("Set-Cookie"))
@blueprint.alt_response(CookiesUnreadable)
@blueprint.alt_response(RefreshInvalid)
@blueprint.alt_response(RefreshReused)
@blueprint.alt_response(RefreshSuperseded)
@blueprint.alt_response(ScopeInvalid)
@blueprint.alt_response(TokenMissing)
def refresh_tokens(headers: dict[str, str | None], payload: dict[str, str | None]) -> object:
    """Rotate a refresh token: a new one and a new access token.

    Who loses a race for the new refresh token gets an access token alone.
    """
    tokens = _shown(payload)
    if not tokens:
        raise _nothing_shown()
    if len(tokens) > 1:
        raise RefreshInvalid
    request = RefreshRequest(
        requested_delivery(flask.request), payload["scope"], attempt_id(headers)
    )
    return token_response(refresh(services().issuer, tokens[0], request))


@blueprint.post("/logout")
@refresh_token_or_signed_in
@blueprint.arguments(LogoutIn(), required=False)
@blueprint.response(204, headers=documented_headers("Set-Cookie"))
@blueprint.alt_response(CookiesUnreadable)
def sign_out(wish: dict[str, str | None]) -> object:
    """Sign out: the session ends, its tokens with it. Doing it twice is no error."""
    tokens, caller, way = _shown(wish), optional_caller(), requested_delivery(flask.request)
    if not tokens and caller is None and not has_stale_credential():
        raise _nothing_shown()
    for token in tokens:
        logout(services().issuer, token, delivery=way)
    if caller is not None:
        _end_own(caller)
    return None, cookies.cleared(services().settings, flask.request) if way == COOKIE else {}


def _shown(wish: Mapping[str, str | None]) -> list[str]:
    """Return the refresh tokens shown: from the cookie if that is the way, else from the body."""
    told = wish.get("refresh_token")
    if requested_delivery(flask.request) != COOKIE:
        return [told] if told else []
    if told:
        raise RefreshInvalid
    return cookies.presented(services().settings, flask.request)


def _nothing_shown() -> Problem:
    """Return the refusal of who shows no refresh token: 401 ends the session in a browser."""
    by_cookie = requested_delivery(flask.request) == COOKIE
    return (
        CookiesUnreadable() if by_cookie and cookies.unreadable(flask.request) else TokenMissing()
    )


def _end_own(caller: Caller) -> None:
    me = caller.user_id
    with suppress(NotFound):  # its row may be gone already
        end_session(services().issuer, caller.session_id, me, why="logout", actor=me)
