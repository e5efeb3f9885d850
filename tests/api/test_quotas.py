"""How much a user may hold, and what comes of more (S-118, S-196)."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from itemsapi.items.draft import ItemDraft
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


def refused(answer: TestResponse) -> bool:
    """Tell whether a quota was in the way."""
    return answer.status_code == 409 and answer.get_json()["code"] == "quota_exceeded"


def test_beyond_the_items_allowed_none_is_made(ada: Make) -> None:
    """And the answer says what to do."""
    client = ada(item_limit=2)
    assert [put(client).status_code for _ in range(2)] == [201, 201]
    assert put(client).get_json()["detail"] == "You may store 2 items; delete some first."


def test_a_deleted_item_makes_room(ada: Make) -> None:
    """For one."""
    client = ada(item_limit=1)
    client.delete(put(client).headers["Location"], headers=ANY)
    assert [put(client).status_code for _ in range(2)] == [201, 409]


def test_beyond_the_bytes_allowed_none_is_made(ada: Make) -> None:
    """Bytes of UTF-8, not characters; an item that fits still does."""
    client = ada(item_bytes_limit=10)
    assert refused(put(client, name="日本語本"))
    assert put(client, name="日本語").status_code == 201
    assert refused(put(client, name="ab"))
    assert put(client, name="a").status_code == 201


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_a_larger_item_counts_and_a_smaller_makes_room(ada: Make, method: str) -> None:
    """Or an item of one byte would be the way round."""
    client = ada(item_bytes_limit=10)
    place = put(client, name="a").headers["Location"]

    def change(name: str) -> TestResponse:
        return client.open(place, method=method, json=ITEM | {"name": name}, headers=ANY)

    assert change("a" * 10).status_code == 200
    assert refused(change("a" * 11))
    assert change("aa").status_code == 200
    assert put(client, name="a" * 8).status_code == 201


def test_a_refused_change_counts_for_nothing(ada: Make) -> None:
    """What a transaction takes back it gives back."""
    client = ada(item_bytes_limit=20)
    put(client, sku="1")
    for _ in range(5):
        assert put(client, sku="1").get_json()["code"] == "conflict"
    assert put(client, name="a" * 15).status_code == 201


def test_who_holds_too_much_since_a_limit_was_lowered_may_change_what_is_there(
    make_backend: Callable[..., Backend],
) -> None:
    """Only more of what is too much is refused, and in words about that."""
    before = make_backend().signed_in_client("ada", "member")
    places = [put(before, key=key).headers["Location"] for key in ("one", "two")]
    backend = make_backend(item_limit=1, idempotency_key_limit=1)
    client = backend.bearer_client(backend.login("ada")["access_token"])
    assert client.patch(places[0], json={"name": "Lamps"}, headers=ANY).status_code == 200
    assert put(client).get_json()["detail"] == "You may store 1 items; delete some first."
    for place in places:
        client.delete(place, headers=ANY)
    assert put(client).status_code == 201


def test_keys_beyond_a_days_are_refused(make_backend: Callable[..., Backend]) -> None:
    """An item without a key is made, a repeated one answered; a day later there is room."""
    backend = make_backend(idempotency_key_limit=2)
    client = backend.signed_in_client("ada", "member")
    assert [put(client, key).status_code for key in ("a", "b", "c", "a")] == [201, 201, 409, 201]
    assert put(client).status_code == 201
    backend.clock.advance(days=1, seconds=1)
    client = backend.bearer_client(backend.login("ada")["access_token"])
    assert [put(client, key).status_code for key in ("d", "e", "f")] == [201, 201, 409]


def test_one_users_items_are_not_anothers(make_backend: Callable[..., Backend]) -> None:
    """Each has a quota of their own."""
    backend = make_backend(item_limit=1)
    clients = [backend.signed_in_client(name, "member") for name in ("ada", "bob")]
    assert [put(client).status_code for client in clients] == [201, 201]


def test_an_admins_change_counts_for_the_owner(make_backend: Callable[..., Backend]) -> None:
    """It is the owner's item."""
    backend = make_backend(item_bytes_limit=10)
    place = put(backend.signed_in_client("ada", "member")).headers["Location"]
    root = backend.signed_in_client("root", "admin")
    put(root, name="a" * 10)
    assert root.patch(place, json={"name": "a" * 10}, headers=ANY).status_code == 200
    assert refused(root.patch(place, json={"name": "a" * 11}, headers=ANY))


@pytest.mark.parametrize("limits", [{"item_limit": 3}, {"item_bytes_limit": 14}])
def test_of_sixteen_at_the_last_free_place_one_gets_it(
    make_backend: Callable[..., Backend], limits: dict[str, int]
) -> None:
    """Whoever comes first; no check before the act (S-196)."""
    backend = make_backend(**limits)
    backend.create_user("ada", "member")
    token = backend.login("ada")["access_token"]
    for _ in range(2):
        put(backend.bearer_client(token))
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda _: put(backend.bearer_client(token)).status_code, range(16)))
    assert sorted(found) == [201] + [409] * 15


def test_all_texts_count() -> None:
    """Name, description, sku and tags."""
    said = ItemDraft(
        name="a", description="bb", sku="ccc", tags=("dd", "e"), price="1", currency="EUR"
    )
    assert text_size(said) == 1 + 2 + 3 + 4
