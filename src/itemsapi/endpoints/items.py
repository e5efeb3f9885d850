"""Items: create, find, change and delete them."""

from typing import Any

import flask
from marshmallow import validate

from itemsapi.gate.api_keys import API_KEY
from itemsapi.gate.caller import current_caller
from itemsapi.gate.decorators import requires
from itemsapi.gate.rules import ACCESS_TOKEN
from itemsapi.items.models import (
    MAX_DESCRIPTION_LENGTH,
    MAX_NAME_LENGTH,
    MAX_QUANTITY,
    MAX_SKU_LENGTH,
    MAX_TAG_LENGTH,
    MAX_TAGS,
    SORT_FIELDS,
    ItemDraft,
    ItemRecord,
)
from itemsapi.items.money import CURRENCY_DECIMALS
from itemsapi.items.query import MAX_CURSOR_LENGTH, MAX_QUERY_LENGTH, ItemListQuery
from itemsapi.paging import Page
from itemsapi.problems import Conflict, NotFound, QuotaExceeded
from itemsapi.rest import (
    Blueprint,
    PageQuery,
    Schema,
    documented_headers,
    fields,
    idempotency_key,
    list_schema,
)
from itemsapi.services import services
from itemsapi.tokens.scopes import ITEMS_ADMIN, ITEMS_READ, ITEMS_WRITE

blueprint = Blueprint("items", __name__, url_prefix="/items", scopes=[ITEMS_ADMIN])

CREDENTIALS = (ACCESS_TOKEN, API_KEY)  # programs use the items without a sign-in

PRICE = validate.Regexp(r"^(0|[1-9][0-9]{0,11})(\.[0-9]{1,4})?$", error='Not a price: "12.50".')
CURRENCY = validate.OneOf(sorted(CURRENCY_DECIMALS), error="Not an ISO 4217 currency code.")
TAG_COUNT = validate.Length(max=MAX_TAGS)
EXAMPLE_IN = {
    "name": "Desk lamp",
    "description": "Made of brass.",
    "sku": "L-1",
    "price": "12.50",
    "currency": "EUR",
    "quantity": 3,
    "tags": ["home", "light"],
}
EXAMPLE = EXAMPLE_IN | {
    "id": "01960a3c-5b00-7c4e-9c39-0d8f3b5c7e21",
    "owner_id": "01960a3b-9a10-7f02-8a55-6b1f0c9d2e10",
    "created_at": "2026-01-31T12:00:00Z",
    "updated_at": "2026-01-31T12:00:00Z",
}


class ItemIn(Schema):
    """The data of an item."""

    name = fields.Line(required=True, validate=validate.Length(1, MAX_NAME_LENGTH))
    description = fields.Lines(
        load_default="", validate=validate.Length(max=MAX_DESCRIPTION_LENGTH)
    )
    sku = fields.Line(
        load_default=None,
        allow_none=True,
        validate=validate.Length(1, MAX_SKU_LENGTH),
        metadata={"description": "Your own stock number; it must be unique among your items."},
    )
    price = fields.String(
        required=True,
        validate=PRICE,
        metadata={
            "description": "A decimal with at most as many decimal places as the currency has."
        },
    )
    currency = fields.String(
        required=True, validate=CURRENCY, metadata={"description": "ISO 4217."}
    )
    quantity = fields.Integer(load_default=0, validate=validate.Range(0, MAX_QUANTITY))
    tags = fields.List(
        fields.Line(validate=validate.Length(1, MAX_TAG_LENGTH)),
        load_default=(),
        validate=TAG_COUNT,
        metadata={"description": "Normalized: lower case, single spaces, no duplicates."},
    )


class Item(Schema):
    """An item."""

    id = fields.Id(required=True)
    owner_id = fields.Id(required=True)
    name = fields.String(required=True)
    description = fields.String(required=True)
    sku = fields.String(required=True, allow_none=True)
    price = fields.String(required=True, metadata={"description": "A decimal."})
    currency = fields.String(required=True, metadata={"description": "ISO 4217."})
    quantity = fields.Integer(required=True)
    tags = fields.List(fields.String(), required=True)
    created_at = fields.DateTime(required=True)
    updated_at = fields.DateTime(required=True)


