"""The size of list pages in bytes is bounded, whatever their rows contain (S-111)."""

import json
import tracemalloc
from typing import Any

import orjson
import pytest
from flask.testing import FlaskClient
from sqlalchemy.event import listen

from itemsapi.audit import AuditEvent
from itemsapi.items.models import ItemDraft
from itemsapi.items.query import ItemListQuery
from itemsapi.paging import fitting_rows
from support.app_factory import Backend
from support.item_store import ItemStore
from support.operator_client import list_all, operator_client

MIB = 1024 * 1024
HEAVY = 160


def create_items(backend: Backend, text: str, count: int) -> tuple[FlaskClient, list[str]]:
    """Create items of ada's with this description; return a client and the ids."""
    ada = backend.signed_in_client("ada", "member")
    me = ada.get("/me").get_json()["id"]
    draft = ItemDraft(name="x", price="1", currency="EUR", description=text)
    return ada, [backend.services.items.create(draft, owner=me).id for _ in range(count)]


@pytest.mark.parametrize("character", ["a", "😀", '"'])
def test_a_page_of_the_longest_items_is_at_most_a_mebibyte(
    backend: Backend, character: str
) -> None:
    """One byte of JSON for each character, or four, or two; others that take six are rejected."""
    ada, _ = create_items(backend, character * 10_000, HEAVY if character == "a" else 60)
    response = ada.get("/items?limit=200")
    assert 0.9 * MIB < len(response.data) <= MIB
    assert response.get_json()["next_cursor"]


@pytest.mark.parametrize("sort", ["-created_at", "name"])
@pytest.mark.parametrize("limit", [50, 200])
def test_every_item_is_on_one_of_the_short_pages(backend: Backend, sort: str, limit: int) -> None:
    """A page ends before the first item that does not fit, and the next page begins with it."""
    ada, item_ids = create_items(backend, "😀" * 10_000, 60)
    listed_ids = [item["id"] for item in list_all(ada, "/items", limit, sort=sort)]
    assert (sorted(listed_ids), len(listed_ids)) == (sorted(item_ids), len(item_ids))


def test_a_page_of_items_whose_other_texts_are_long_is_at_most_a_mebibyte(
    backend: Backend,
) -> None:
    """Names, skus and tags count too, not only descriptions."""
    store = ItemStore(backend.services.database, backend.clock)
    tags = tuple(f"{n:02}" + "😀" * 38 for n in range(20))
    for n in range(200):
        sku = f"{n:03}" + "😀" * 61
        store.create(name="😀" * 200, sku=sku, tags=tags, description="😀" * 425)
    page = store.items.get_page(ItemListQuery(limit=200), owner=store.ada)
    assert 0.8 * MIB < len(orjson.dumps([item._asdict() for item in page.items])) <= MIB
    assert 100 < len(page.items) < 200


def test_a_page_of_short_items_has_the_requested_length(backend: Backend) -> None:
    """The byte limit does not affect it."""
    ada, _ = create_items(backend, "short", 201)
    page = ada.get("/items?limit=200").get_json()
    assert (len(page["items"]), page["next_cursor"] is None) == (200, False)


@pytest.mark.postgres
@pytest.mark.dialect("postgresql")
def test_the_database_returns_no_items_after_a_full_page(backend: Backend) -> None:
    """PostgreSQL's driver reads the whole result, so the statement itself must end."""
    ada, _ = create_items(backend, "😀" * 10_000, 60)
    handed: list[int] = []

    def note(_connection: object, cursor: Any, statement: str, *_: object) -> None:
        if "description" in statement:
            handed.append(cursor.rowcount)

    listen(backend.services.database.engine, "after_cursor_execute", note)
    shown = ada.get("/items?limit=200").get_json()["items"]
    assert len(shown) < handed[0] <= len(shown) + 3


def test_items_after_a_full_page_are_not_fetched(backend: Backend) -> None:
    """200 are requested, and only as many are fetched as fill a page."""
    _, item_ids = create_items(backend, "😀" * 10_000, HEAVY)
    owner = backend.services.items.get(item_ids[0], owner=None).owner_id
    query = ItemListQuery(limit=200)
    backend.services.items.get_page(query, owner=owner)  # fills the caches
    tracemalloc.start()
    backend.services.items.get_page(query, owner=owner)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * MIB < HEAVY * 10_000 * 4


def fill_audit_trail(backend: Backend, details: dict[str, Any], count: int) -> FlaskClient:
    """Fill the audit trail; return a client that may read it."""
    shown = {"event": "x", "address": "-", "request_id": "-", "details": json.dumps(details)}
    with backend.services.database.transaction() as tx:
        tx.add_all(AuditEvent(at=backend.clock(), **shown) for _ in range(count))
    return operator_client(backend, "audit:read")


def test_a_page_of_the_longest_events_is_at_most_a_mebibyte(backend: Backend) -> None:
    """A change of a role with 200 scopes writes 36 KB."""
    olga = fill_audit_trail(backend, {"before": "s" * 18_000, "after": "s" * 18_000}, 40)
    response = olga.get("/audit?event=x&limit=200")
    assert 0.9 * MIB < len(response.data) <= MIB
    assert len(list(list_all(olga, "/audit", 200, event="x"))) == 40


def test_a_page_has_at_least_one_row() -> None:
    """Otherwise a list would never end."""
    assert fitting_rows([2 * MIB, 1]) == 1


def test_a_page_has_the_rows_that_fit() -> None:
    """And no more."""
    assert fitting_rows([MIB // 4] * 9) == 3
