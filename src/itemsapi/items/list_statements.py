"""The SQL statements that read lists of items, one for each shape of a query.

A shape is the sort order and the names of the parameters. Values are bind parameters, so a
statement is built once for each shape, and the database sees a small set of texts. `search_plan`
decides which statements a page needs.

Some parts steer the database:

- A walk takes its rows in a subquery with its own ORDER BY and LIMIT, so they come from the index
  of the sort order, whatever the other conditions are. SQLite reads it row by row and keeps its
  order; another ORDER BY around it would make SQLite read all rows before the first one.
- Chosen rows come from a subquery with `OFFSET 0`, so they are fetched by number, and only then
  tested and sorted.
- An outer join keeps the words of an item behind the item: each row looks up its own.
"""

import operator
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    FromClause,
    Integer,
    ScalarSelect,
    Select,
    String,
    and_,
    any_,
    bindparam,
    case,
    func,
    literal_column,
    select,
    tuple_,
    union_all,
)

from itemsapi.db import Lookup
from itemsapi.items import search_index
from itemsapi.items.models import COLUMNS, Item
from itemsapi.paging import MAX_PAGE_BYTES
from itemsapi.quota_usage import QuotaUsage

_ITEM, _USAGE = Item.core(), QuotaUsage.core()
_COMPARISONS: Final[dict[str, tuple[str, Callable[[Any, Any], ColumnElement[bool]]]]] = {
    "sku": ("sku", operator.eq),
    "currency": ("currency", operator.eq),
    "price_min": ("price", operator.ge),
    "price_max": ("price", operator.le),
    "created_from": ("created_at", operator.ge),
    "created_to": ("created_at", operator.lt),
    "updated_from": ("updated_at", operator.ge),
    "updated_to": ("updated_at", operator.lt),
}


def subject(name: str) -> str:
    """Return what a parameter restricts: a column, or the word that has its name."""
    return _COMPARISONS[name][0] if name in _COMPARISONS else name


@dataclass(frozen=True, slots=True)
class ListShape:
    """A shape: the sort order, the names of the parameters, and whether a page has many rows.

    The names are `owner`, those in `_COMPARISONS`, `word_0` and so on, and `after` and `after_id`,
    which start a page behind an item. On PostgreSQL, whose driver reads whole results, a page of
    `many` rows omits those that follow a full page (S-111).
    """

    dialect: str
    sort: str
    names: frozenset[str]
    many: bool

    @property
    def sort_field(self) -> str:
        """The field that the list is sorted by."""
        return self.sort.removeprefix("-")

    @property
    def subjects(self) -> list[str]:
        """What the rows of a walk are tested for: all but the owner and the sort field."""
        names = self.names - {"owner", "after", "after_id"}
        return sorted({subject(name) for name in names} - {self.sort_field})

    def behind_a_row(self) -> "ListShape":
        """Return the shape of the pages after the first one."""
        return replace(self, names=self.names | {"after", "after_id"})

    def order(self, rows: FromClause) -> tuple[ColumnElement[Any], ColumnElement[Any]]:
        """Return the sort order of these rows."""
        value = rows.c[self.sort_field]
        return (value.desc(), rows.c.id.desc()) if self.sort[0] == "-" else (value, rows.c.id)

    def bounds(self, rows: FromClause) -> list[ColumnElement[bool]]:
        """Return the conditions by which the index of the sort order is searched."""
        conditions = [*self.tests(rows, [self.sort_field]), *self.ownership(rows)]
        if "after" in self.names:
            conditions.append(self._after_cursor(rows))
        return conditions

    def ownership(self, rows: FromClause) -> list[ColumnElement[bool]]:
        """Return the condition on the owner, if there is one."""
        return [rows.c.owner_id == bindparam("owner")] if "owner" in self.names else []

    def tests(self, rows: FromClause, subjects: Iterable[str]) -> list[ColumnElement[bool]]:
        """Return the conditions on these subjects, for rows that are joined with their words."""
        names = sorted(name for name in self.names if subject(name) in {*subjects})
        return [self._test(rows, name) for name in names]

    def _test(self, rows: FromClause, name: str) -> ColumnElement[bool]:
        if name not in _COMPARISONS:
            return search_index.has_word(self.dialect, name)
        field, compare = _COMPARISONS[name]
        return compare(rows.c[field], bindparam(name))

    def _after_cursor(self, rows: FromClause) -> ColumnElement[bool]:
        """Return the condition that a row follows the cursor.

        It compares sort field and id as one row value, by which the index is searched.
        """
        value = rows.c[self.sort_field]
        place = tuple_(value, rows.c.id)
        cursor = tuple_(bindparam("after", type_=value.type), bindparam("after_id", type_=String()))
        return place < cursor if self.sort[0] == "-" else place > cursor


