"""Your items: make them, find them, change them, take them away."""

from typing import Any

import flask
from marshmallow import validate

from itemsapi.gate.caller import current_caller
from itemsapi.gate.decorators import requires
from itemsapi.items.cursor import MAX_CURSOR_LENGTH as LONGEST_CURSOR
from itemsapi.items.cursor import Page
from itemsapi.items.draft import (
    MAX_DESCRIPTION_LENGTH,
    MAX_NAME_LENGTH,
    MAX_QUANTITY,
    MAX_SKU_LENGTH,
    MAX_TAG_LENGTH,
    MAX_TAGS,
    ItemDraft,
)
from itemsapi.items.models import SORT_FIELDS
from itemsapi.items.money import CURRENCY_DECIMALS
from itemsapi.items.query import MAX_QUERY_LENGTH as LONGEST_SEARCH
from itemsapi.items.query import ItemListQuery
from itemsapi.problems import Conflict, KeyReused, NotFound, QuotaExceeded
from itemsapi.rest import (
    Blueprint,
    PageQuery,
    Schema,
    documented_headers,
    fields,
    list_schema,
)
from itemsapi.services import services
from itemsapi.tokens.scopes import ITEMS_ADMIN, ITEMS_READ, ITEMS_WRITE

blueprint = Blueprint("items", __name__, url_prefix="/items")

