"""Preconditions: a table of conditional reads and changes (RFC 9110 section 13, S-153)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from itemsapi.clock import new_id
from itemsapi.rest.etags import view_metadata
from support.app_factory import Backend

ITEM = {"name": "Lamp", "price": "1.00", "currency": "EUR"}
NOW = '"v2"'  # the version that is stored
AGO = "Sat, 01 Jan 2000 00:00:00 GMT"
MADE = 200
Row = tuple[str | None, str | None, int, int]
CHANGES = {"PUT": 200, "PATCH": 200, "DELETE": 204}

# If-Match, If-None-Match, what a reader gets, whether a change is made.
TABLE: list[Row] = [
    (None, None, 200, 428),
    (None, NOW, 304, 428),
    (None, f"W/{NOW}", 304, 428),
    (None, "*", 304, 428),
    (None, '"v1"', 200, 428),
    (None, f'"v1", {NOW}', 304, 428),
    (None, "v2", 200, 428),
    (NOW, None, 200, MADE),
    ("*", None, 200, MADE),
    (f'"v1", {NOW}', None, 200, MADE),
    (f",, {NOW} ,", None, 200, MADE),
    ('"v1"', None, 412, 412),
    (f"W/{NOW}", None, 412, 412),
    ("v2", None, 412, 412),
    ('"v2', None, 412, 412),
    ("", None, 412, 412),
    (f"*, {NOW}", None, 412, 412),
    (f"{NOW} {NOW}", None, 412, 412),
    ('"v02x"', None, 412, 412),
    (NOW, NOW, 304, 412),
    (NOW, f"W/{NOW}", 304, 412),
    (NOW, "*", 304, 412),
    ("*", "*", 304, 412),
    ("*", NOW, 304, 412),
    (NOW, '"v1"', 200, MADE),
    (NOW, "v2", 200, MADE),
    ("*", '"v1", W/"v3"', 200, MADE),
    ('"v1"', NOW, 412, 412),
    ('"v1"', '"v1"', 412, 412),
    ('"v1"', "*", 412, 412),
]


def conditions(match: str | None, none_match: str | None) -> dict[str, str]:
    """Return these conditional headers, together with dates that are ignored."""
    headers = {"If-Match": match, "If-None-Match": none_match, "If-Unmodified-Since": AGO}
    return {name: value for name, value in headers.items() if value is not None}


@pytest.fixture
def item(ada: FlaskClient) -> str:
    """The URL of an item of hers, at its second version."""
    return new_item(ada)


def new_item(client: FlaskClient) -> str:
    """Create an item and change it once; return its URL."""
    path: str = client.post("/items", json=ITEM).headers["Location"]
    client.patch(path, json={"quantity": 2}, headers={"If-Match": "*"})
    return path


def send(client: FlaskClient, method: str, path: str, headers: dict[str, str]) -> int:
    """Send a request with the body that it needs."""
    body = ITEM if method in {"PUT", "PATCH"} else None
    return client.open(path, method=method, headers=headers, json=body).status_code


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_read_has_the_status_of_the_table(ada: FlaskClient, item: str, method: str) -> None:
    """304 for reads only."""
    statuses = {row: send(ada, method, item, conditions(*row[:2])) for row in TABLE}
    assert statuses == {row: row[2] for row in TABLE}


@pytest.mark.parametrize("method", CHANGES)
def test_a_change_has_the_status_of_the_table(ada: FlaskClient, method: str) -> None:
    """Each changes an item of its own."""
    statuses = {row: send(ada, method, new_item(ada), conditions(*row[:2])) for row in TABLE}
    assert statuses == {row: CHANGES[method] if row[3] == MADE else row[3] for row in TABLE}


@pytest.mark.parametrize("method", CHANGES)
def test_a_rejected_change_changes_nothing(ada: FlaskClient, item: str, method: str) -> None:
    """For every row of the table."""
    for row in [row for row in TABLE if row[3] != MADE]:
        send(ada, method, item, conditions(*row[:2]))
        assert ada.get(item).headers["ETag"] == NOW, row


@pytest.mark.parametrize("method", ["GET", "HEAD", *CHANGES])
def test_an_item_of_another_user_is_not_found_whatever_the_conditions(
    backend: Backend, item: str, method: str
) -> None:
    """404 comes first, so that no condition reveals what exists (13.2.1)."""
    eve = backend.signed_in_client("eve", "member")
    rows = [row for row in TABLE if row[0]]
    statuses = {row: send(eve, method, item, conditions(*row[:2])) for row in rows}
    assert statuses == dict.fromkeys(rows, 404)


@dataclass(frozen=True)
class VersionedOperation:
    """An operation with a version: its endpoint, its method, whether it has a body."""

    endpoint: str
    method: str
    has_body: bool


def parsed(view: object) -> list[dict[str, Any]]:
    """Return what a view takes from `arguments`."""
    found: list[dict[str, Any]] = view_metadata(view).get("arguments", {}).get("parameters", [])
    return found


def versioned_operations(app: Flask) -> list[VersionedOperation]:
    """Return all operations with a version, from their declarations."""
    views = [(route, app.view_functions[route.endpoint]) for route in app.url_map.iter_rules()]
    return [
        VersionedOperation(route.endpoint, method, any(one["in"] == "json" for one in parsed(view)))
        for route, view in views
        if view_metadata(view).get("etag")
        for method in sorted({"PUT", "PATCH", "DELETE"} & (route.methods or set()))
    ]


@pytest.fixture
def ask(backend: Backend, item: str) -> Callable[..., int]:
    """Return a function that changes an existing or missing resource of any kind, as an admin."""
    root = backend.signed_in_client("root", "admin")
    existing = {"item_id": item.rpartition("/")[2], "user_id": backend.create_user("bob")}

    def send_change(change: VersionedOperation, *, exists: bool = True, **request: Any) -> int:
        ids = existing if exists else dict.fromkeys(existing, new_id())
        (rule,) = (
            one
            for one in backend.app.url_map.iter_rules(change.endpoint)
            if change.method in (one.methods or set())
        )
        path = rule.rule
        for name in rule.arguments:
            path = path.replace(f"<id:{name}>", ids[name])
        return root.open(path, method=change.method, **request).status_code

    return send_change


def test_all_operations_with_a_version_are_tested(backend: Backend) -> None:
    """The tests of the order hold for these."""
    operations = versioned_operations(backend.app)
    assert {change.endpoint for change in operations if change.has_body} == {
        "items.change_item",
        "items.replace_item",
        "itemsapi.users.change_user",
    }
    assert {change.endpoint for change in operations if not change.has_body} == {
        "items.delete_item"
    }


@pytest.mark.parametrize("headers", [{}, conditions('"v1"', "*"), conditions('"v7"', None)])
@pytest.mark.parametrize(
    ("body", "status"),
    [({"json": {"surplus": 1}}, 422), ({"data": "{"}, 400), ({"data": "x"}, 415)],
)
def test_an_invalid_request_is_rejected_before_its_conditions(
    backend: Backend,
    ask: Callable[..., int],
    body: dict[str, Any],
    status: int,
    headers: dict[str, str],
) -> None:
    """Whatever the conditions are (13.2.1), whether the resource exists or not."""
    media = {"content_type": "text/plain" if status == 415 else "application/json"}
    request = {"headers": headers, **body} | (media if "data" in body else {})
    with_body = [change for change in versioned_operations(backend.app) if change.has_body]
    statuses = [
        ask(change, exists=exists, **request) for change in with_body for exists in (True, False)
    ]
    assert statuses == [status] * len(statuses)


def test_a_missing_condition_is_rejected_before_a_missing_resource(
    backend: Backend, ask: Callable[..., int]
) -> None:
    """428 in either case (RFC 6585 section 3)."""
    good = {"items.replace_item": ITEM}
    statuses = [
        ask(change, exists=exists, json=good.get(change.endpoint, {}) if change.has_body else None)
        for change in versioned_operations(backend.app)
        for exists in (True, False)
    ]
    assert statuses == [428] * len(statuses)


def test_a_missing_resource_is_rejected_before_a_failed_condition(
    backend: Backend, ask: Callable[..., int]
) -> None:
    """404, and 412 if it exists (13.2.1)."""
    good = {"items.replace_item": ITEM}
    statuses = {
        (ask(change, exists=False, **request), ask(change, **request))
        for change in versioned_operations(backend.app)
        for request in [
            {
                "headers": {"If-Match": '"v77"'},
                "json": good.get(change.endpoint, {}) if change.has_body else None,
            }
        ]
    }
    assert statuses == {(404, 412)}


@pytest.mark.parametrize("name", ["If-Modified-Since", "If-Unmodified-Since"])
def test_dates_are_ignored(ada: FlaskClient, item: str, name: str) -> None:
    """There is no Last-Modified to compare with (13.1.3, 13.1.4)."""
    assert ada.get(item, headers={name: AGO}).status_code == 200
    assert "Last-Modified" not in ada.get(item).headers


def test_a_user_is_changed_under_the_same_conditions(backend: Backend) -> None:
    """The same holds for everything with a version, not only for items."""
    root = backend.signed_in_client("root", "admin")
    path = f"/users/{backend.create_user('ada')}"
    headers = conditions('"v1"', "*")
    assert root.patch(path, json={"disabled": True}, headers=headers).status_code == 412
    assert root.get(path, headers={"If-Match": '"v7"'}).status_code == 412


@pytest.mark.parametrize("path", ["/openapi.json", "/console/main.js"])
def test_files_are_read_under_the_same_conditions(backend: Backend, path: str) -> None:
    """The same holds for everything with an ETag."""
    client = backend.client()
    tag = client.get(path).headers["ETag"]
    assert client.get(path, headers={"If-Match": tag}).status_code == 200
    assert client.get(path, headers={"If-Match": '"other"'}).status_code == 412
