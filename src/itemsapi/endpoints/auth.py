"""Sign in, stay signed in, sign out."""

from collections.abc import Mapping
from contextlib import suppress

import flask
from marshmallow import validate

from itemsapi.endpoints import groups
from itemsapi.endpoints.token_response import (
    EXAMPLE_REFRESH_TOKEN,
    AttemptHeaders,
    Tokens,
    attempt_id,
    clear_cookie_headers,
    has_unreadable_cookie,
    read_refresh_tokens,
    token_response,
)
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
from itemsapi.rest import Blueprint, Schema, documented_headers, fields
from itemsapi.services import services
from itemsapi.settings import MAX_PASSWORD_LENGTH
from itemsapi.tokens.claims import MAX_TOKEN_LENGTH
from itemsapi.tokens.scopes import MAX_SCOPE_LENGTH

blueprint = Blueprint(
    "auth", __name__, url_prefix="/auth", title="Sign in and out", group=groups.SIGN_IN
)

SCOPE = fields.String(
    load_default=None,
    validate=validate.Length(1, MAX_SCOPE_LENGTH),
    metadata={"description": "Scopes, separated by single spaces; default: all that you may have."},
)


class LoginIn(Schema):
    """User name and password, with options."""

    username = fields.String(required=True, validate=validate.Length(1, 200))
    password = fields.String(required=True, validate=validate.Length(1, MAX_PASSWORD_LENGTH))
    scope = SCOPE
    device = fields.Line(
        load_default=None,
        validate=validate.Length(1, 120),
        metadata={"description": "The name of this device in the list of sessions."},
    )


class RefreshIn(Schema):
    """A refresh token, unless it is in the cookie."""

    refresh_token = fields.String(load_default=None, validate=validate.Length(1, MAX_TOKEN_LENGTH))
    scope = SCOPE


class LogoutIn(Schema):
    """A refresh token, unless it is in the cookie or the request has an access token."""

    refresh_token = fields.String(load_default=None, validate=validate.Length(1, MAX_TOKEN_LENGTH))


@blueprint.post("/login")
@public("clients sign in before they have a token")
@blueprint.arguments(
    LoginIn(), example={"username": "ada", "password": "correct horse battery staple"}
)
@blueprint.response(200, Tokens(), headers=documented_headers("Set-Cookie"))
@blueprint.alt_response(CredentialsInvalid)
@blueprint.alt_response(ScopeInvalid)
@blueprint.alt_response(TooManyRequests)
@blueprint.alt_response(Busy)
def sign_in(payload: dict[str, str]) -> object:
    """Sign in with a user name and a password."""
    grant = login(
        services().issuer, LoginRequest(**payload, delivery=requested_delivery(flask.request))
    )
    for token in _refresh_tokens({}):  # a sign-in ends the browser's previous session (S-069)
        logout(services().issuer, token, delivery=COOKIE)
    return token_response(grant)


@blueprint.post("/refresh")
@refresh_token
@blueprint.arguments(AttemptHeaders(), location="headers")
@blueprint.arguments(RefreshIn(), example={"refresh_token": EXAMPLE_REFRESH_TOKEN})
@blueprint.response(200, Tokens(), headers=documented_headers("Set-Cookie"))
@blueprint.alt_response(CookiesUnreadable)
@blueprint.alt_response(RefreshInvalid)
@blueprint.alt_response(RefreshReused)
@blueprint.alt_response(RefreshSuperseded)
@blueprint.alt_response(ScopeInvalid)
@blueprint.alt_response(TokenMissing)
def refresh_tokens(headers: dict[str, str | None], payload: dict[str, str | None]) -> object:
    """Exchange a refresh token for a new refresh token and a new access token.

    If several requests send the same token, one gets the new refresh token and the others get only
    an access token.
    """
    tokens = _refresh_tokens(payload)
    if not tokens:
        raise _missing_token_problem()
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
def sign_out(payload: dict[str, str | None]) -> object:
    """Sign out: end the session and revoke its tokens. Signing out twice is no error."""
    tokens, caller = _refresh_tokens(payload), optional_caller()
    delivery = requested_delivery(flask.request)
    if not tokens and caller is None and not has_stale_credential():
        raise _missing_token_problem()
    for token in tokens:
        logout(services().issuer, token, delivery=delivery)
    if caller is not None:
        _end_own_session(caller)
    if delivery != COOKIE:
        return None, {}
    return None, clear_cookie_headers(services().settings, flask.request)


def _refresh_tokens(payload: Mapping[str, str | None]) -> list[str]:
    """Return the refresh tokens of the cookie with cookie delivery, else the one of the body.

    Raise `RefreshInvalid` if the body has one although cookie delivery is requested.
    """
    body_token = payload.get("refresh_token")
    if requested_delivery(flask.request) != COOKIE:
        return [body_token] if body_token else []
    if body_token:
        raise RefreshInvalid
    return read_refresh_tokens(services().settings, flask.request)


def _missing_token_problem() -> Problem:
    """Return the problem of a request without refresh token.

    A 401 ends the session in a browser, so cookies that the server dropped are another problem.
    """
    by_cookie = requested_delivery(flask.request) == COOKIE
    if by_cookie and has_unreadable_cookie(flask.request):
        return CookiesUnreadable()
    return TokenMissing()


def _end_own_session(caller: Caller) -> None:
    user_id = caller.user_id
    with suppress(NotFound):  # the session may be deleted already
        end_session(
            services().issuer, caller.session_id or "", user_id, why="logout", caller_id=user_id
        )
