"""Queries: the parameters of a list are validated before the database is asked."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from itemsapi.items.query import ItemListQuery
from itemsapi.items.search_index import filter_words
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
def test_a_query_is_rejected_when_a_parameter_is_invalid(field: str, value: Any) -> None:
    """S-014, S-101: allow-lists and limits, and the error names the field."""
    with pytest.raises(ValidationFailed) as raised:
        ItemListQuery(**{field: value})
    assert [error["field"] for error in raised.value.errors or []] == [field]


def test_a_price_filter_is_rejected_when_it_is_no_price() -> None:
    """The error names the filter, not the price."""
    with pytest.raises(ValidationFailed) as raised:
        ItemListQuery(price_min="cheap").column_filters()
    assert [error["field"] for error in raised.value.errors or []] == ["price_min"]


def test_a_blank_search_text_is_ignored() -> None:
    """A blank search text lists all items; one without a word matches none."""
    assert ItemListQuery(q=" \t").terms is None
    assert ItemListQuery(q="?!").terms == []


def test_a_time_filter_is_accepted_with_a_time_zone() -> None:
    """The value is passed on unchanged."""
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    assert ItemListQuery(created_from=noon).column_filters() == {"created_from": noon}


def test_a_query_is_accepted_when_its_values_are_at_their_limits() -> None:
    """The limits are inclusive."""
    assert ItemListQuery(limit=1).limit == 1
    assert ItemListQuery(limit=200, q="x" * 200).limit == 200


def test_a_list_begins_with_the_newest_fifty_items_by_default() -> None:
    """As the documentation of the parameters says."""
    query = ItemListQuery()
    assert (query.sort, query.limit, query.sort_field) == ("-created_at", 50, "created_at")


def test_the_words_of_filters_are_those_that_earlier_versions_stored() -> None:
    """They are in the text index of every item, and must stay the same."""
    assert filter_words(["red"], "EUR", "01a2-B") == [
        "#c8474a914a6e277e86f81f27dc4b2f96",
        "$eur",
        "@01a2b",
    ]
