"""The API keys of the signed-in user: make keys for programs, list and revoke them."""

from dataclasses import asdict
from typing import Any

from marshmallow import validate

from itemsapi.endpoints import groups
from itemsapi.endpoints.example_permissions import example_scope
from itemsapi.gate.caller import current_caller
from itemsapi.gate.decorators import signed_in
from itemsapi.problems import NotFound, QuotaExceeded
from itemsapi.rest import Blueprint, Schema, fields, list_schema, single_page
from itemsapi.services import services

blueprint = Blueprint(
    "api_keys", __name__, url_prefix="/me/api-keys", title="Your API keys", group=groups.ACCOUNT
)

MAX_SCOPES = 100
MAX_DAYS = 366


class ApiKey(Schema):
    """An API key, without its secret."""

    id = fields.Id(required=True)
    name = fields.String(required=True)
    scopes = fields.List(fields.String(), required=True)
    shown = fields.String(
        required=True, metadata={"description": "The beginning of the key, to recognize it."}
    )
    created_at = fields.DateTime(required=True)
    expires_at = fields.DateTime(required=True)
    last_used_at = fields.DateTime(
        required=True, allow_none=True, metadata={"description": "Accurate to five minutes."}
    )


class NewApiKey(ApiKey):
    """A new API key; this is the only response that contains it."""

    key = fields.String(required=True)


class ApiKeyIn(Schema):
    """What a new key is for."""

    name = fields.Line(required=True, validate=validate.Length(1, 120))
    scopes = fields.List(fields.String(), required=True, validate=validate.Length(1, MAX_SCOPES))
    expires_in_days = fields.Integer(load_default=90, validate=validate.Range(1, MAX_DAYS))


def example_in() -> dict[str, object]:
    """Return an example of what a new key is for."""
    return {"name": "Nightly export", "scopes": example_scope(), "expires_in_days": 90}


def example() -> dict[str, object]:
    """Return an example of a new key."""
    return {
        "id": "01960a3b-9a10-7f02-8a55-6b1f0c9d2e10",
        "name": "Nightly export",
        "scopes": example_scope(),
        "shown": "itk_4cN2xT",
        "created_at": "2026-01-31T12:00:00Z",
        "expires_at": "2026-05-01T12:00:00Z",
        "last_used_at": None,
        "key": "itk_4cN2xT...",
    }


@blueprint.get("")
@signed_in
@blueprint.response(200, list_schema(ApiKey(), "ApiKeys"))
def list_api_keys() -> object:
    """List your API keys that are neither revoked nor expired, the newest first."""
    return single_page(map(asdict, services().api_keys.list_keys(current_caller().user_id)))


@blueprint.post("")
@signed_in
@blueprint.arguments(ApiKeyIn(), example=example_in)
@blueprint.response(201, NewApiKey(), example=example)
@blueprint.alt_response(QuotaExceeded)
def create_api_key(payload: dict[str, Any]) -> object:
    """Make an API key for a program.

    Send it as `Authorization: Bearer itk_...` to the operations that accept API keys. It has the
    scopes that you give it, as long as you have them yourself. Store it now: the service keeps only
    its hash.
    """
    token = current_caller().token
    assert token is not None  # noqa: S101 - the rule admits access tokens only
    record, key = services().api_keys.create(
        token, name=payload["name"], scopes=payload["scopes"], days=payload["expires_in_days"]
    )
    return asdict(record) | {"key": key}


@blueprint.delete("/<id:key_id>")
@signed_in
@blueprint.response(204)
@blueprint.alt_response(NotFound)
def delete_api_key(key_id: str) -> None:
    """Revoke one of your API keys; it is refused everywhere within a second."""
    services().api_keys.revoke(current_caller().user_id, key_id)