@lru_cache(maxsize=1024)
def list_lookup(shape: ListShape) -> Lookup:
    """Return the look-up of a list that has no subjects: `row_limit` rows of an index."""
    return Lookup(_limited(select(*COLUMNS).where(*shape.bounds(_ITEM)), shape))


@lru_cache(maxsize=1024)
def walk_lookup(shape: ListShape, rows: int) -> Lookup:
    """Return the look-up that tests the next rows of the index.

    Its rows are the first `row_limit` of those that pass, followed by the last row of the walk,
    unless the list ended before.
    """
    walked = _walked(shape, rows)
    passed = select(*_columns(walked)).select_from(_with_words(shape, walked, shape.subjects))
    passed = passed.where(*shape.tests(walked, shape.subjects))
    passed = _limited(passed, shape, walked, is_sorted=shape.dialect == "sqlite")
    last = select(_ITEM.c.id).where(*shape.bounds(_ITEM)).order_by(*shape.order(_ITEM))
    return _with_stop(passed, last.limit(_number(1)).offset(_number(rows - 1)).scalar_subquery())


@lru_cache(maxsize=1024)
def range_lookup(shape: ListShape, column: str, most: int) -> Lookup:
    """Return the look-up of the items that the index of a column finds and that pass the tests.

    If the index finds more than `most`, the only row is one that it finds. The index alone tells
    so, and then no item is read. The order makes PostgreSQL use this index.
    """
    conditions = [*shape.tests(_ITEM, [column]), *shape.ownership(_ITEM)]
    found = select(_ITEM.c.id).where(*conditions).order_by(_ITEM.c[column])
    excess = found.limit(_number(1)).offset(_number(most)).scalar_subquery()
    items = select(*_ITEM.c).where(*conditions).order_by(_ITEM.c[column])
    if shape.dialect == "sqlite":
        few = items.limit(case((excess.is_(None), _number(most)), else_=0))
    else:
        few = items.where(excess.is_(None)).limit(_number(most))
    chosen = few.subquery("chosen")
    subjects = [each for each in shape.subjects if each != column]
    return _with_stop(_sorted(shape, chosen, subjects), excess)


@lru_cache(maxsize=1024)
def sample_lookup(shape: ListShape, rows: int, subjects: tuple[str, ...]) -> Lookup:
    """Return the look-up that counts, among the first rows, those that pass each test.

    Its row has the number of rows, and how many of them pass the test of each subject in turn.
    """
    walked = _walked(shape, rows)
    tests = [and_(*shape.tests(walked, [each])) for each in subjects]
    columns: list[ColumnElement[Any]] = [func.count()]
    columns += [func.sum(case((test, 1), else_=0)) for test in tests]
    return Lookup(select(*columns).select_from(_with_words(shape, walked, subjects)))


# About how many items there are, and how many the owner has. Neither is exact, and nothing depends
# on it but time.
SIZES: Final = Lookup(
    select(
        func.coalesce(func.max(_ITEM.c.number), 0),
        select(_USAGE.c["items"]).where(_USAGE.c.owner_id == bindparam("owner")).scalar_subquery(),
    )
)


@lru_cache(maxsize=1024)
def chosen_lookup(shape: ListShape, solved: frozenset[str]) -> Lookup:
    """Return the look-up of the items with the `numbers` that pass the tests.

    The tests of the `solved` subjects are left out: the numbers come from there.
    """
    subjects = [each for each in shape.subjects if each not in solved]
    chosen = select(*_ITEM.c).where(_is_chosen(shape.dialect)).offset(_number(0)).subquery("chosen")
    return Lookup(_sorted(shape, chosen, subjects))


