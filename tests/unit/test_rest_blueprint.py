"""Declarations that are refused at import, before anything can go wrong at request time."""

from decimal import Decimal
from typing import Any

import pytest

from itemsapi import Blueprint, Schema
from itemsapi.rest.blueprint import notes
from itemsapi.rest.json_provider import dumps


def test_schema_is_refused_when_it_is_a_class() -> None:
    """CONVENTIONS trap 7: a class would be made anew for each request."""
    page: Any = Blueprint("orders", __name__)
    with pytest.raises(TypeError, match=r"Schema\(\)"):
        page.takes(Schema)


def test_view_is_refused_when_it_is_async() -> None:
    """An async view would answer with a coroutine."""
    page = Blueprint("orders", __name__)

    async def show() -> None: ...

    with pytest.raises(TypeError, match="async"):
        page.gives(200)(show)


def test_view_is_refused_when_its_version_would_be_read_before_its_values() -> None:
    """One order everywhere: what is no good in itself is told first (RFC 9110 13.2.1)."""
    page = Blueprint("orders", __name__)

    def change() -> None: ...

    with pytest.raises(TypeError, match="takes_version beneath takes"):
        page.takes_version(page.takes(Schema())(change))


def test_notes_of_the_inner_view_stay_when_it_is_wrapped_again() -> None:
    """Each wrapper has notes of its own, top down."""
    page = Blueprint("orders", __name__)

    def show() -> None: ...

    inner = page.gives(200)(show)
    outer = page.gives(404)(inner)
    assert [len(notes(view).get("gives", [])) for view in (show, inner, outer)] == [0, 1, 2]


def test_decimal_becomes_text_when_a_view_returns_it() -> None:
    """No price passes through a float."""
    assert dumps({"price": Decimal("12.50")}) == b'{"price":"12.50"}'


def test_value_is_refused_when_it_is_not_json() -> None:
    """A view that returns something odd is a mistake, not text."""
    with pytest.raises(TypeError, match="set"):
        dumps({1})
