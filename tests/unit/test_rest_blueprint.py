"""What the decorators of a blueprint store on a view, and the values that a view may return."""

# mypy: disable-error-code="untyped-decorator"

from decimal import Decimal

import pytest

from itemsapi import Blueprint
from itemsapi.problems import Conflict, NotFound
from itemsapi.rest.etags import view_metadata
from itemsapi.rest.json_provider import dumps


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
