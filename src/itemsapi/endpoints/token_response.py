"""The attempt id of a refresh, and the token response with body or cookie delivery."""

import re

import flask

from itemsapi.gate.csrf import COOKIE
from itemsapi.issuer.grants import Grant
from itemsapi.problems import BadRequest
from itemsapi.rest import Schema, cookies, fields
from itemsapi.services import services


class Tokens(Schema):
    """A token response (RFC 6749 section 5.1)."""

    access_token = fields.String(required=True)
    token_type = fields.String(required=True)
    expires_in = fields.Integer(required=True, metadata={"description": "Seconds."})
    scope = fields.String(required=True)
    session_id = fields.String(required=True)
    refresh_token = fields.String(
        metadata={
            "description": "Absent with cookie delivery. If it is absent, keep the one you have.",
            "optional": True,
        }
    )


# Commas are excluded, because a server joins repeated header fields with commas (RFC 9110 5.3).
ATTEMPT_ID = r"^[!-+\--~]{22,128}\Z"


class AttemptHeaders(Schema):
    """The id of a refresh attempt."""

    attempt_id = fields.String(
        data_key="Idempotency-Key",
        load_default=None,
        metadata={
            "description": "Random text of 22 to 128 characters, new for each refresh. If no"
            " response arrives, repeat the request with the same key and token: the response"
            " contains the same new refresh token, until that token is used.",
            "pattern": ATTEMPT_ID.replace(r"\Z", "$"),
        },
    )


def attempt_id(headers: dict[str, str | None]) -> str | None:
    """Return the id of this attempt, if any, or raise `BadRequest` if it is malformed."""
    attempt = headers["attempt_id"]
    if attempt is not None and not re.match(ATTEMPT_ID, attempt):
        raise BadRequest(
            "`Idempotency-Key` must be 22 to 128 visible ASCII characters, without comma."
        )
    return attempt


def token_response(grant: Grant) -> object:
    """Return the token response, with the refresh token in the cookie or in the body.

    A grant without refresh token sets neither: the client keeps the token that it has, or that it
    got from another response (RFC 6749 section 6).
    """
    body = {
        "access_token": grant.access_token,
        "token_type": grant.token_type,
        "expires_in": grant.expires_in,
        "scope": grant.scope,
        "session_id": grant.session_id,
    }
    if grant.refresh_token is None:
        return body
    if grant.delivery != COOKIE:
        return body | {"refresh_token": grant.refresh_token}
    now, ends = services().clock(), grant.session_ends
    return body, cookies.set_cookie_headers(
        services().settings, flask.request, grant.refresh_token, ends=ends, now=now
    )
