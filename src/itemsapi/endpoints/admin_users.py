"""Users, for operators: list, create and change users, their roles and their passwords."""

from typing import Any

from marshmallow import validate

from itemsapi.accounts.models import MAX_USERNAME_LENGTH
from itemsapi.accounts.repository import UserRecord
from itemsapi.endpoints import groups
from itemsapi.endpoints.example_permissions import example_roles
from itemsapi.gate.caller import current_caller
from itemsapi.gate.decorators import requires
from itemsapi.paging import Page, cut_page
from itemsapi.problems import Busy, Conflict, Forbidden, NotFound
from itemsapi.rest import Blueprint, PageQuery, Schema, documented_headers, fields, list_schema
from itemsapi.services import services
from itemsapi.settings import MAX_PASSWORD_LENGTH
from itemsapi.tokens.scopes import USERS_READ, USERS_WRITE

blueprint = Blueprint("users", __name__, url_prefix="/users", group=groups.OPERATORS)

ROLE_LENGTH = validate.Length(1, 40)
ROLE_COUNT = validate.Length(max=50)
EXAMPLE_PASSWORD = "correct horse battery staple"  # noqa: S105 - for the examples
MUST_CHANGE = fields.Boolean(
    data_key="must_change",
    load_default=False,
    metadata={"description": "Temporary: valid for 7 days, and only to set another password."},
)


def example_in() -> dict[str, object]:
    """Return an example of a new user."""
    user = {"username": "ada", "password": EXAMPLE_PASSWORD, "must_change": True}
    return user | {"roles": example_roles()}


def example() -> dict[str, object]:
    """Return an example of a user."""
    return {
        "id": "01960a3b-9a10-7f02-8a55-6b1f0c9d2e10",
        "username": "ada",
        "disabled": False,
        "roles": example_roles(),
        "created_at": "2026-01-31T11:00:00Z",
        "updated_at": "2026-01-31T11:00:00Z",
    }


class UserIn(Schema):
    """A new user."""

    username = fields.String(
        required=True,
        validate=validate.Length(1, MAX_USERNAME_LENGTH),
        metadata={"description": "ASCII letters, digits and . _ @ + -; stored in lower case."},
    )
    password = fields.String(required=True, validate=validate.Length(1, MAX_PASSWORD_LENGTH))
    temporary = MUST_CHANGE
    roles = fields.List(fields.String(validate=ROLE_LENGTH), load_default=(), validate=ROLE_COUNT)


class UserPatch(Schema):
    """Changes to a user; omitted fields stay unchanged."""

    disabled = fields.Boolean(load_default=None)
    roles = fields.List(fields.String(validate=ROLE_LENGTH), load_default=None, validate=ROLE_COUNT)


class UserPasswordIn(Schema):
    """A new password for a user."""

    password = fields.String(required=True, validate=validate.Length(1, MAX_PASSWORD_LENGTH))
    temporary = MUST_CHANGE


class User(Schema):
    """A user."""

    id = fields.Id(required=True)
    username = fields.String(required=True)
    disabled = fields.Boolean(required=True)
    roles = fields.List(fields.String(), required=True)
    created_at = fields.DateTime(required=True)
    updated_at = fields.DateTime(required=True)


class UserQuery(PageQuery):
    """Paging and filter of users."""

    q = fields.String(
        load_default=None,
        validate=validate.Length(1, MAX_USERNAME_LENGTH),
        metadata={"description": "The beginning of the user name."},
    )


@blueprint.get("")
@requires(USERS_READ)
@blueprint.arguments(UserQuery(), location="query")
@blueprint.response(200, list_schema(User(), "Users"))
def list_users(query: dict[str, Any]) -> Page[UserRecord]:
    """List users by name."""
    limit = query["limit"]
    users = services().users.list_page(
        after=query["cursor"] or "", limit=limit + 1, prefix=(query["q"] or "").lower()
    )
    return cut_page(users, limit, cursor_after=lambda user: user.username)


@blueprint.post("")
@requires(USERS_WRITE)
@blueprint.arguments(UserIn(), example=example_in)
@blueprint.etag
@blueprint.response(201, User(), headers=documented_headers("Location"), example=example)
@blueprint.alt_response(Conflict)
@blueprint.alt_response(Forbidden)
@blueprint.alt_response(Busy)
def create_user(payload: dict[str, Any]) -> object:
    """Create a user.

    You can only give roles whose scopes you have yourself.
    """
    user = services().users.create(current_caller(), **payload)
    return _with_etag(user), {"Location": f"/users/{user.id}"}


@blueprint.get("/<id:user_id>")
@requires(USERS_READ)
@blueprint.etag
@blueprint.response(200, User(), example=example)
@blueprint.alt_response(NotFound)
def show_user(user_id: str) -> object:
    """Show a user."""
    return _with_etag(services().users.get(user_id))


@blueprint.patch("/<id:user_id>")
@requires(USERS_WRITE)
@blueprint.arguments(UserPatch(), example={"disabled": True})
@blueprint.etag
@blueprint.response(200, User(), example=example)
@blueprint.alt_response(NotFound)
@blueprint.alt_response(Conflict)
@blueprint.alt_response(Forbidden)
def change_user(payload: dict[str, Any], user_id: str) -> object:
    """Disable or enable a user, or set their roles.

    The user must not have scopes that you do not have. If a user is disabled, all their sessions
    end within a second. If the roles change, the access tokens of the user are revoked.
    """
    version = blueprint.if_match()
    return _with_etag(services().users.change(current_caller(), user_id, version, **payload))


@blueprint.put("/<id:user_id>/password")
@requires(USERS_WRITE)
@blueprint.arguments(UserPasswordIn(), example={"password": EXAMPLE_PASSWORD, "must_change": True})
@blueprint.response(204)
@blueprint.alt_response(NotFound)
@blueprint.alt_response(Forbidden)
@blueprint.alt_response(Busy)
def set_user_password(payload: dict[str, Any], user_id: str) -> None:
    """Set the password of another user and end all their sessions."""
    services().users.set_password(current_caller(), user_id, **payload)


def _with_etag(user: UserRecord) -> UserRecord:
    """Set the user's version as the ETag of the response, and return the user."""
    blueprint.set_etag(user.version)
    return user
