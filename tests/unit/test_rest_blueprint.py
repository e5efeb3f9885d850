"""Wrong declarations are rejected at import, before any request."""

# mypy: disable-error-code="untyped-decorator"

from decimal import Decimal
from typing import Any

import pytest

from itemsapi import Blueprint, Schema
from itemsapi.problems import Conflict, NotFound
from itemsapi.rest.etags import view_metadata
from itemsapi.rest.json_provider import dumps


@pytest.mark.parametrize("name", ["arguments", "response"])
def test_a_decorator_above_the_route_stops_the_boot(name: str) -> None:
    """Flask would call the view without the decorator: nothing would be parsed or serialized."""
    blueprint: Any = Blueprint("orders", __name__)
    decorate = {"arguments": blueprint.arguments(Schema), "response": blueprint.response(200)}[name]

    @blueprint.get("/orders")
    def show() -> None: ...

    with pytest.raises(TypeError, match=f"@{name} stands above the route of show"):
        decorate(show)


def test_metadata_of_an_inner_view_is_unchanged_when_it_is_decorated_again() -> None:
    """Each decorator adds to a copy of the metadata."""
    blueprint = Blueprint("orders", __name__)

    def show() -> None: ...

    inner = blueprint.alt_response(Conflict)(blueprint.response(200)(show))
    outer = blueprint.alt_response(NotFound)(blueprint.response(201)(inner))
    assert [view_metadata(view).get("problems") for view in (show, inner, outer)] == [
        None,
        [Conflict],
        [NotFound, Conflict],
    ]


def test_decimal_becomes_a_string_when_a_view_returns_it() -> None:
    """A price is never converted to a float."""
    assert dumps({"price": Decimal("12.50")}) == b'{"price":"12.50"}'


def test_value_is_rejected_when_it_is_not_json() -> None:
    """A view that returns an unsupported type is an error."""
    with pytest.raises(TypeError, match="set"):
        dumps({1})
