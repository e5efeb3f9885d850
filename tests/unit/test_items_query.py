"""Queries: what is asked of a list is checked before it meets a database."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from itemsapi.items.query import ItemListQuery
from itemsapi.problems import ValidationFailed


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("sort", "owner_id"),
        ("sort", "--name"),
        ("sort", ""),
        ("limit", 0),
        ("limit", 201),
        ("q", "x" * 201),
        ("q", "a\0b"),
        ("sku", "a\ud800"),
        ("owner_id", "\0"),
        ("currency", "EURO"),
        ("created_from", datetime(2026, 1, 1)),  # noqa: DTZ001 - that is the fault
        ("updated_to", datetime.min.replace(tzinfo=timezone(timedelta(hours=1)))),
        ("tags", ("",)),
    ],
)
def test_a_query_is_refused_when_no_list_can_be_made_of_it(field: str, value: Any) -> None:
    """S-014, S-101: allow-lists and bounds, and the refusal names the field."""
    with pytest.raises(ValidationFailed) as refused:
        ItemListQuery(**{field: value})
    assert [error["field"] for error in refused.value.errors or []] == [field]


def test_a_bound_of_prices_is_refused_when_it_is_no_price() -> None:
    """The refusal names the bound, not the price."""
    with pytest.raises(ValidationFailed) as refused:
        ItemListQuery(price_min="cheap").column_filters()
    assert [error["field"] for error in refused.value.errors or []] == ["price_min"]


def test_a_blank_search_is_no_search() -> None:
    """An empty search box shows the whole list; one without a word finds nothing."""
    assert ItemListQuery(q=" \t").terms is None
    assert ItemListQuery(q="?!").terms == []


def test_a_query_takes_moments_of_any_zone() -> None:
    """A moment is a moment."""
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    assert ItemListQuery(created_from=noon).column_filters() == {"created_from": noon}
