"""The signed-in user: profile and password change."""

from datetime import UTC, datetime
from typing import Any

import flask
from marshmallow import validate

from itemsapi.endpoints import groups
from itemsapi.endpoints.example_permissions import example_roles, example_scopes
from itemsapi.endpoints.token_response import Tokens, token_response
from itemsapi.gate.caller import current_caller
from itemsapi.gate.csrf import requested_delivery
from itemsapi.gate.decorators import signed_in, signed_in_to_change_password
from itemsapi.issuer import passwords
from itemsapi.problems import BadRequest, Busy, CrossSite, NotFound, TooManyRequests
from itemsapi.rest import Blueprint, Schema, documented_headers, fields
from itemsapi.services import services
from itemsapi.settings import MAX_PASSWORD_LENGTH

PASSWORD_LENGTH = validate.Length(1, MAX_PASSWORD_LENGTH)


def example_profile() -> dict[str, object]:
    """Return an example of the signed-in user, with a role of everyday if there is one."""
    roles = example_roles()
    return {
        "id": "01960a3b-9a10-7f02-8a55-6b1f0c9d2e10",
        "username": "ada",
        "roles": roles,
        "scopes": example_scopes() if roles else [],
        "session_id": "01960a3c-5b00-7c4e-9c39-0d8f3b5c7e21",
        "auth_time": "2026-01-31T12:00:00Z",
        "created_at": "2026-01-31T11:00:00Z",
    }


class SignedInUser(Schema):
    """The signed-in user, with data of the access token and of the application's users."""

    id = fields.String(required=True)
    username = fields.String(required=True)
    scopes = fields.List(
        fields.String(), required=True, metadata={"description": "The scopes of this token."}
    )
    session_id = fields.Id(required=True)
    auth_time = fields.DateTime(
        required=True, metadata={"description": "When you last entered your password."}
    )


class Me(SignedInUser):
    """The signed-in user, with data of the access token and of the database."""

    id = fields.Id(required=True)
    roles = fields.List(fields.String(), required=True)
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


PASSWORD_EXAMPLE = {
    "current_password": "correct horse battery staple",
    "new_password": "seven quiet geese cross the river",
    "end_other_sessions": True,
}


def create_blueprint(*, has_layer_users: bool) -> Blueprint:
    """Create the blueprint, for the layer's own users or for those of an application."""
    blueprint = Blueprint(
        "me", __name__, url_prefix="/me", title="You and your password", group=groups.ACCOUNT
    )
    if has_layer_users:
        _add_profile_with_roles(blueprint)
    else:
        _add_profile(blueprint)
    _add_password_change(blueprint)
    return blueprint


def _add_profile_with_roles(blueprint: Blueprint) -> None:
    @blueprint.get("")
    @signed_in
    @blueprint.response(200, Me(), example=example_profile)
    def show_me() -> object:
        """Show the signed-in user."""
        user = services().users.get(current_caller().user_id)
        return _profile(user.username) | {"roles": user.roles, "created_at": user.created_at}


def _add_profile(blueprint: Blueprint) -> None:
    @blueprint.get("")
    @signed_in
    @blueprint.response(200, SignedInUser())
    @blueprint.alt_response(NotFound)
    def show_me() -> object:
        """Show the signed-in user."""
        user = services().issuer.users.find_by_id(current_caller().user_id)
        if user is None:
            raise NotFound
        return _profile(user.username)


def _add_password_change(blueprint: Blueprint) -> None:
    @blueprint.post("/password")
    @signed_in_to_change_password
    @blueprint.arguments(PasswordIn(), example=PASSWORD_EXAMPLE)
    @blueprint.response(200, Tokens(), headers=documented_headers("Set-Cookie"))
    @blueprint.alt_response(BadRequest)
    @blueprint.alt_response(CrossSite)
    @blueprint.alt_response(TooManyRequests)
    @blueprint.alt_response(Busy)
    def change_password(payload: dict[str, Any]) -> object:
        """Change your password: this session goes on with new tokens, and your other sessions end.

        All your older access tokens are revoked, and all older refresh tokens of this session. If
        no response arrives, try to sign in with the new password. If your refresh token is in the
        cookie, send `X-Auth-Delivery: cookie` with credentials.
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


def _profile(username: str) -> dict[str, object]:
    caller = current_caller()
    return {
        "id": caller.user_id,
        "username": username,
        "scopes": sorted(caller.scopes),
        "session_id": caller.session_id,
        "auth_time": datetime.fromtimestamp(caller.auth_time or 0, UTC),
    }
