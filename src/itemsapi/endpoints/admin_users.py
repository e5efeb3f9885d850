"""Users, for operators: who there is, what they may do, and whether they may at all."""

from typing import Any

from marshmallow import validate

from itemsapi.accounts.repository import UserRecord
from itemsapi.accounts.usernames import MAX_USERNAME_LENGTH
from itemsapi.gate.caller import current_caller
from itemsapi.gate.decorators import requires
from itemsapi.problems import Busy, Conflict, Forbidden, NotFound
from itemsapi.rest import Blueprint, PageQuery, Schema, documented_headers, fields, list_schema
from itemsapi.services import services
from itemsapi.settings import MAX_PASSWORD_LENGTH
from itemsapi.tokens.scopes import USERS_READ, USERS_WRITE

blueprint = Blueprint("users", __name__, url_prefix="/users")

ROLE = validate.Length(1, 40)
SOME_ROLES = validate.Length(max=50)
PASSWORD = "correct horse battery staple"  # noqa: S105 - of the examples
MUST_CHANGE = fields.Boolean(
    data_key="must_change",
    load_default=False,
    metadata={"description": "Let the password be good for 7 days, only to set another one."},
)
EXAMPLE_IN = {
    "username": "ada",
    "password": PASSWORD,
    "must_change": True,
    "roles": ["member"],
}
EXAMPLE = {
    "id": "01960a3b-9a10-7f02-8a55-6b1f0c9d2e10",
    "username": "ada",
    "disabled": False,
    "roles": ["member"],
    "created_at": "2026-01-31T11:00:00Z",
    "updated_at": "2026-01-31T11:00:00Z",
}


class UserIn(Schema):
    """A new user."""

    username = fields.String(
        required=True,
        validate=validate.Length(1, MAX_USERNAME_LENGTH),
        metadata={"description": "ASCII letters, digits and . _ @ + -; kept in lower case."},
    )
    password = fields.String(required=True, validate=validate.Length(1, MAX_PASSWORD_LENGTH))
    one_time = MUST_CHANGE
    roles = fields.List(fields.String(validate=ROLE), load_default=(), validate=SOME_ROLES)


class UserPatch(Schema):
    """What is to change; what is left out stays."""

    disabled = fields.Boolean(load_default=None)
    roles = fields.List(fields.String(validate=ROLE), load_default=None, validate=SOME_ROLES)


class UserPasswordIn(Schema):
    """Another password for somebody."""

    password = fields.String(required=True, validate=validate.Length(1, MAX_PASSWORD_LENGTH))
    one_time = MUST_CHANGE


class User(Schema):
    """A user."""

    id = fields.Id(required=True)
    username = fields.String(required=True)
    disabled = fields.Boolean(required=True)
    roles = fields.List(fields.String(), required=True)
    created_at = fields.DateTime(required=True)
    updated_at = fields.DateTime(required=True)


class UserQuery(PageQuery):
    """Which users."""

    q = fields.String(
        load_default=None,
        validate=validate.Length(1, MAX_USERNAME_LENGTH),
        metadata={"description": "How the user name begins."},
    )


@blueprint.get("")
@requires(USERS_READ)
@blueprint.arguments(UserQuery(), location="query")
@blueprint.response(200, list_schema(User(), "Users"))
def list_users(query: dict[str, Any]) -> object:
    """List users by name."""
    limit = query["limit"]
    found = services().users.list_page(
        after=query["cursor"] or "", limit=limit + 1, prefix=(query["q"] or "").lower()
    )
    more = len(found) > limit
    return {"items": found[:limit], "next_cursor": found[limit - 1].username if more else None}


@blueprint.post("")
@requires(USERS_WRITE)
@blueprint.arguments(UserIn(), example=EXAMPLE_IN)
@blueprint.etag
@blueprint.response(201, User(), headers=documented_headers("Location"), example=EXAMPLE)
@blueprint.alt_response(Conflict)
@blueprint.alt_response(Forbidden)
@blueprint.alt_response(Busy)
def create_user(payload: dict[str, Any]) -> object:
    """Create a user; you can give no role that goes further than your own scopes."""
    user = services().users.create(current_caller(), **payload)
    return _versioned(user), {"Location": f"/users/{user.id}"}


@blueprint.get("/<id:user_id>")
@requires(USERS_READ)
@blueprint.etag
@blueprint.response(200, User(), example=EXAMPLE)
@blueprint.alt_response(NotFound)
def show_user(user_id: str) -> object:
    """Show a user."""
    return _versioned(services().users.get(user_id))


@blueprint.patch("/<id:user_id>")
@requires(USERS_WRITE)
@blueprint.arguments(UserPatch(), example={"disabled": True})
@blueprint.etag
@blueprint.response(200, User(), example=EXAMPLE)
@blueprint.alt_response(NotFound)
@blueprint.alt_response(Conflict)
@blueprint.alt_response(Forbidden)
def change_user(payload: dict[str, Any], user_id: str) -> object:
    """Disable or enable a user, or set their roles; nobody who may do more than you.

    Who is disabled loses all sessions within a second; who gets other roles gets other tokens.
    """
    version = blueprint.if_match()
    return _versioned(services().users.change(current_caller(), user_id, version, **payload))


@blueprint.put("/<id:user_id>/password")
@requires(USERS_WRITE)
@blueprint.arguments(UserPasswordIn(), example={"password": PASSWORD, "must_change": True})
@blueprint.response(204)
@blueprint.alt_response(NotFound)
@blueprint.alt_response(Forbidden)
@blueprint.alt_response(Busy)
def set_user_password(payload: dict[str, Any], user_id: str) -> None:
    """Set the password of somebody else; all their sessions end."""
    services().users.set_password(current_caller(), user_id, **payload)


def _versioned(user: UserRecord) -> UserRecord:
    """Return a user whose version is the ETag of the response."""
    blueprint.set_etag(user.version)
    return user
