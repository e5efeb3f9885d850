"""RFC 9110 section 13 as a table: conditions of reading and changing an item (S-153)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from itemsapi.clock import new_id
from itemsapi.rest.versions import view_metadata
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
    """Return the headers that say so, beside dates that count for nothing."""
    given = {"If-Match": match, "If-None-Match": none_match, "If-Unmodified-Since": AGO}
    return {name: value for name, value in given.items() if value is not None}


@pytest.fixture
def ada(backend: Backend) -> FlaskClient:
    """The client of a user."""
    return backend.signed_in_client("ada", "member")


@pytest.fixture
def item(ada: FlaskClient) -> str:
    """The address of an item of hers, at its second version."""
    return new_item(ada)


def new_item(client: FlaskClient) -> str:
    """Make an item and change it once; return its address."""
    place: str = client.post("/items", json=ITEM).headers["Location"]
    client.patch(place, json={"quantity": 2}, headers={"If-Match": "*"})
    return place


def act(client: FlaskClient, method: str, place: str, headers: dict[str, str]) -> int:
    """Send a request with the body that it needs."""
    body = ITEM if method in {"PUT", "PATCH"} else None
    return client.open(place, method=method, headers=headers, json=body).status_code


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_reader_is_answered_as_the_table_says(ada: FlaskClient, item: str, method: str) -> None:
    """304 for readers alone."""
    told = {row: act(ada, method, item, conditions(*row[:2])) for row in TABLE}
    assert told == {row: row[2] for row in TABLE}


@pytest.mark.parametrize("method", CHANGES)
def test_a_change_is_made_as_the_table_says(ada: FlaskClient, method: str) -> None:
    """To an item of its own each."""
    told = {row: act(ada, method, new_item(ada), conditions(*row[:2])) for row in TABLE}
    assert told == {row: CHANGES[method] if row[3] == MADE else row[3] for row in TABLE}


@pytest.mark.parametrize("method", CHANGES)
def test_what_is_refused_changes_nothing(ada: FlaskClient, item: str, method: str) -> None:
    """By whichever row of the table."""
    for row in [row for row in TABLE if row[3] != MADE]:
        act(ada, method, item, conditions(*row[:2]))
        assert ada.get(item).headers["ETag"] == NOW, row


@pytest.mark.parametrize("method", ["GET", "HEAD", *CHANGES])
def test_somebody_elses_item_is_not_there_whatever_the_conditions(
    backend: Backend, item: str, method: str
) -> None:
    """404 first, so that no condition tells what is there (13.2.1)."""
    eve = backend.signed_in_client("eve", "member")
    rows = [row for row in TABLE if row[0]]
    told = {row: act(eve, method, item, conditions(*row[:2])) for row in rows}
    assert told == dict.fromkeys(rows, 404)


@dataclass(frozen=True)
class Change:
    """An operation that takes a version: its endpoint, its method, whether it takes a body."""

    endpoint: str
    method: str
    has_body: bool


def parsed(view: object) -> list[dict[str, Any]]:
    """Return what a view takes from `arguments`."""
    found: list[dict[str, Any]] = view_metadata(view).get("arguments", {}).get("parameters", [])
    return found


def changes(app: Flask) -> list[Change]:
    """Return all there are, by their declarations."""
    views = [(route, app.view_functions[route.endpoint]) for route in app.url_map.iter_rules()]
    return [
        Change(route.endpoint, method, any(one["in"] == "json" for one in parsed(view)))
        for route, view in views
        if view_metadata(view).get("etag")
        for method in sorted({"PUT", "PATCH", "DELETE"} & (route.methods or set()))
    ]


@pytest.fixture
def ask(backend: Backend, item: str) -> Callable[..., int]:
    """Make a change of something of this kind that is there, or not, as an admin."""
    root = backend.signed_in_client("root", "admin")
    there = {"item_id": item.rpartition("/")[2], "user_id": backend.create_user("bob")}

    def asked(change: Change, *, found: bool = True, **request: Any) -> int:
        ids = there if found else dict.fromkeys(there, new_id())
        (rule,) = (
            one
            for one in backend.app.url_map.iter_rules(change.endpoint)
            if change.method in (one.methods or set())
        )
        place = rule.rule
        for name in rule.arguments:
            place = place.replace(f"<id:{name}>", ids[name])
        return root.open(place, method=change.method, **request).status_code

    return asked


def test_all_that_take_a_version_are_looked_at(backend: Backend) -> None:
    """The tests of the order hold for these."""
    found = changes(backend.app)
    assert {one.endpoint for one in found if one.has_body} == {
        "items.change_item",
        "items.replace_item",
        "users.change_user",
    }
    assert {one.endpoint for one in found if not one.has_body} == {"items.delete_item"}


@pytest.mark.parametrize("headers", [{}, conditions('"v1"', "*"), conditions('"v7"', None)])
@pytest.mark.parametrize(
    ("body", "status"),
    [({"json": {"surplus": 1}}, 422), ({"data": "{"}, 400), ({"data": "x"}, 415)],
)
def test_a_request_that_is_no_good_in_itself_is_refused_first(
    backend: Backend,
    ask: Callable[..., int],
    body: dict[str, Any],
    status: int,
    headers: dict[str, str],
) -> None:
    """Whatever its conditions say, and if they are missing (13.2.1), there or not."""
    media = {"content_type": "text/plain" if status == 415 else "application/json"}
    request = {"headers": headers, **body} | (media if "data" in body else {})
    with_body = [one for one in changes(backend.app) if one.has_body]
    found = [ask(one, found=there, **request) for one in with_body for there in (True, False)]
    assert found == [status] * len(found)


def test_a_missing_condition_is_told_before_what_is_there(
    backend: Backend, ask: Callable[..., int]
) -> None:
    """428 to everybody alike (RFC 6585 section 3)."""
    good = {"items.replace_item": ITEM}
    found = [
        ask(one, found=there, json=good.get(one.endpoint, {}) if one.has_body else None)
        for one in changes(backend.app)
        for there in (True, False)
    ]
    assert found == [428] * len(found)


def test_what_is_not_there_is_told_before_a_condition_that_does_not_hold(
    backend: Backend, ask: Callable[..., int]
) -> None:
    """404, and 412 where it is there (13.2.1)."""
    good = {"items.replace_item": ITEM}
    found = {
        (ask(one, found=False, **request), ask(one, **request))
        for one in changes(backend.app)
        for request in [
            {
                "headers": {"If-Match": '"v77"'},
                "json": good.get(one.endpoint, {}) if one.has_body else None,
            }
        ]
    }
    assert found == {(404, 412)}


@pytest.mark.parametrize("name", ["If-Modified-Since", "If-Unmodified-Since"])
def test_dates_are_ignored(ada: FlaskClient, item: str, name: str) -> None:
    """There is no Last-Modified to compare with (13.1.3, 13.1.4)."""
    assert ada.get(item, headers={name: AGO}).status_code == 200
    assert "Last-Modified" not in ada.get(item).headers


def test_a_user_is_changed_under_the_same_conditions(backend: Backend) -> None:
    """Not items alone: whatever takes a version."""
    root = backend.signed_in_client("root", "admin")
    place = f"/users/{backend.create_user('ada')}"
    headers = conditions('"v1"', "*")
    assert root.patch(place, json={"disabled": True}, headers=headers).status_code == 412
    assert root.get(place, headers={"If-Match": '"v7"'}).status_code == 412


@pytest.mark.parametrize("place", ["/openapi.json", "/console/main.js"])
def test_files_are_read_under_the_same_conditions(backend: Backend, place: str) -> None:
    """Whatever has an ETag."""
    client = backend.client()
    tag = client.get(place).headers["ETag"]
    assert client.get(place, headers={"If-Match": tag}).status_code == 200
    assert client.get(place, headers={"If-Match": '"other"'}).status_code == 412
