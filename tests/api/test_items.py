"""Items over HTTP: made, shown, listed, changed and deleted by who may."""

from typing import Any

import pytest
from sqlalchemy import text

from support.app_factory import Backend

LAMP = {"name": "Lamp", "price": "12.50", "currency": "EUR", "tags": ["Home"]}
Made = dict[str, Any]
Client = Any  # FlaskClient types the JSON of every answer as something that may be missing


@pytest.fixture
def ada(backend: Backend) -> Client:
    """A member."""
    return backend.signed_in_client("ada", "member")


@pytest.fixture
def eve(backend: Backend) -> Client:
    """Another member."""
    return backend.signed_in_client("eve", "member")


@pytest.fixture
def operator(backend: Backend) -> Client:
    """One who sees everybody's items."""
    return backend.signed_in_client("root", "admin")


@pytest.fixture
def lamp(ada: Client) -> Made:
    """An item of ada's."""
    return dict(ada.post("/items", json=LAMP).json)


def test_a_new_item_is_handed_back_whole(ada: Client) -> None:
    """201 with its address and version; what was left out has its default."""
    answer = ada.post("/items", json=LAMP)
    kept = LAMP | {"tags": ["home"], "description": "", "sku": None, "quantity": 0}
    assert (answer.status_code, answer.headers["ETag"]) == (201, '"v1"')
    assert answer.json == answer.json | kept


def test_a_new_item_is_where_its_location_says(ada: Client) -> None:
    """The address leads to the same representation."""
    answer = ada.post("/items", json=LAMP)
    shown = ada.get(answer.headers["Location"])
    assert (shown.json, shown.headers["ETag"]) == (answer.json, answer.headers["ETag"])


def test_an_item_is_its_makers(ada: Client, lamp: Made) -> None:
    """The owner is who the token says (S-082)."""
    assert lamp["owner_id"] == ada.get("/items").json["items"][0]["owner_id"]
    assert list(lamp) == list(ada.get("/items").json["items"][0])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", "01960a3c-5b00-7c4e-9c39-0d8f3b5c7e21"),
        ("owner_id", "01960a3c-5b00-7c4e-9c39-0d8f3b5c7e21"),
        ("version", 7),
        ("number", 7),
        ("created_at", "2026-01-31T12:00:00Z"),
        ("amount", 1),
        ("__proto__", {}),
        ("name", None),
        ("name", ""),
        ("name", 5),
        ("price", 12.5),
        ("price", "12.505"),
        ("price", "12.50\n"),
        ("price", "-1"),
        ("currency", "EURO"),
        ("currency", "JPY"),
        ("quantity", 1.0),
        ("quantity", True),
        ("quantity", 2**31),
        ("tags", "home"),
        ("tags", [" "]),
        ("tags", [str(n) for n in range(21)]),
        ("sku", ""),
    ],
)
def test_a_body_is_refused_when_a_field_is_not_acceptable(
    ada: Client, lamp: Made, field: str, value: object
) -> None:
    """S-082, S-156: POST and PATCH name the field and change nothing."""
    made = ada.post("/items", json=LAMP | {field: value})
    address, match = f"/items/{lamp['id']}", {"If-Match": "*"}
    changed = ada.patch(address, json={field: value}, headers=match)
    assert made.status_code == changed.status_code == 422
    assert ada.get("/items").json["items"] == [lamp]


def test_a_refusal_names_the_field(ada: Client) -> None:
    """What the business refuses reads as what the schema refuses."""
    answer = ada.post("/items", json=LAMP | {"price": "1.005"})
    assert answer.json["errors"] == [{"field": "price", "message": "EUR has 2 decimals"}]


def test_a_sku_that_is_taken_is_a_conflict(ada: Client, eve: Client) -> None:
    """409, and for others it is free (S-145)."""
    ada.post("/items", json=LAMP | {"sku": "L-1"})
    assert ada.post("/items", json=LAMP | {"sku": "L-1"}).status_code == 409
    assert eve.post("/items", json=LAMP | {"sku": "L-1"}).status_code == 201