PRICE = validate.Regexp(r"^(0|[1-9][0-9]{0,11})(\.[0-9]{1,4})?$", error='Not a price: "12.50".')
CURRENCY = validate.OneOf(sorted(CURRENCY_DECIMALS), error="No currency of ISO 4217.")
SOME_TAGS = validate.Length(max=MAX_TAGS)
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
    """What you say of an item."""

    name = fields.Line(required=True, validate=validate.Length(1, MAX_NAME_LENGTH))
    description = fields.Lines(
        load_default="", validate=validate.Length(max=MAX_DESCRIPTION_LENGTH)
    )
    sku = fields.Line(
        load_default=None,
        allow_none=True,
        validate=validate.Length(1, MAX_SKU_LENGTH),
        metadata={"description": "Your own number for it; no two of your items share one."},
    )
    price = fields.String(
        required=True,
        validate=PRICE,
        metadata={"description": "A decimal with no more places than the currency has."},
    )
    currency = fields.String(
        required=True, validate=CURRENCY, metadata={"description": "ISO 4217."}
    )
    quantity = fields.Integer(load_default=0, validate=validate.Range(0, MAX_QUANTITY))
    tags = fields.List(
        fields.Line(validate=validate.Length(1, MAX_TAG_LENGTH)),
        load_default=(),
        validate=SOME_TAGS,
        metadata={"description": "Kept in one spelling: lower case, single spaces, each once."},
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


class IdempotencyHeaders(Schema):
    """What tells a request that comes again from another one that says the same."""

    key = fields.String(
        data_key="Idempotency-Key",
        load_default=None,
        validate=validate.Regexp(r"^[!-+\--~]{1,128}\Z", error="Not 1 to 128 signs of ASCII."),
        metadata={
            "description": "Any random text. Repeat it, with the same body, when no answer came:"
            " a day long it gives the item that was made at first instead of another one."
        },
    )


class ItemQuery(PageQuery):
    """Which items, in which order."""

    cursor = fields.String(
        load_default=None,
        validate=validate.Length(1, LONGEST_CURSOR),
        metadata=PageQuery().fields["cursor"].metadata,
    )
    sort = fields.String(
        load_default="-created_at",
        validate=validate.OneOf([*SORT_FIELDS, *(f"-{sort}" for sort in SORT_FIELDS)]),
        metadata={"description": "Sorted by this; descending after a minus."},
    )
    q = fields.String(
        load_default=None,
        validate=validate.Length(max=LONGEST_SEARCH),
        metadata={"description": "Words, or beginnings of them, that all must be there."},
    )
    tags = fields.List(
        fields.String(validate=validate.Length(1, MAX_TAG_LENGTH)),
        data_key="tag",
        load_default=(),
        validate=SOME_TAGS,
        metadata={"description": "Repeat it for several; all must be there."},
    )
    sku = fields.String(load_default=None, validate=validate.Length(1, MAX_SKU_LENGTH))
    owner_id = fields.Id(
        load_default=None, metadata={"description": "Whose, if you may see everybody's."}
    )
    currency = fields.String(load_default=None, validate=CURRENCY)
    price_min = fields.String(load_default=None, validate=PRICE)
    price_max = fields.String(load_default=None, validate=PRICE)
    created_from = fields.DateTime(load_default=None)
    created_to = fields.DateTime(load_default=None, metadata={"description": "Not included."})
    updated_from = fields.DateTime(load_default=None)
    updated_to = fields.DateTime(load_default=None, metadata={"description": "Not included."})


@blueprint.get("")
@requires(ITEMS_READ)
@blueprint.arguments(ItemQuery(), location="query")
@blueprint.response(
    200, list_schema(Item(), "ItemPage"), example={"items": [EXAMPLE], "next_cursor": None}
)
def list_items(query: dict[str, Any]) -> Page:
    """List your items, a page at a time. With `items:admin` everybody's."""
    return services().items.get_page(ItemListQuery(**query), owner=_owner())


@blueprint.post("")
@requires(ITEMS_WRITE)
@blueprint.arguments(IdempotencyHeaders(), location="headers")
@blueprint.arguments(ItemIn(), example=EXAMPLE_IN)
@blueprint.etag
@blueprint.response(201, Item(), headers=documented_headers("Location"), example=EXAMPLE)
@blueprint.alt_response(Conflict)
@blueprint.alt_response(KeyReused)
@blueprint.alt_response(QuotaExceeded)
def create_item(headers: dict[str, str | None], payload: dict[str, Any]) -> object:
    """Create an item. It is yours."""
    owner = current_caller().user_id
    item = services().items.create(ItemDraft(**payload), owner=owner, key=headers["key"])
    address = flask.url_for("items.show_item", item_id=item.id)
    blueprint.set_etag(item.version)
    return item, {"Location": address}


@blueprint.get("/<id:item_id>")
@requires(ITEMS_READ)
@blueprint.etag
@blueprint.response(200, Item(), example=EXAMPLE)
@blueprint.alt_response(NotFound)
def show_item(item_id: str) -> object:
    """Show an item."""
    item = services().items.get(item_id, owner=_owner())
    blueprint.set_etag(item.version)
    return item


@blueprint.put("/<id:item_id>")
@requires(ITEMS_WRITE)
@blueprint.arguments(ItemIn(), example=EXAMPLE_IN)
@blueprint.etag
@blueprint.response(200, Item(), example=EXAMPLE)
@blueprint.alt_response(NotFound)
@blueprint.alt_response(Conflict)
@blueprint.alt_response(QuotaExceeded)
def replace_item(payload: dict[str, Any], item_id: str) -> object:
    """Replace what you said of an item. What is left out goes back to its default."""
    draft, version = ItemDraft(**payload), blueprint.if_match()
    item = services().items.replace(item_id, draft, owner=_owner(), version=version)
    blueprint.set_etag(item.version)
    return item


@blueprint.patch("/<id:item_id>")
@requires(ITEMS_WRITE)
@blueprint.arguments(ItemIn(partial=True), example={"quantity": 2})
@blueprint.etag
@blueprint.response(200, Item(), example=EXAMPLE)
@blueprint.alt_response(NotFound)
@blueprint.alt_response(Conflict)
@blueprint.alt_response(QuotaExceeded)
def change_item(payload: dict[str, Any], item_id: str) -> object:
    """Change some fields of an item. What is left out stays as it is."""
    version = blueprint.if_match()
    item = services().items.update(item_id, payload, owner=_owner(), version=version)
    blueprint.set_etag(item.version)
    return item


@blueprint.delete("/<id:item_id>")
@requires(ITEMS_WRITE)
@blueprint.etag
@blueprint.response(204)
@blueprint.alt_response(NotFound)
def delete_item(item_id: str) -> None:
    """Delete an item for good."""
    services().items.delete(item_id, owner=_owner(), version=blueprint.if_match())


def _owner() -> str | None:
    """Return whose items the caller reaches; None is everybody's."""
    caller = current_caller()
    return None if caller.may(ITEMS_ADMIN) else caller.user_id
