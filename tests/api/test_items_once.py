"""Items that are asked for again, by a client that got no answer: made once (S-154, R-25, R-30)."""

from typing import Any

import pytest

from support.app_factory import Backend

LAMP = {"name": "Lamp", "price": "12.50", "currency": "EUR"}
KEY = {"Idempotency-Key": "8e03978e-40d5-43dd-bc93-6894a57f9324"}
Client = Any  # FlaskClient types the JSON of every answer as something that may be missing


@pytest.fixture
def ada(backend: Backend) -> Client:
    """A member."""
    return backend.signed_in_client("ada", "member")


@pytest.fixture
def eve(backend: Backend) -> Client:
    """Another member."""
    return backend.signed_in_client("eve", "member")


def put(client: Client, key: dict[str, str] = KEY, **fields: Any) -> Any:
    """Ask for a lamp; return the answer."""
    return client.post("/items", json=LAMP | fields, headers=key)


def names(client: Client) -> list[str]:
    """Return the names of all items of a client."""
    return [item["name"] for item in client.get("/items").json["items"]]


def test_the_same_request_gets_the_same_answer(ada: Client) -> None:
    """Whoever tries again is told what happened the first time, address and version too."""
    first, again = put(ada), put(ada)
    assert (again.status_code, again.json) == (201, first.json)
    assert [again.headers[n] for n in ("ETag", "Location")] == [
        first.headers[n] for n in ("ETag", "Location")
    ]


def test_the_same_request_makes_nothing_more(ada: Client) -> None:
    """One row, and one entry in the text index."""
    for _ in range(3):
        put(ada)
    assert names(ada) == [i["name"] for i in ada.get("/items?q=lamp").json["items"]] == ["Lamp"]


def test_another_spelling_of_the_same_is_the_same_request(ada: Client) -> None:
    """What is left out has its default, and 12.5 is 12.50."""
    assert put(ada).json == put(ada, price="12.5", quantity=0, tags=[]).json


def test_another_request_with_the_same_key_is_refused(ada: Client) -> None:
    """422, and nothing is made."""
    put(ada)
    answer = put(ada, name="Desk")
    assert (answer.status_code, answer.json["code"]) == (422, "idempotency_key_reused")
    assert names(ada) == ["Lamp"]


def test_nothing_and_the_word_for_it_are_two_requests(ada: Client) -> None:
    """A sku that is null is not the sku `null`."""
    put(ada)
    assert put(ada, sku="null").status_code == put(ada, sku="None").status_code == 422


def test_another_key_makes_another_item(ada: Client) -> None:
    """Two lamps may be wanted."""
    put(ada)
    put(ada, {"Idempotency-Key": "another"})
    assert names(ada) == ["Lamp", "Lamp"]


def test_without_a_key_each_request_makes_an_item(ada: Client) -> None:
    """The header is an offer."""
    put(ada, {})
    put(ada, {})
    assert names(ada) == ["Lamp", "Lamp"]


def test_a_key_says_nothing_about_somebody_elses(ada: Client, eve: Client) -> None:
    """Two users may think of the same key, and learn nothing of each other (S-081)."""
    hers = put(ada).json
    assert put(eve, name="Desk").status_code == 201
    assert names(ada) == [hers["name"]]


def test_what_was_changed_since_is_shown_as_it_is(ada: Client) -> None:
    """With the version that a change has to name."""
    address = put(ada).headers["Location"]
    ada.patch(address, json={"quantity": 7}, headers={"If-Match": "*"})
    again = put(ada)
    assert (again.json["quantity"], again.headers["ETag"]) == (7, '"v2"')


def test_what_was_deleted_since_does_not_come_back(ada: Client) -> None:
    """409 says why."""
    ada.delete(put(ada).headers["Location"], headers={"If-Match": "*"})
    answer = put(ada)
    assert (answer.status_code, names(ada)) == (409, [])
    assert "deleted" in answer.json["detail"]


def test_a_refused_request_uses_up_no_key(ada: Client) -> None:
    """The key is claimed with the change or not at all."""
    put(ada, {}, sku="L-1")
    assert put(ada, sku="L-1").status_code == 409
    assert put(ada, sku="L-2").status_code == 201


@pytest.mark.parametrize("key", ["", "a b", "a,b", "\u00e9", "x" * 129])
def test_a_key_that_is_none_is_refused(ada: Client, key: str) -> None:
    """Two headers of the name arrive with a comma between them (S-157)."""
    answer = put(ada, {"Idempotency-Key": key})
    assert answer.json["errors"][0]["field"] == "Idempotency-Key"
    assert names(ada) == []


def test_no_key_is_stored_in_clear(backend: Backend, ada: Client) -> None:
    """Digests do, and some clients put into a key what they should not (S-150)."""
    put(ada, {"Idempotency-Key": "mail-of-somebody"})
    with backend.services.database.reading() as connection:
        stored = connection.exec_driver_sql("SELECT * FROM itemsapi_idempotency_key").all()
    assert stored
    assert "mail-of-somebody" not in str(stored)
