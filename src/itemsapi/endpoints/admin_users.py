"""Users, for operators: who there is, what they may do, and whether they may at all."""

from typing import Any

from marshmallow import validate

from itemsapi.accounts.passwords import LONGEST
from itemsapi.accounts.repository import Person
from itemsapi.accounts.usernames import LONGEST_NAME
from itemsapi.gate.caller import current_caller
from itemsapi.gate.decorators import requires
from itemsapi.preconditions import Expected
from itemsapi.problems import Busy, Conflict, Forbidden, NotFound
from itemsapi.rest import Blueprint, PageQuery, Schema, etag, fields, listing
from itemsapi.services import services
from itemsapi.tokens.scopes import SESSIONS_WRITE, USERS_READ, USERS_WRITE

page = Blueprint("users", __name__, url_prefix="/users")

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
        validate=validate.Length(1, LONGEST_NAME),
        metadata={"description": "ASCII letters, digits and . _ @ + -; kept in lower case."},
    )
    password = fields.String(required=True, validate=validate.Length(1, LONGEST))
    one_time = MUST_CHANGE
    roles = fields.List(fields.String(validate=ROLE), load_default=(), validate=SOME_ROLES)


class UserPatch(Schema):
    """What is to change; what is left out stays."""

    disabled = fields.Boolean(load_default=None)
    roles = fields.List(fields.String(validate=ROLE), load_default=None, validate=SOME_ROLES)


class UserPasswordIn(Schema):
    """Another password for somebody."""

    password = fields.String(required=True, validate=validate.Length(1, LONGEST))
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
        validate=validate.Length(1, LONGEST_NAME),
        metadata={"description": "How the user name begins."},
    )


@page.get("")
@requires(USERS_READ)
@page.takes(UserQuery(), location="query")
@page.gives(200, listing(User(), "Users"))
def list_users(query: dict[str, Any]) -> object:
    """List users by name."""
    limit = query["limit"]
    found = services().people.page(
        after=query["cursor"] or "", limit=limit + 1, begins=(query["q"] or "").lower()
    )
    more = len(found) > limit
    return {"items": found[:limit], "next_cursor": found[limit - 1].username if more else None}


@page.post("")
@requires(USERS_WRITE)
@page.takes(UserIn(), example=EXAMPLE_IN)
@page.gives(201, User(), headers=["Location", "ETag"], example=EXAMPLE)
@page.refuses(Conflict, Forbidden, Busy)
def create_user(wish: dict[str, Any]) -> object:
    """Create a user; you can give no role that goes further than your own scopes."""
    person = services().people.create(current_caller(), **wish)
    user, headers = _versioned(person)
    return user, headers | {"Location": f"/users/{person.id}"}


@page.get("/<id:user_id>")
@requires(USERS_READ)
@page.gives(200, User(), headers=["ETag"], example=EXAMPLE)
@page.refuses(NotFound)
def show_user(user_id: str) -> object:
    """Show a user."""
    return _versioned(services().people.find(user_id))


@page.patch("/<id:user_id>")
@requires(USERS_WRITE)
@page.takes(UserPatch(), example={"disabled": True})
@page.takes_version
@page.gives(200, User(), headers=["ETag"], example=EXAMPLE)
@page.refuses(NotFound, Conflict, Forbidden)
def change_user(wish: dict[str, Any], version: Expected, user_id: str) -> object:
    """Disable or enable a user, or set their roles; nobody who may do more than you.

    Who is disabled loses all sessions within a second; who gets other roles gets other tokens.
    """
    return _versioned(services().people.change(current_caller(), user_id, version, **wish))


@page.put("/<id:user_id>/password")
@requires(USERS_WRITE)
@page.takes(UserPasswordIn(), example={"password": PASSWORD, "must_change": True})
@page.gives(204)
@page.refuses(NotFound, Forbidden, Busy)
def set_user_password(wish: dict[str, Any], user_id: str) -> None:
    """Set the password of somebody else; all their sessions end."""
    services().people.set_password(current_caller(), user_id, **wish)


def _versioned(person: Person) -> tuple[Person, dict[str, str]]:
    return person, {"ETag": etag(person.version)}


@page.delete("/users/<id:user_id>/sessions")
@requires(SESSIONS_WRITE)
@page.gives(204)
@page.refuses(NotFound, Forbidden)
def delete_user_sessions(user_id: str) -> None:
    """End all sessions of a user; of nobody who may do more than you."""
    services().people.end_sessions(current_caller(), user_id)


@page.delete("/sessions")
@requires(SESSIONS_WRITE)
@page.gives(204)
@page.refuses(Forbidden)
def delete_all_sessions() -> None:
    """End everybody's sessions, your own with them: for an emergency, and for admins."""
    services().people.end_everybodys_sessions(current_caller())
