"""The attempt id of a refresh, and the token response: refresh token in the body or the cookie."""

import re

import flask

from itemsapi.gate.csrf import COOKIE
from itemsapi.issuer.grants import Grant
from itemsapi.problems import BadRequest
from itemsapi.rest import Schema, cookies, fields
from itemsapi.services import services


class Tokens(Schema):
    """What the issuer hands over (RFC 6749 section 5.1)."""

    access_token = fields.String(required=True)
    token_type = fields.String(required=True)
    expires_in = fields.Integer(required=True, metadata={"description": "Seconds."})
    scope = fields.String(required=True)
    session_id = fields.String(required=True)
    refresh_token = fields.String(
        metadata={
            "description": "Not with cookie delivery. If it is absent, keep the one you have.",
            "optional": True,
        }
    )


# No comma: a server joins two header fields by one (RFC 9110 section 5.3).
ATTEMPT_ID = r"^[!-+\--~]{22,128}\Z"


class AttemptHeaders(Schema):
    """The id of an attempt to refresh."""

    attempt_id = fields.String(
        data_key="Idempotency-Key",
        load_default=None,
        metadata={
            "description": "Random text of 22 to 128 characters, new for each refresh. Repeat it,"
            " with the same token, when no answer came: it gives the same new refresh token"
            " again, until that is used itself.",
            "pattern": ATTEMPT_ID.replace(r"\Z", "$"),
        },
    )


def attempt_id(headers: dict[str, str | None]) -> str | None:
    """Return the id of this attempt, if it has one. Raises `BadRequest` if it is malformed."""
    given = headers["attempt_id"]
    if given is not None and not re.match(ATTEMPT_ID, given):
        raise BadRequest("`Idempotency-Key` is 22 to 128 visible ASCII characters, without comma.")
    return given


def token_response(grant: Grant) -> object:
    """Put the refresh token where it belongs: into the cookie, or into the body.

    Without one nothing is put anywhere: the client keeps what it has, or what somebody else's
    answer has brought it (RFC 6749 section 6).
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
    return body, cookies.issued(
        services().settings, flask.request, grant.refresh_token, ends=ends, now=now
    )
