"""Items over HTTP: created, read, listed, changed and deleted, by permitted users."""

from typing import Any

import pytest
from sqlalchemy import text

from support.app_factory import Backend

LAMP = {"name": "Lamp", "price": "12.50", "currency": "EUR", "tags": ["Home"]}
Made = dict[str, Any]
Client = Any  # FlaskClient types the JSON of every response as something that may be missing


@pytest.fixture
def operator(backend: Backend) -> Client:
    """A user who may access the items of all users."""
    return backend.signed_in_client("root", "admin")


@pytest.fixture
def lamp(ada: Client) -> Made:
    """An item of ada's."""
    return dict(ada.post("/items", json=LAMP).json)


def test_a_new_item_is_returned_completely(ada: Client) -> None:
    """201 with its URL and version; omitted fields have their defaults."""
    response = ada.post("/items", json=LAMP)
    kept = LAMP | {"tags": ["home"], "description": "", "sku": None, "quantity": 0}
    assert (response.status_code, response.headers["ETag"]) == (201, '"v1"')
    assert response.json == response.json | kept


def test_a_new_item_is_found_at_its_location(ada: Client) -> None:
    """The URL leads to the same representation."""
    response = ada.post("/items", json=LAMP)
    shown = ada.get(response.headers["Location"])
    assert (shown.json, shown.headers["ETag"]) == (response.json, response.headers["ETag"])


def test_a_new_item_belongs_to_its_creator(ada: Client, lamp: Made) -> None:
    """The token determines the owner (S-082)."""
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
def test_a_body_is_rejected_when_a_field_is_invalid(
    ada: Client, lamp: Made, field: str, value: object
) -> None:
    """S-082, S-156: POST and PATCH name the field and change nothing."""
    created = ada.post("/items", json=LAMP | {field: value})
    address, match = f"/items/{lamp['id']}", {"If-Match": "*"}
    changed = ada.patch(address, json={field: value}, headers=match)
    assert created.status_code == changed.status_code == 422
    assert ada.get("/items").json["items"] == [lamp]


def test_an_error_names_the_field(ada: Client) -> None:
    """Errors of the item service look like those of the schema."""
    response = ada.post("/items", json=LAMP | {"price": "1.005"})
    assert response.json["errors"] == [{"field": "price", "message": "EUR has 2 decimals"}]


def test_a_sku_that_is_taken_is_a_conflict(ada: Client, eve: Client) -> None:
    """409; other users may use it (S-145)."""
    ada.post("/items", json=LAMP | {"sku": "L-1"})
    assert ada.post("/items", json=LAMP | {"sku": "L-1"}).status_code == 409
    assert eve.post("/items", json=LAMP | {"sku": "L-1"}).status_code == 201


def test_a_replacement_resets_omitted_fields(ada: Client, lamp: Made) -> None:
    """PUT sends all fields."""
    body = {"name": "Desk", "price": "100", "currency": "JPY"}
    response = ada.put(f"/items/{lamp['id']}", json=body, headers={"If-Match": '"v1"'})
    assert (response.status_code, response.headers["ETag"]) == (200, '"v2"')
    assert response.json == lamp | body | {"tags": [], "updated_at": response.json["updated_at"]}


def test_a_change_keeps_omitted_fields(ada: Client, lamp: Made, backend: Backend) -> None:
    """PATCH sends the new values only."""
    backend.clock.advance(seconds=1)
    address, match = f"/items/{lamp['id']}", {"If-Match": '"v1"'}
    response = ada.patch(address, json={"quantity": 2}, headers=match)
    assert response.json == lamp | {"quantity": 2, "updated_at": response.json["updated_at"]}
    assert response.json["updated_at"] > lamp["updated_at"]


def test_a_deleted_item_is_not_found(ada: Client, lamp: Made) -> None:
    """204 once, then 404."""
    address, match = f"/items/{lamp['id']}", {"If-Match": '"v1"'}
    assert ada.delete(address, headers=match).status_code == 204
    assert ada.delete(address, headers=match).status_code == 404


@pytest.mark.parametrize(("method", "status"), [("DELETE", 204), ("PUT", 200), ("PATCH", 422)])
def test_an_item_that_is_no_longer_valid_can_be_replaced_and_deleted(
    backend: Backend, ada: Client, lamp: Made, method: str, status: int
) -> None:
    """Rules become stricter; an item that was stored under older ones must not be stuck."""
    with backend.services.database.transaction() as tx:
        tx.execute(text("UPDATE itemsapi_item SET name = :name"), {"name": "a\u200fb"})
    body = {"PUT": LAMP, "PATCH": {"quantity": 3}}.get(method)
    headers = {"If-Match": '"v1"'}
    response = ada.open(f"/items/{lamp['id']}", method=method, json=body, headers=headers)
    assert response.status_code == status


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize(
    ("header", "status"),
    [(None, 428), ('"v2"', 412), ('W/"v1"', 412), ("v1", 412), ('"v2", "v3"', 412), ('"v01"', 412)],
)
def test_a_change_is_rejected_when_it_names_another_version_or_none(
    ada: Client, lamp: Made, method: str, header: str | None, status: int
) -> None:
    """S-153: no header, another version, or a weak tag (RFC 9110 section 13.1.1)."""
    headers = {} if header is None else {"If-Match": header}
    body = None if method == "DELETE" else LAMP
    response = ada.open(f"/items/{lamp['id']}", method=method, json=body, headers=headers)
    assert response.status_code == status
    assert ada.get("/items").json["items"] == [lamp]


