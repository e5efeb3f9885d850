"""Roles, for operators: named sets of scopes that are assigned to users."""

from typing import Any

from marshmallow import validate

from itemsapi.endpoints import groups
from itemsapi.gate.caller import current_caller
from itemsapi.gate.decorators import requires
from itemsapi.problems import Conflict, Forbidden, NotFound
from itemsapi.rest import Blueprint, Schema, fields, list_schema, single_page
from itemsapi.services import services
from itemsapi.tokens.scopes import ROLES_WRITE, USERS_READ

blueprint = Blueprint("roles", __name__, title="Roles and scopes", group=groups.OPERATORS)

EXAMPLE_IN = {"description": "Answers the telephone", "scopes": ["users:read"]}
EXAMPLE = EXAMPLE_IN | {"name": "helpdesk", "everything": False}


class RoleIn(Schema):
    """The description and the scopes of a role."""

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
        required=True, metadata={"description": "Whether the role has all scopes."}
    )
    scopes = fields.List(fields.String(), required=True)


class KnownScope(Schema):
    """A scope and what it allows."""

    name = fields.String(required=True)
    meaning = fields.String(required=True, attribute="description")


@blueprint.get("/roles")
@requires(USERS_READ)
@blueprint.response(
    200, list_schema(Role(), "Roles"), example={"items": [EXAMPLE], "next_cursor": None}
)
def list_roles() -> object:
    """List the roles."""
    return single_page(services().roles.all())


@blueprint.put("/roles/<name>")
@requires(ROLES_WRITE)
@blueprint.arguments(RoleIn(), example=EXAMPLE_IN)
@blueprint.response(200, Role(), example=EXAMPLE)
@blueprint.alt_response(201, schema=Role(), example=EXAMPLE, success=True)
@blueprint.alt_response(Conflict)
@blueprint.alt_response(Forbidden)
def put_role(payload: dict[str, Any], name: str) -> object:
    """Create or replace a role.

    You can only give scopes that you have yourself. If the scopes change, the access tokens of the
    users with this role are revoked; after a refresh, their tokens have the new scopes.
    """
    role, created = services().roles.put(current_caller(), name, **payload)
    return role, 201 if created else 200


@blueprint.delete("/roles/<name>")
@requires(ROLES_WRITE)
@blueprint.response(204)
@blueprint.alt_response(NotFound)
@blueprint.alt_response(Conflict)
@blueprint.alt_response(Forbidden)
def delete_role(name: str) -> None:
    """Delete a role that is assigned to no user."""
    services().roles.delete(current_caller(), name)


@blueprint.get("/scopes")
@requires(USERS_READ)
@blueprint.response(200, list_schema(KnownScope(), "Scopes"))
def list_scopes() -> object:
    """List the scopes that a role can have."""
    known = services().scopes()
    return single_page(known[name] for name in sorted(known))