def test_a_replacement_puts_what_was_left_out_at_its_default(ada: Client, lamp: Made) -> None:
    """PUT says everything."""
    body = {"name": "Desk", "price": "100", "currency": "JPY"}
    answer = ada.put(f"/items/{lamp['id']}", json=body, headers={"If-Match": '"v1"'})
    assert (answer.status_code, answer.headers["ETag"]) == (200, '"v2"')
    assert answer.json == lamp | body | {"tags": [], "updated_at": answer.json["updated_at"]}


def test_a_change_leaves_out_what_stays(ada: Client, lamp: Made, backend: Backend) -> None:
    """PATCH says what is new."""
    backend.clock.advance(seconds=1)
    address, match = f"/items/{lamp['id']}", {"If-Match": '"v1"'}
    answer = ada.patch(address, json={"quantity": 2}, headers=match)
    assert answer.json == lamp | {"quantity": 2, "updated_at": answer.json["updated_at"]}
    assert answer.json["updated_at"] > lamp["updated_at"]


def test_a_deleted_item_is_not_found(ada: Client, lamp: Made) -> None:
    """204 once, 404 from then on."""
    address, match = f"/items/{lamp['id']}", {"If-Match": '"v1"'}
    assert ada.delete(address, headers=match).status_code == 204
    assert ada.delete(address, headers=match).status_code == 404


@pytest.mark.parametrize(("method", "status"), [("DELETE", 204), ("PUT", 200), ("PATCH", 422)])
def test_what_an_older_version_let_in_can_be_replaced_and_deleted(
    backend: Backend, ada: Client, lamp: Made, method: str, status: int
) -> None:
    """Rules become stricter; what is stored by older ones must not be stuck."""
    with backend.services.database.transaction() as tx:
        tx.execute(text("UPDATE item SET name = :name"), {"name": "a\u200fb"})
    body = {"PUT": LAMP, "PATCH": {"quantity": 3}}.get(method)
    headers = {"If-Match": '"v1"'}
    answer = ada.open(f"/items/{lamp['id']}", method=method, json=body, headers=headers)
    assert answer.status_code == status


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize(
    ("header", "status"),
    [(None, 428), ('"v2"', 412), ('W/"v1"', 412), ("v1", 412), ('"v2", "v3"', 412), ('"v01"', 412)],
)
def test_a_change_is_refused_when_it_was_not_made_against_this_version(
    ada: Client, lamp: Made, method: str, header: str | None, status: int
) -> None:
    """S-153: no header, another version, or a weak tag (RFC 9110 section 13.1.1)."""
    headers = {} if header is None else {"If-Match": header}
    body = None if method == "DELETE" else LAMP
    answer = ada.open(f"/items/{lamp['id']}", method=method, json=body, headers=headers)
    assert answer.status_code == status
    assert ada.get("/items").json["items"] == [lamp]


@pytest.mark.parametrize("header", ["*", '"v1"', '"x", "v1"', '"v2", "v1"', 'W/"v1", "v1"'])
def test_a_change_goes_through_when_it_names_this_version(
    ada: Client, lamp: Made, header: str
) -> None:
    """S-153: the version by itself or in a list, or any."""
    answer = ada.patch(f"/items/{lamp['id']}", json={}, headers={"If-Match": header})
    assert answer.headers["ETag"] == '"v2"'


@pytest.mark.parametrize("header", ['"v1"', 'W/"v1"', '"x", "v1"', "*"])
def test_an_item_is_not_sent_again_to_who_has_it(ada: Client, lamp: Made, header: str) -> None:
    """304 with the ETag and no body (RFC 9110 section 15.4.5)."""
    answer = ada.get(f"/items/{lamp['id']}", headers={"If-None-Match": header})
    assert (answer.status_code, answer.data, answer.headers["ETag"]) == (304, b"", '"v1"')


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("tag", ['"v1"', '"v2"', "*"])
def test_a_strangers_item_is_not_found(eve: Client, lamp: Made, method: str, tag: str) -> None:
    """S-081, S-153: whatever versions are named, it is as if there were none."""
    body = LAMP if method in {"PUT", "PATCH"} else None
    headers = {"If-Match": tag, "If-None-Match": tag}
    answer = eve.open(f"/items/{lamp['id']}", method=method, json=body, headers=headers)
    assert answer.status_code == 404


