"""Idempotency keys of items: a request that is sent again creates one item (S-154, R-25, R-30)."""

from typing import Any

import pytest

from support.app_factory import Backend

LAMP = {"name": "Lamp", "price": "12.50", "currency": "EUR"}
KEY = {"Idempotency-Key": "8e03978e-40d5-43dd-bc93-6894a57f9324"}
Client = Any  # FlaskClient types the JSON of every response as something that may be missing


def put(client: Client, key: dict[str, str] = KEY, **fields: Any) -> Any:
    """Create a lamp; return the response."""
    return client.post("/items", json=LAMP | fields, headers=key)


def names(client: Client) -> list[str]:
    """Return the names of all items of a client."""
    return [item["name"] for item in client.get("/items").json["items"]]


def test_a_repeated_request_gets_the_same_response(ada: Client) -> None:
    """With the same URL and version."""
    first, again = put(ada), put(ada)
    assert (again.status_code, again.json) == (201, first.json)
    assert [again.headers[n] for n in ("ETag", "Location")] == [
        first.headers[n] for n in ("ETag", "Location")
    ]


def test_a_repeated_request_creates_nothing(ada: Client) -> None:
    """There is one row, and one entry in the text index."""
    for _ in range(3):
        put(ada)
    assert names(ada) == [i["name"] for i in ada.get("/items?q=lamp").json["items"]] == ["Lamp"]


def test_a_request_is_repeated_when_only_its_spelling_differs(ada: Client) -> None:
    """Omitted fields have their defaults, and 12.5 equals 12.50."""
    assert put(ada).json == put(ada, price="12.5", quantity=0, tags=[]).json


def test_another_request_with_the_same_key_is_rejected(ada: Client) -> None:
    """422, and nothing is created."""
    put(ada)
    response = put(ada, name="Desk")
    assert (response.status_code, response.json["code"]) == (422, "idempotency_key_reused")
    assert names(ada) == ["Lamp"]


def test_null_and_the_text_null_are_two_requests(ada: Client) -> None:
    """A sku that is null is not the sku `null`."""
    put(ada)
    assert put(ada, sku="null").status_code == put(ada, sku="None").status_code == 422


def test_another_key_creates_another_item(ada: Client) -> None:
    """A user may want two equal items."""
    put(ada)
    put(ada, {"Idempotency-Key": "another"})
    assert names(ada) == ["Lamp", "Lamp"]


def test_each_request_creates_an_item_without_a_key(ada: Client) -> None:
    """The header is optional."""
    put(ada, {})
    put(ada, {})
    assert names(ada) == ["Lamp", "Lamp"]


def test_two_users_may_use_the_same_key(ada: Client, eve: Client) -> None:
    """They learn nothing about each other (S-081)."""
    hers = put(ada).json
    assert put(eve, name="Desk").status_code == 201
    assert names(ada) == [hers["name"]]


def test_a_repeated_request_returns_the_current_item(ada: Client) -> None:
    """With the version that a change has to name."""
    address = put(ada).headers["Location"]
    ada.patch(address, json={"quantity": 7}, headers={"If-Match": "*"})
    again = put(ada)
    assert (again.json["quantity"], again.headers["ETag"]) == (7, '"v2"')


def test_a_repeated_request_is_a_conflict_when_the_item_was_deleted(ada: Client) -> None:
    """409 gives the reason."""
    ada.delete(put(ada).headers["Location"], headers={"If-Match": "*"})
    response = put(ada)
    assert (response.status_code, names(ada)) == (409, [])
    assert "deleted" in response.json["detail"]


def test_a_rejected_request_stores_no_key(ada: Client) -> None:
    """The key is stored with the change or not at all."""
    put(ada, {}, sku="L-1")
    assert put(ada, sku="L-1").status_code == 409
    assert put(ada, sku="L-2").status_code == 201


@pytest.mark.parametrize("key", ["", "a b", "a,b", "\u00e9", "x" * 129])
def test_an_invalid_key_is_rejected(ada: Client, key: str) -> None:
    """Two headers of this name arrive joined by a comma (S-157)."""
    response = put(ada, {"Idempotency-Key": key})
    assert response.json["errors"][0]["field"] == "Idempotency-Key"
    assert names(ada) == []


def test_no_key_is_stored_in_clear(backend: Backend, ada: Client) -> None:
    """Digests are stored, because some clients put confidential data into a key (S-150)."""
    put(ada, {"Idempotency-Key": "confidential@example.org"})
    with backend.services.database.reading() as connection:
        stored = connection.exec_driver_sql("SELECT * FROM itemsapi_idempotency_key").all()
    assert stored
    assert "confidential@example.org" not in str(stored)
