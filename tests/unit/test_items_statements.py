"""The statement for a long list on PostgreSQL, whose driver reads whole results (S-111)."""

import re

import pytest
from sqlalchemy import Compiled, create_engine

from itemsapi.items.list_statements import ListShape, list_lookup

POSTGRES = create_engine("postgresql+psycopg://").dialect


def compiled(sort: str, *, many: bool) -> Compiled:
    """Return the statement for a list of one owner."""
    shape = ListShape("postgresql", sort, frozenset({"owner"}), many)
    return list_lookup(shape).statement.compile(dialect=POSTGRES)


@pytest.mark.parametrize(
    ("sort", "order"), [("name", "rows.name, rows.id"), ("-name", "rows.name DESC, rows.id DESC")]
)
def test_a_long_page_ends_where_the_rows_before_fill_it(sort: str, order: str) -> None:
    """The bytes of all preceding rows are summed in the order of the list."""
    text = str(compiled(sort, many=True)).replace("\n", "")
    window = rf"sum\(octet_length\(rows\.description\)\) OVER \(ORDER BY {re.escape(order)} "
    assert re.search(window + r"ROWS BETWEEN UNBOUNDED PRECEDING AND (\S+) PRECEDING\)", text)
    assert re.search(r"WHERE summed\.bytes_before <= \S+ ORDER BY", text)


def test_a_page_is_a_mebibyte_and_the_row_itself_is_not_counted() -> None:
    """So a page has at least one row."""
    constants = [
        value for value in compiled("name", many=True).params.values() if value is not None
    ]
    assert sorted(constants) == [0, 1, 1024 * 1024]


def test_a_short_page_is_read_as_it_is() -> None:
    """Fifty rows are read whatever their size."""
    assert "octet_length" not in str(compiled("name", many=False))