def _walked(shape: ListShape, rows: int) -> FromClause:
    """Return the next rows of the index of the sort order."""
    statement = select(*_ITEM.c).where(*shape.bounds(_ITEM)).order_by(*shape.order(_ITEM))
    return statement.limit(_number(rows)).subquery("walked")


def _sorted(shape: ListShape, rows: FromClause, subjects: Iterable[str]) -> Select[Any]:
    """Return the first of these rows that are within the bounds and pass the tests, in order.

    Only the keys are sorted: SQLite copies whatever it sorts.
    """
    passing = select(rows.c.number, rows.c[shape.sort_field], rows.c.id)
    passing = passing.select_from(_with_words(shape, rows, subjects))
    passing = passing.where(*shape.bounds(rows), *shape.tests(rows, subjects))
    keys = _first(passing.order_by(*shape.order(rows))).subquery("keys")
    items = select(*COLUMNS).join_from(keys, _ITEM, _ITEM.c.number == keys.c.number)
    return _cut(items.order_by(*shape.order(keys)), shape)


def _with_stop(passed: Select[Any], stop_id: ScalarSelect[str]) -> Lookup:
    """Return the look-up of these rows, followed by the item with this id, if there is one.

    The column after `COLUMNS` is 1 for that one only. One statement reads both, so no change of
    another process comes between them.
    """
    rows = passed.subquery("passing")
    stop = select(*COLUMNS, literal_column("1", Integer)).where(_ITEM.c.id == stop_id)
    return Lookup(union_all(select(*rows.c, literal_column("0", Integer).label("is_stop")), stop))


def _with_words(shape: ListShape, rows: FromClause, subjects: Iterable[str]) -> FromClause:
    """Return the rows joined with their words if one of the subjects is a word."""
    has_words = any(each not in _ITEM.c for each in subjects)
    return search_index.join_words(shape.dialect, rows) if has_words else rows


def _limited(
    statement: Select[Any], shape: ListShape, rows: FromClause = _ITEM, *, is_sorted: bool = False
) -> Select[Any]:
    """Return the statement in the order of the list, with the limits of a page."""
    return _cut(_first(statement if is_sorted else statement.order_by(*shape.order(rows))), shape)


def _first(statement: Select[Any]) -> Select[Any]:
    """Return the statement with the limit of a page."""
    return statement.limit(bindparam("row_limit", type_=Integer))


def _cut(statement: Select[Any], shape: ListShape) -> Select[Any]:
    """Return the statement without the rows that follow a full page, if there may be any."""
    return _limit_bytes(statement, shape) if shape.many and shape.dialect != "sqlite" else statement


def _limit_bytes(statement: Select[Any], shape: ListShape) -> Select[Any]:
    """Omit the rows that follow a full page; PostgreSQL knows the lengths without sending them."""
    rows = statement.subquery("rows")
    preceding_bytes = func.sum(func.octet_length(rows.c.description)).over(
        order_by=shape.order(rows), rows=(None, -1)
    )
    labelled = func.coalesce(preceding_bytes, 0).label("bytes_before")
    summed = select(*rows.c, labelled).subquery("summed")
    columns = [summed.c[each.name] for each in rows.c]
    fits = summed.c.bytes_before <= MAX_PAGE_BYTES
    return select(*columns).where(fits).order_by(*shape.order(summed))


def _is_chosen(dialect: str) -> ColumnElement[bool]:
    if dialect == "sqlite":
        values = func.json_each(bindparam("numbers", type_=String())).table_valued("value")
        return _ITEM.c.number.in_(select(values.c.value))
    return _ITEM.c.number == any_(bindparam("numbers", type_=ARRAY(BigInteger)))


def _columns(rows: FromClause) -> list[ColumnElement[Any]]:
    return [rows.c[each.name] for each in COLUMNS]


def _number(value: int) -> ColumnElement[int]:
    """Return a number in the text: PostgreSQL plans for it, and not for any."""
    return literal_column(str(value), Integer)
