"""Pages of lists are bounded in bytes, whatever their rows hold (S-111)."""

import json
import tracemalloc
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy.event import listen

from itemsapi.audit import AuditEvent
from itemsapi.items.draft import ItemDraft
from itemsapi.items.query import ItemListQuery
from itemsapi.page_size import fitting_rows
from support.app_factory import Backend
from support.operator_client import list_all, operator_client

MIB = 1024 * 1024
HEAVY = 160


def filled(backend: Backend, text: str, count: int) -> tuple[FlaskClient, list[str]]:
    """Give ada items with descriptions of this text; return her, and their ids."""
    ada = backend.signed_in_client("ada", "member")
    me = ada.get("/me").get_json()["id"]
    said = ItemDraft(name="x", price="1", currency="EUR", description=text)
    return ada, [backend.services.items.create(said, owner=me).id for _ in range(count)]


@pytest.mark.parametrize("sign", ["a", "😀", '"'])
def test_a_page_of_the_longest_items_is_at_most_a_mebibyte(backend: Backend, sign: str) -> None:
    """One byte of JSON for each character, or four, or two; what takes six is refused."""
    ada, _ = filled(backend, sign * 10_000, HEAVY if sign == "a" else 60)
    answer = ada.get("/items?limit=200")
    assert 0.9 * MIB < len(answer.data) <= MIB
    assert answer.get_json()["next_cursor"]


@pytest.mark.parametrize("sort", ["-created_at", "name"])
@pytest.mark.parametrize("limit", [50, 200])
def test_every_item_is_on_one_short_page_or_another(
    backend: Backend, sort: str, limit: int
) -> None:
    """A page ends before what does not fit, and the next one begins with it."""
    ada, made = filled(backend, "😀" * 10_000, 60)
    found = [item["id"] for item in list_all(ada, "/items", limit, sort=sort)]
    assert (sorted(found), len(found)) == (sorted(made), len(made))


def test_a_page_of_short_items_is_as_long_as_it_is_asked_for(backend: Backend) -> None:
    """Nobody sees the bound who does not come near it."""
    ada, _ = filled(backend, "short", 201)
    page = ada.get("/items?limit=200").get_json()
    assert (len(page["items"]), page["next_cursor"] is None) == (200, False)


@pytest.mark.postgres
@pytest.mark.parametrize("dialect", ["postgresql"])
def test_the_database_hands_over_no_items_behind_a_full_page(backend: Backend) -> None:
    """PostgreSQL's driver takes whatever comes, so the statement itself must end."""
    ada, _ = filled(backend, "😀" * 10_000, 60)
    handed: list[int] = []

    def note(_connection: object, cursor: Any, statement: str, *_: object) -> None:
        if "description" in statement:
            handed.append(cursor.rowcount)

    listen(backend.services.database.engine, "after_cursor_execute", note)
    shown = ada.get("/items?limit=200").get_json()["items"]
    assert len(shown) < handed[0] <= len(shown) + 3


def test_items_behind_a_full_page_are_not_kept(backend: Backend) -> None:
    """The database is asked for 200, and hands over what makes a page."""
    _, made = filled(backend, "😀" * 10_000, HEAVY)
    owner = backend.services.items.get(made[0], owner=None).owner_id
    query = ItemListQuery(limit=200)
    backend.services.items.get_page(query, owner=owner)  # what is made once is made
    tracemalloc.start()
    backend.services.items.get_page(query, owner=owner)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * MIB < HEAVY * 10_000 * 4


def trail(backend: Backend, details: dict[str, Any], count: int) -> FlaskClient:
    """Fill the audit trail; return who may read it."""
    shown = {"event": "x", "address": "-", "request_id": "-", "details": json.dumps(details)}
    with backend.services.database.transaction() as tx:
        tx.add_all(AuditEvent(at=backend.clock(), **shown) for _ in range(count))
    return operator_client(backend, "audit:read")


def test_a_page_of_the_longest_events_is_at_most_a_mebibyte(backend: Backend) -> None:
    """A role of 200 scopes that is changed writes 36 KB."""
    olga = trail(backend, {"before": "s" * 18_000, "after": "s" * 18_000}, 40)
    answer = olga.get("/audit?event=x&limit=200")
    assert 0.9 * MIB < len(answer.data) <= MIB
    assert len(list(list_all(olga, "/audit", 200, event="x"))) == 40


def test_a_page_holds_a_row_at_least() -> None:
    """A list must come to its end."""
    assert fitting_rows([2 * MIB, 1]) == 1


def test_a_page_holds_what_fits() -> None:
    """And no more."""
    assert fitting_rows([MIB // 4] * 9) == 3