@pytest.mark.parametrize("header", ["*", '"v1"', '"x", "v1"', '"v2", "v1"', 'W/"v1", "v1"'])
def test_a_change_is_accepted_when_it_names_this_version(
    ada: Client, lamp: Made, header: str
) -> None:
    """S-153: the version by itself or in a list, or any."""
    response = ada.patch(f"/items/{lamp['id']}", json={}, headers={"If-Match": header})
    assert response.headers["ETag"] == '"v2"'


@pytest.mark.parametrize("header", ['"v1"', 'W/"v1"', '"x", "v1"', "*"])
def test_an_item_is_not_sent_again_when_the_client_has_it(
    ada: Client, lamp: Made, header: str
) -> None:
    """304 with the ETag and no body (RFC 9110 section 15.4.5)."""
    response = ada.get(f"/items/{lamp['id']}", headers={"If-None-Match": header})
    assert (response.status_code, response.data, response.headers["ETag"]) == (304, b"", '"v1"')


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("tag", ['"v1"', '"v2"', "*"])
def test_an_item_of_another_user_is_not_found(
    eve: Client, lamp: Made, method: str, tag: str
) -> None:
    """S-081, S-153: whatever versions are named, as if it did not exist."""
    body = LAMP if method in {"PUT", "PATCH"} else None
    headers = {"If-Match": tag, "If-None-Match": tag}
    response = eve.open(f"/items/{lamp['id']}", method=method, json=body, headers=headers)
    assert response.status_code == 404


@pytest.mark.parametrize("query", ["", "?q=lamp", "?tag=home", "?currency=EUR"])
def test_an_item_of_another_user_is_not_listed(eve: Client, lamp: Made, query: str) -> None:
    """S-081: neither found nor counted."""
    assert eve.get(f"/items{query}").json == {"items": [], "next_cursor": None}
    assert eve.get("/items", query_string={"owner_id": lamp["owner_id"]}).json["items"] == []


def test_an_operator_reaches_the_items_of_all_users(operator: Client, lamp: Made) -> None:
    """With `items:admin` they are listed and changed; the owner stays."""
    assert operator.get("/items", query_string={"owner_id": lamp["owner_id"]}).json["items"]
    address, match = f"/items/{lamp['id']}", {"If-Match": '"v1"'}
    changed = operator.patch(address, json={"quantity": 9}, headers=match)
    assert (changed.json["quantity"], changed.json["owner_id"]) == (9, lamp["owner_id"])


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_a_change_is_forbidden_without_the_scope_to_write(
    backend: Backend, lamp: Made, method: str
) -> None:
    """S-009: 403, whoever owns the item."""
    reader: Client = backend.signed_in_client("bob", "member", scope="items:read")
    address = "/items" if method == "POST" else f"/items/{lamp['id']}"
    response = reader.open(address, method=method, json=LAMP)
    assert (response.status_code, response.json["code"]) == (403, "insufficient_scope")


def test_pages_lead_from_the_first_item_to_the_last(ada: Client) -> None:
    """Each cursor leads to the next page, in the chosen order."""
    for n in range(5):
        ada.post("/items", json=LAMP | {"name": f"N{n}", "quantity": n})
    seen, query = [], {"sort": "-quantity", "limit": "2", "q": "n"}
    while query.get("cursor", "") is not None:
        response = ada.get("/items", query_string=query).json
        seen += [item["name"] for item in response["items"]]
        query["cursor"] = response["next_cursor"]
    assert seen == ["N4", "N3", "N2", "N1", "N0"]


def test_the_next_page_continues_after_the_longest_name(ada: Client) -> None:
    """Its cursor has the maximum length, which is accepted."""
    for name in ("\x01" * 200, "😀" * 200):
        ada.post("/items", json=LAMP | {"name": name})
    cursor = ada.get("/items?sort=name&limit=1").json["next_cursor"]
    response = ada.get("/items", query_string={"sort": "name", "cursor": cursor})
    assert [item["name"] for item in response.json["items"]] == ["😀" * 200]


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
def test_a_list_is_rejected_when_its_query_is_invalid(shared_admin: Client, query: str) -> None:
    """S-014, S-157: unknown and repeated parameters too, and never a server error."""
    assert shared_admin.get(f"/items{query}").status_code == 422


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
def test_a_list_is_returned_whatever_the_text_of_its_filters(
    ada: Client, lamp: Made, query: str
) -> None:
    """S-014: any text is only a value."""
    response = ada.get(f"/items{query}")
    assert response.json["items"] in ([], [lamp])


@pytest.mark.parametrize("address", ["/items/x", "/items/%00", "/items/" + "9" * 5_000])
def test_a_url_without_an_item_is_not_found(shared_admin: Client, address: str) -> None:
    """S-006, S-014: like any other unknown URL."""
    assert shared_admin.get(address).status_code == 404
