"""Lists: `{"items": [...], "next_cursor": ...}`, asked for with `limit` and `cursor`.

A page is at most 1 MiB of JSON (see `itemsapi.page_size`): it may hold fewer than `limit` although
more follow, so readers go by `next_cursor`.
"""

from collections.abc import Iterable

import marshmallow
from marshmallow import validate

from itemsapi.rest import fields
from itemsapi.rest.schema import Schema

DEFAULT_LIMIT = 50
MAX_LIMIT = 200
MAX_CURSOR = 500


class PageQuery(Schema):
    """What every list takes; a list with filters and sorts adds its own fields."""

    limit = fields.Integer(
        load_default=DEFAULT_LIMIT,
        validate=validate.Range(1, MAX_LIMIT),
        metadata={
            "description": "How many at most. A page of long ones holds fewer, though more follow."
        },
    )
    cursor = fields.String(
        load_default=None,
        validate=validate.Length(1, MAX_CURSOR),
        metadata={"description": "`next_cursor` of the page before; without it, the first page."},
    )


def list_schema(schema: marshmallow.Schema, name: str) -> marshmallow.Schema:
    """Return the schema, called `name` in the document, of a page of what `schema` describes."""
    page = Schema.from_dict(
        {
            "items": fields.List(fields.Nested(schema), required=True),
            "next_cursor": fields.String(
                required=True,
                allow_none=True,
                metadata={"description": "Send it as `cursor` for the next page; null at the end."},
            ),
        },
        name=name,
    )
    return page()


def whole(items: Iterable[object]) -> dict[str, object]:
    """Return what a view gives for a list that always fits on one page."""
    return {"items": list(items), "next_cursor": None}
