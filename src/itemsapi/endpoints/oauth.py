"""The token, revocation and introspection endpoints for standard OAuth clients.

They use the same flows as `/auth`. Requests are forms; unknown fields are ignored, repeated fields
are rejected, and errors have the format of RFC 6749 section 5.2.
"""

from collections.abc import Mapping

import flask
from marshmallow import EXCLUDE, validate

from itemsapi import problems
from itemsapi.endpoints import groups
from itemsapi.endpoints.token_response import (
    EXAMPLE_REFRESH_TOKEN,
    AttemptHeaders,
    attempt_id,
    token_response,
)
from itemsapi.gate.decorators import public, refresh_token, requires
from itemsapi.issuer.introspection import introspect
from itemsapi.issuer.refresh import RefreshRequest, refresh
from itemsapi.issuer.sessions import revoke_token
from itemsapi.problems import Problem
from itemsapi.rest import Blueprint, Schema, fields
from itemsapi.rest.error_handlers import log_problem, problem_response
from itemsapi.rest.json_provider import dumps
from itemsapi.services import services
from itemsapi.tokens.claims import MAX_TOKEN_LENGTH
from itemsapi.tokens.scopes import MAX_SCOPE_LENGTH, TOKENS_READ

blueprint = Blueprint(
    "oauth", __name__, url_prefix="/oauth", title="OAuth clients", group=groups.SIGN_IN
)

TOKEN_REQUEST_EXAMPLE = {"grant_type": "refresh_token", "refresh_token": EXAMPLE_REFRESH_TOKEN}
TOKEN = fields.String(required=True, validate=validate.Length(1, MAX_TOKEN_LENGTH))


class Form(Schema):
    """The base of form schemas: unknown fields are ignored (RFC 6749 section 3.2)."""

    class Meta:
        """The options of form schemas."""

        unknown = EXCLUDE


class TokenRequest(Form):
    """A refresh request (RFC 6749 section 6); an empty field counts as omitted (section 3.2)."""

    grant_type = fields.String(required=True)
    refresh_token = fields.String(load_default=None, validate=validate.Length(0, MAX_TOKEN_LENGTH))
    scope = fields.String(load_default=None, validate=validate.Length(0, MAX_SCOPE_LENGTH))


class TokenQuestion(Form):
    """A token and an optional hint about its type (RFC 7009 2.1, RFC 7662 2.1)."""

    token = TOKEN
    token_type_hint = fields.String(load_default=None)


class OAuthTokens(Schema):
    """A successful token response (RFC 6749 sections 5.1 and 6)."""

    access_token = fields.String(required=True)
    token_type = fields.String(required=True)
    expires_in = fields.Integer(required=True)
    refresh_token = fields.String(
        metadata={"description": "If it is absent, keep the one you have.", "optional": True}
    )
    scope = fields.String(required=True)


class Introspection(Schema):
    """The state of a token (RFC 7662 section 2.2); only an active token has further fields."""

    active = fields.Boolean(required=True)
    token_type = fields.String(metadata={"optional": True})
    scope = fields.String(metadata={"optional": True})
    sub = fields.String(metadata={"optional": True})
    sid = fields.String(metadata={"optional": True})
    iss = fields.String(metadata={"optional": True})
    aud = fields.String(metadata={"optional": True})
    jti = fields.String(metadata={"optional": True})
    iat = fields.Integer(metadata={"optional": True})
    exp = fields.Integer(metadata={"optional": True})
    auth_time = fields.Integer(metadata={"optional": True})


@blueprint.post("/token")
@refresh_token
@blueprint.arguments(AttemptHeaders(), location="headers")
@blueprint.arguments(TokenRequest(), location="form", example=TOKEN_REQUEST_EXAMPLE)
@blueprint.response(200, OAuthTokens())
@blueprint.alt_response(problems.RefreshSuperseded)
def token(headers: dict[str, str | None], form: dict[str, str | None]) -> object:
    """Refresh tokens with a standard OAuth request.

    If several requests send the same token, one gets the new refresh token and the others get only
    an access token.
    """
    grant_type, presented = form["grant_type"] or None, form["refresh_token"] or None
    if grant_type not in {None, "refresh_token"}:
        raise problems.GrantTypeUnsupported
    if grant_type is None or presented is None:
        raise problems.BadRequest
    request = RefreshRequest("body", form["scope"] or None, attempt_id(headers))
    return token_response(refresh(services().issuer, presented, request))


@blueprint.post("/revoke")
@public("the token itself is the credential (RFC 7009); an unknown token changes nothing")
@blueprint.arguments(TokenQuestion(), location="form", example={"token": EXAMPLE_REFRESH_TOKEN})
@blueprint.response(200)
def revoke(form: dict[str, str]) -> None:
    """Revoke a token and end its session. Unknown tokens are no error."""
    revoke_token(services().issuer, form["token"])


@blueprint.post("/introspect")
@requires(TOKENS_READ)
@blueprint.arguments(TokenQuestion(), location="form", example={"token": EXAMPLE_REFRESH_TOKEN})
@blueprint.response(200, Introspection())
def introspect_token(form: dict[str, str]) -> object:
    """Show whether a token is active, and its claims."""
    return introspect(services().issuer, form["token"])


ERRORS: Mapping[type[Problem], str] = {
    problems.RefreshInvalid: "invalid_grant",
    problems.ScopeInvalid: "invalid_scope",
    problems.GrantTypeUnsupported: "unsupported_grant_type",
    problems.BadRequest: "invalid_request",
    problems.ValidationFailed: "invalid_request",
    problems.MediaTypeWrong: "invalid_request",
    problems.Unavailable: "temporarily_unavailable",
}


class OAuthError(Schema):
    """An error response (RFC 6749 section 5.2)."""

    error = fields.String(required=True)
    error_description = fields.String(required=True)


blueprint.document_errors(
    OAuthError(), {k: 503 if k is problems.Unavailable else 400 for k in ERRORS}
)


@blueprint.errorhandler(Problem)
def handle_problem(problem: Problem) -> flask.Response:
    """Return the problems in `ERRORS` as RFC 6749 section 5.2 errors, others as RFC 9457."""
    kind = next((kind for kind in ERRORS if isinstance(problem, kind)), None)
    if kind is None:
        return problem_response(problem)
    log_problem(problem)
    status = problem.status if isinstance(problem, problems.Unavailable) else 400
    body = dumps({"error": ERRORS[kind], "error_description": problem.title})
    headers = {k: v for k, v in problem.headers().items() if k != "WWW-Authenticate"}
    return flask.Response(body, status, headers, mimetype="application/json")
