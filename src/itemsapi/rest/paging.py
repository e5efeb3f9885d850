"""Paginated lists: `{"items": [...], "next_cursor": ...}`, requested with `limit` and `cursor`.

A page has at most 1 MiB of JSON (see `itemsapi.paging`), and a search ends after a limited number
of rows. So a page may have fewer than `limit` items, or none, although more follow: clients
continue until `next_cursor` is null.
"""

from collections.abc import Iterable

import marshmallow
from marshmallow import validate

from itemsapi.paging import Page, Row
from itemsapi.rest import fields
from itemsapi.rest.schema import Schema

DEFAULT_LIMIT = 50
MAX_LIMIT = 200
MAX_CURSOR_LENGTH = 500


class PageQuery(Schema):
    """The query of every list; a list with filters or sorting adds its own fields."""

    limit = fields.Integer(
        load_default=DEFAULT_LIMIT,
        validate=validate.Range(1, MAX_LIMIT),
        metadata={
            "description": "Maximum number of items. A page of long items may have fewer,"
            " although more follow."
        },
    )
    cursor = fields.String(
        load_default=None,
        validate=validate.Length(1, MAX_CURSOR_LENGTH),
        metadata={"description": "`next_cursor` of the previous page; omit it for the first page."},
    )


def list_schema(schema: marshmallow.Schema, name: str) -> marshmallow.Schema:
    """Return the schema of a page of `schema` objects; `name` is its name in the document."""
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


def single_page(items: Iterable[Row]) -> Page[Row]:
    """Return the page of a list that always fits on one page."""
    return Page([*items], None)
