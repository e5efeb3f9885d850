"""The signed-in user: profile and password change."""

from datetime import UTC, datetime
from typing import Any

import flask
from marshmallow import validate

from itemsapi.endpoints.token_response import Tokens, token_response
from itemsapi.gate.caller import current_caller
from itemsapi.gate.csrf import requested_delivery
from itemsapi.gate.decorators import signed_in, signed_in_to_change_password
from itemsapi.issuer import passwords
from itemsapi.problems import BadRequest, Busy, CrossSite, TooManyRequests
from itemsapi.rest import Blueprint, Schema, documented_headers, fields
from itemsapi.services import services
from itemsapi.settings import MAX_PASSWORD_LENGTH

blueprint = Blueprint("me", __name__, url_prefix="/me")

PASSWORD_LENGTH = validate.Length(1, MAX_PASSWORD_LENGTH)
EXAMPLE = {
    "id": "01960a3b-9a10-7f02-8a55-6b1f0c9d2e10",
    "username": "ada",
    "roles": ["member"],
    "scopes": ["items:read", "items:write"],
    "session_id": "01960a3c-5b00-7c4e-9c39-0d8f3b5c7e21",
    "auth_time": "2026-01-31T12:00:00Z",
    "created_at": "2026-01-31T11:00:00Z",
}


class Me(Schema):
    """The signed-in user, with data of the access token and of the database."""

    id = fields.Id(required=True)
    username = fields.String(required=True)
    roles = fields.List(fields.String(), required=True)
    scopes = fields.List(
        fields.String(), required=True, metadata={"description": "The scopes of this token."}
    )
    session_id = fields.Id(required=True)
    auth_time = fields.DateTime(
        required=True, metadata={"description": "When you last entered your password."}
    )
    created_at = fields.DateTime(required=True)


class PasswordIn(Schema):
    """Your current password and the new one."""

    current_password = fields.String(required=True, validate=PASSWORD_LENGTH)
    new_password = fields.String(
        required=True,
        validate=PASSWORD_LENGTH,
        metadata={"description": "Long, not common, and not derived from your user name."},
    )
    end_other_sessions = fields.Boolean(
        load_default=True,
        metadata={"description": "They always end if your current password is a temporary one."},
    )


@blueprint.get("")
@signed_in
@blueprint.response(200, Me(), example=EXAMPLE)
def show_me() -> object:
    """Show the signed-in user."""
    return _current_user()


@blueprint.post("/password")
@signed_in_to_change_password
@blueprint.arguments(
    PasswordIn(),
    example={
        "current_password": "correct horse battery staple",
        "new_password": "seven quiet geese cross the river",
        "end_other_sessions": True,
    },
)
@blueprint.response(200, Tokens(), headers=documented_headers("Set-Cookie"))
@blueprint.alt_response(BadRequest)
@blueprint.alt_response(CrossSite)
@blueprint.alt_response(TooManyRequests)
@blueprint.alt_response(Busy)
def change_password(payload: dict[str, Any]) -> object:
    """Change your password: this session continues with new tokens, and your other sessions end.

    All your older access tokens are revoked, and all older refresh tokens of this session. If no
    response arrives, try to sign in with the new password. If your refresh token is in the cookie,
    send `X-Auth-Delivery: cookie` with credentials.
    """
    caller = current_caller()
    change = passwords.PasswordChange(
        caller.user_id,
        caller.session_id or "",
        current=payload["current_password"],
        new=payload["new_password"],
        end_others=payload["end_other_sessions"],
        delivery=requested_delivery(flask.request),
    )
    return token_response(passwords.change_password(services().issuer, change))


def _current_user() -> dict[str, object]:
    caller = current_caller()
    user = services().users.get(caller.user_id)
    return {
        "id": user.id,
        "username": user.username,
        "roles": user.roles,
        "scopes": sorted(caller.scopes),
        "session_id": caller.session_id,
        "auth_time": datetime.fromtimestamp(caller.auth_time or 0, UTC),
        "created_at": user.created_at,
    }