class ItemQuery(PageQuery):
    """Paging, filters and order of items."""

    cursor = fields.String(
        load_default=None,
        validate=validate.Length(1, MAX_CURSOR_LENGTH),
        metadata=PageQuery().fields["cursor"].metadata,
    )
    sort = fields.String(
        load_default="-created_at",
        validate=validate.OneOf([*SORT_FIELDS, *(f"-{sort}" for sort in SORT_FIELDS)]),
        metadata={"description": "The field to sort by; a minus sign means descending."},
    )
    q = fields.String(
        load_default=None,
        validate=validate.Length(max=MAX_QUERY_LENGTH),
        metadata={"description": "Words or beginnings of words; an item must match all of them."},
    )
    tags = fields.List(
        fields.String(validate=validate.Length(1, MAX_TAG_LENGTH)),
        data_key="tag",
        load_default=(),
        validate=TAG_COUNT,
        metadata={"description": "Repeat it for several tags; an item must have all of them."},
    )
    sku = fields.String(load_default=None, validate=validate.Length(1, MAX_SKU_LENGTH))
    owner_id = fields.Id(
        load_default=None,
        metadata={"description": "The owner; needs `items:admin` for other users' items."},
    )
    currency = fields.String(load_default=None, validate=CURRENCY)
    price_min = fields.String(load_default=None, validate=PRICE)
    price_max = fields.String(load_default=None, validate=PRICE)
    created_from = fields.DateTime(load_default=None)
    created_to = fields.DateTime(load_default=None, metadata={"description": "Exclusive."})
    updated_from = fields.DateTime(load_default=None)
    updated_to = fields.DateTime(load_default=None, metadata={"description": "Exclusive."})


@blueprint.get("")
@requires(ITEMS_READ, by=CREDENTIALS)
@blueprint.arguments(ItemQuery(), location="query")
@blueprint.response(
    200, list_schema(Item(), "ItemPage"), example={"items": [EXAMPLE], "next_cursor": None}
)
def list_items(query: dict[str, Any]) -> Page[ItemRecord]:
    """List your items. With `items:admin`, list the items of all users.

    With filters, a page may have fewer items than `limit`, or none, although more follow: a search
    for what is rare stops after a while, and `next_cursor` continues it. The list is complete when
    `next_cursor` is null.
    """
    return services().items.get_page(ItemListQuery(**query), owner=_owner())


@blueprint.post("")
@requires(ITEMS_WRITE, by=CREDENTIALS)
@blueprint.idempotent
@blueprint.arguments(ItemIn(), example=EXAMPLE_IN)
@blueprint.etag
@blueprint.response(201, Item(), headers=documented_headers("Location"), example=EXAMPLE)
@blueprint.alt_response(Conflict)
def create_item(payload: dict[str, Any]) -> object:
    """Create an item. You are its owner."""
    owner = current_caller().user_id
    item = services().items.create(ItemDraft(**payload), owner=owner, key=idempotency_key())
    location = flask.url_for(".show_item", item_id=item.id)
    blueprint.set_etag(item.version)
    return item, {"Location": location}


@blueprint.get("/<id:item_id>")
@requires(ITEMS_READ, by=CREDENTIALS)
@blueprint.etag
@blueprint.response(200, Item(), example=EXAMPLE)
@blueprint.alt_response(NotFound)
def show_item(item_id: str) -> object:
    """Show an item."""
    item = services().items.get(item_id, owner=_owner())
    blueprint.set_etag(item.version)
    return item


@blueprint.put("/<id:item_id>")
@requires(ITEMS_WRITE, by=CREDENTIALS)
@blueprint.arguments(ItemIn(), example=EXAMPLE_IN)
@blueprint.etag
@blueprint.response(200, Item(), example=EXAMPLE)
@blueprint.alt_response(NotFound)
@blueprint.alt_response(Conflict)
@blueprint.alt_response(QuotaExceeded)
def replace_item(payload: dict[str, Any], item_id: str) -> object:
    """Replace an item. Omitted fields get their default values."""
    draft, version = ItemDraft(**payload), blueprint.if_match()
    item = services().items.replace(item_id, draft, owner=_owner(), version=version)
    blueprint.set_etag(item.version)
    return item


@blueprint.patch("/<id:item_id>")
@requires(ITEMS_WRITE, by=CREDENTIALS)
@blueprint.arguments(ItemIn(partial=True), example={"quantity": 2})
@blueprint.etag
@blueprint.response(200, Item(), example=EXAMPLE)
@blueprint.alt_response(NotFound)
@blueprint.alt_response(Conflict)
@blueprint.alt_response(QuotaExceeded)
def change_item(payload: dict[str, Any], item_id: str) -> object:
    """Change some fields of an item. Omitted fields stay unchanged."""
    version = blueprint.if_match()
    item = services().items.update(item_id, payload, owner=_owner(), version=version)
    blueprint.set_etag(item.version)
    return item


@blueprint.delete("/<id:item_id>")
@requires(ITEMS_WRITE, by=CREDENTIALS)
@blueprint.etag
@blueprint.response(204)
@blueprint.alt_response(NotFound)
def delete_item(item_id: str) -> None:
    """Delete an item permanently."""
    services().items.delete(item_id, owner=_owner(), version=blueprint.if_match())


def _owner() -> str | None:
    """Return the owner whose items the caller may access; None means all users."""
    caller = current_caller()
    return None if caller.may(ITEMS_ADMIN) else caller.user_id