@pytest.mark.parametrize("query", ["", "?q=lamp", "?tag=home", "?currency=EUR"])
def test_a_strangers_item_is_not_listed(eve: Client, lamp: Made, query: str) -> None:
    """S-081: nor found, nor counted."""
    assert eve.get(f"/items{query}").json == {"items": [], "next_cursor": None}
    assert eve.get("/items", query_string={"owner_id": lamp["owner_id"]}).json["items"] == []


def test_an_operator_reaches_everybodys_items(operator: Client, lamp: Made) -> None:
    """With `items:admin`: listed, changed, and still its owner's."""
    assert operator.get("/items", query_string={"owner_id": lamp["owner_id"]}).json["items"]
    address, match = f"/items/{lamp['id']}", {"If-Match": '"v1"'}
    changed = operator.patch(address, json={"quantity": 9}, headers=match)
    assert (changed.json["quantity"], changed.json["owner_id"]) == (9, lamp["owner_id"])


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_nothing_is_changed_by_who_may_only_read(backend: Backend, lamp: Made, method: str) -> None:
    """S-009: 403, whosever the item."""
    reader: Client = backend.signed_in_client("bob", "member", scope="items:read")
    address = "/items" if method == "POST" else f"/items/{lamp['id']}"
    answer = reader.open(address, method=method, json=LAMP)
    assert (answer.status_code, answer.json["code"]) == (403, "insufficient_scope")


def test_pages_lead_from_the_first_item_to_the_last(ada: Client) -> None:
    """Each cursor is good for the next page, in the chosen order."""
    for n in range(5):
        ada.post("/items", json=LAMP | {"name": f"N{n}", "quantity": n})
    seen, asked = [], {"sort": "-quantity", "limit": "2", "q": "n"}
    while asked.get("cursor", "") is not None:
        answer = ada.get("/items", query_string=asked).json
        seen += [item["name"] for item in answer["items"]]
        asked["cursor"] = answer["next_cursor"]
    assert seen == ["N4", "N3", "N2", "N1", "N0"]


def test_pages_go_on_behind_the_longest_name(ada: Client) -> None:
    """Its cursor is as long as cursors become, and no longer than what is taken."""
    for name in ("\x01" * 200, "😀" * 200):
        ada.post("/items", json=LAMP | {"name": name})
    cursor = ada.get("/items?sort=name&limit=1").json["next_cursor"]
    answer = ada.get("/items", query_string={"sort": "name", "cursor": cursor})
    assert [item["name"] for item in answer.json["items"]] == ["😀" * 200]


@pytest.mark.parametrize(
    "query",
    [
        "?limit=0",
        "?limit=201",
        "?limit=1e1",
        "?limit=1&limit=2",
        "?sort=owner_id",
        "?cursor=",
        "?cursor=AAAA",
        "?cursor=%F0%9F%98%80",
        "?offset=5",
        "?tag=",
        "?price_min=cheap",
        "?currency=EURO",
        "?owner_id=x",
        "?created_from=2026-01-01",
        "?q=" + "x" * 201,
    ],
)
def test_a_list_is_refused_when_it_is_asked_for_wrongly(ada: Client, query: str) -> None:
    """S-014, S-157: unknown and repeated parameters too, and never a fault of ours."""
    assert ada.get(f"/items{query}").status_code == 422


@pytest.mark.parametrize(
    "query",
    [
        "?q=",
        "?q=%22)+OR+*:",
        "?q=lamp&tag=home&tag=HOME&currency=EUR&price_min=12.5&price_max=12.50",
        "?created_from=0001-01-01T00:00:00Z&created_to=9999-12-31T23:59:59Z",
        "?sku=%27%3B--",
    ],
)
def test_a_list_is_given_whatever_it_is_narrowed_by(ada: Client, lamp: Made, query: str) -> None:
    """S-014: text of any kind is a value and nothing more."""
    answer = ada.get(f"/items{query}")
    assert answer.json["items"] in ([], [lamp])


@pytest.mark.parametrize("address", ["/items/x", "/items/%00", "/items/" + "9" * 5_000])
def test_an_address_that_is_no_items_is_not_found(ada: Client, address: str) -> None:
    """S-006, S-014: as any other address that leads nowhere."""
    assert ada.get(address).status_code == 404
