"""Quotas: how much a user may store, and what happens beyond that (S-118, S-196)."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from itemsapi.items.models import ItemDraft
from itemsapi.items.quota import text_size
from support.app_factory import Backend

ITEM = {"name": "Lamp", "price": "1.00", "currency": "EUR"}  # 4 bytes of text
ANY = {"If-Match": "*"}
Make = Callable[..., FlaskClient]


@pytest.fixture
def ada(make_backend: Callable[..., Backend]) -> Make:
    """Make the client of a user of a backend with these limits."""

    def make(**limits: int) -> FlaskClient:
        return make_backend(**limits).signed_in_client("ada", "member")

    return make


def put(client: FlaskClient, key: str | None = None, **changes: object) -> TestResponse:
    """Create an item."""
    headers = {"Idempotency-Key": key} if key else {}
    return client.post("/items", json=ITEM | changes, headers=headers)


def is_over_quota(response: TestResponse) -> bool:
    """Return whether a response is the error of a quota."""
    return response.status_code == 409 and response.get_json()["code"] == "quota_exceeded"


def test_an_item_is_rejected_beyond_the_limit_of_items(ada: Make) -> None:
    """The response says what to do."""
    client = ada(item_limit=2)
    assert [put(client).status_code for _ in range(2)] == [201, 201]
    assert put(client).get_json()["detail"] == "You may store 2 items; delete some first."


def test_a_deleted_item_makes_room_for_one(ada: Make) -> None:
    """For one."""
    client = ada(item_limit=1)
    client.delete(put(client).headers["Location"], headers=ANY)
    assert [put(client).status_code for _ in range(2)] == [201, 409]


def test_an_item_is_rejected_beyond_the_limit_of_bytes(ada: Make) -> None:
    """Bytes of UTF-8, not characters; an item that fits is still accepted."""
    client = ada(item_bytes_limit=10)
    assert is_over_quota(put(client, name="日本語本"))
    assert put(client, name="日本語").status_code == 201
    assert is_over_quota(put(client, name="ab"))
    assert put(client, name="a").status_code == 201


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_a_change_counts_the_difference_in_size(ada: Make, method: str) -> None:
    """Otherwise an item of one byte would bypass the quota."""
    client = ada(item_bytes_limit=10)
    path = put(client, name="a").headers["Location"]

    def change(name: str) -> TestResponse:
        return client.open(path, method=method, json=ITEM | {"name": name}, headers=ANY)

    assert change("a" * 10).status_code == 200
    assert is_over_quota(change("a" * 11))
    assert change("aa").status_code == 200
    assert put(client, name="a" * 8).status_code == 201


def test_a_rejected_change_is_not_counted(ada: Make) -> None:
    """The count is rolled back with the transaction."""
    client = ada(item_bytes_limit=20)
    put(client, sku="1")
    for _ in range(5):
        assert put(client, sku="1").get_json()["code"] == "conflict"
    assert put(client, name="a" * 15).status_code == 201


def test_a_user_over_a_lowered_limit_may_still_change_items(
    make_backend: Callable[..., Backend],
) -> None:
    """Only a further increase is rejected, with an error that names it."""
    before = make_backend().signed_in_client("ada", "member")
    paths = [put(before, key=key).headers["Location"] for key in ("one", "two")]
    backend = make_backend(item_limit=1, idempotency_key_limit=1)
    client = backend.bearer_client(backend.login("ada")["access_token"])
    assert client.patch(paths[0], json={"name": "Lamps"}, headers=ANY).status_code == 200
    assert put(client).get_json()["detail"] == "You may store 1 items; delete some first."
    for path in paths:
        client.delete(path, headers=ANY)
    assert put(client).status_code == 201


def test_idempotency_keys_are_rejected_beyond_the_limit_of_a_day(
    make_backend: Callable[..., Backend],
) -> None:
    """Requests without a key and repeated ones succeed; a day later there is room again."""
    backend = make_backend(idempotency_key_limit=2)
    client = backend.signed_in_client("ada", "member")
    assert [put(client, key).status_code for key in ("a", "b", "c", "a")] == [201, 201, 409, 201]
    assert put(client).status_code == 201
    backend.clock.advance(days=1, seconds=1)
    client = backend.bearer_client(backend.login("ada")["access_token"])
    assert [put(client, key).status_code for key in ("d", "e", "f")] == [201, 201, 409]


def test_each_user_has_a_quota(make_backend: Callable[..., Backend]) -> None:
    """Each has a quota of their own."""
    backend = make_backend(item_limit=1)
    clients = [backend.signed_in_client(name, "member") for name in ("ada", "bob")]
    assert [put(client).status_code for client in clients] == [201, 201]


def test_a_change_by_an_admin_counts_for_the_owner(make_backend: Callable[..., Backend]) -> None:
    """The item belongs to the owner."""
    backend = make_backend(item_bytes_limit=10)
    path = put(backend.signed_in_client("ada", "member")).headers["Location"]
    root = backend.signed_in_client("root", "admin")
    put(root, name="a" * 10)
    assert root.patch(path, json={"name": "a" * 10}, headers=ANY).status_code == 200
    assert is_over_quota(root.patch(path, json={"name": "a" * 11}, headers=ANY))


@pytest.mark.parametrize("limits", [{"item_limit": 3}, {"item_bytes_limit": 14}])
def test_one_of_sixteen_concurrent_requests_gets_the_last_place(
    make_backend: Callable[..., Backend], limits: dict[str, int]
) -> None:
    """The limit is checked in the same statement that adds to the count (S-196)."""
    backend = make_backend(**limits)
    backend.create_user("ada", "member")
    token = backend.login("ada")["access_token"]
    for _ in range(2):
        put(backend.bearer_client(token))
    with ThreadPoolExecutor(16) as pool:
        statuses = list(
            pool.map(lambda _: put(backend.bearer_client(token)).status_code, range(16))
        )
    assert sorted(statuses) == [201] + [409] * 15


def test_all_texts_count() -> None:
    """Name, description, sku and tags."""
    draft = ItemDraft(
        name="a", description="bb", sku="ccc", tags=("dd", "e"), price="1", currency="EUR"
    )
    assert text_size(draft) == 1 + 2 + 3 + 4
