"""Roles, for operators: named sets of scopes that users are given."""

from typing import Any

from marshmallow import validate

from itemsapi.gate.caller import current_caller
from itemsapi.gate.decorators import requires
from itemsapi.problems import Conflict, Forbidden, NotFound
from itemsapi.rest import Blueprint, Schema, fields, list_schema, whole
from itemsapi.services import services
from itemsapi.tokens.scopes import ROLES_WRITE, USERS_READ

blueprint = Blueprint("roles", __name__)

EXAMPLE_IN = {"description": "Answers the telephone", "scopes": ["users:read"]}
EXAMPLE = EXAMPLE_IN | {"name": "helpdesk", "everything": False}


class RoleIn(Schema):
    """What a role is for and gives."""

    description = fields.Line(load_default="", validate=validate.Length(max=500))
    scopes = fields.List(
        fields.String(validate=validate.Length(1, 90)),
        required=True,
        validate=validate.Length(max=200),
    )


class Role(Schema):
    """A role."""

    name = fields.String(required=True)
    description = fields.String(required=True)
    everything = fields.Boolean(
        required=True, metadata={"description": "It gives all scopes there are."}
    )
    scopes = fields.List(fields.String(), required=True)


class KnownScope(Schema):
    """A scope and what it lets you do."""

    name = fields.String(required=True)
    meaning = fields.String(required=True)


@blueprint.get("/roles")
@requires(USERS_READ)
@blueprint.response(
    200, list_schema(Role(), "Roles"), example={"items": [EXAMPLE], "next_cursor": None}
)
def list_roles() -> object:
    """List the roles."""
    return whole(services().roles.all())


@blueprint.put("/roles/<name>")
@requires(ROLES_WRITE)
@blueprint.arguments(RoleIn(), example=EXAMPLE_IN)
@blueprint.response(200, Role(), example=EXAMPLE)
@blueprint.alt_response(201, schema=Role(), example=EXAMPLE, success=True)
@blueprint.alt_response(Conflict)
@blueprint.alt_response(Forbidden)
def put_role(payload: dict[str, Any], name: str) -> object:
    """Create a role or replace it; you can give no scope that you do not have.

    Who has the role gets new tokens with the scopes of now.
    """
    role, new = services().roles.put(current_caller(), name, **payload)
    return role, 201 if new else 200


@blueprint.delete("/roles/<name>")
@requires(ROLES_WRITE)
@blueprint.response(204)
@blueprint.alt_response(NotFound)
@blueprint.alt_response(Conflict)
@blueprint.alt_response(Forbidden)
def delete_role(name: str) -> None:
    """Delete a role that nobody has."""
    services().roles.delete(current_caller(), name)


@blueprint.get("/scopes")
@requires(USERS_READ)
@blueprint.response(200, list_schema(KnownScope(), "Scopes"))
def list_scopes() -> object:
    """List the scopes that a role may give."""
    known = services().scopes()
    return whole(known[name] for name in sorted(known))
