"""The access log: one line for each response, without anything that may be a secret."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask

from itemsapi import Scope, requires
from itemsapi.observability.access_log import MAX_PATH_LENGTH
from itemsapi.problems import HeadersTooLarge
from itemsapi.rest.middleware import SERVER_PROBLEM
from itemsapi.server.host_application import behind_server
from itemsapi.settings import Settings
from support.app_factory import Backend
from support.host import HostFactory
from support.log_records import LogRecords

pytestmark = pytest.mark.dialect("sqlite")  # the log does not depend on the database

Build = Callable[..., Backend]
FIELDS = ("method", "path", "status", "caller_id")


def lines(records: LogRecords) -> list[dict[str, Any]]:
    """Return the fields of the lines of the access log."""
    attributes = [vars(record) for record in records.records]
    return [each["fields"] for each in attributes if each["event"] == "request"]


def shown(records: LogRecords) -> list[tuple[object, ...]]:
    """Return what identifies each request and its outcome."""
    return [tuple(line[name] for name in FIELDS) for line in lines(records)]


@pytest.fixture
def logged(make_backend: Build) -> Backend:
    """A service with an access log."""
    return make_backend(access_log=True)


def test_a_request_is_one_line(logged: Backend, log_records: LogRecords) -> None:
    """With the template of the route and the id of the caller."""
    client = logged.signed_in_client("ada", "member")
    user_id = client.get("/me").get_json()["id"]
    log_records.records.clear()
    client.get("/items/01a20674-a5d2-740f-8927-c4fd5bd69584")
    assert shown(log_records) == [("GET", "/items/<id:item_id>", 404, user_id)]


def test_a_line_has_the_request_id_of_the_response(
    logged: Backend, log_records: LogRecords
) -> None:
    """And how long the response took."""
    response = logged.client().get("/health/live")
    (line,) = lines(log_records)
    assert line["request_id"] == response.headers["X-Request-Id"]
    assert line["duration_ms"] >= 0


def test_a_refusal_of_the_gate_is_logged(logged: Backend, log_records: LogRecords) -> None:
    """There is no caller."""
    logged.client().get("/items")
    assert shown(log_records) == [("GET", "/items", 401, None)]


def test_no_secret_of_a_request_is_logged(logged: Backend, log_records: LogRecords) -> None:
    """Neither tokens nor what is in the query, the body or a variable of the path (S-150)."""
    logged.bearer_client("c4n4ry").get("/items?token=c4n4ry")
    logged.client().get("/console/c4n4ry")
    logged.client().post("/auth/login", json={"username": "ada", "password": "c4n4ry c4n4ry"})
    assert len(lines(log_records)) == 3
    assert "c4n4ry" not in str(lines(log_records))


def test_an_unknown_path_is_shortened(logged: Backend, log_records: LogRecords) -> None:
    """It has no template; a client may send a long one."""
    logged.client().get(f"/{'x' * 4000}")
    assert lines(log_records)[0]["path"] == f"/{'x' * (MAX_PATH_LENGTH - 1)}"


def test_what_the_middleware_answers_is_logged(logged: Backend, log_records: LogRecords) -> None:
    """Flask does not see such a request, so its route is not known."""
    logged.client().get("/items", headers={"X-Large": "x" * 9000})
    assert shown(log_records) == [("GET", "-", 431, None)]


def test_nothing_is_logged_when_it_is_off(backend: Backend, log_records: LogRecords) -> None:
    """As it is by default."""
    backend.client().get("/items")
    assert lines(log_records) == []


def add_route(app: Flask) -> None:
    """Add routes with a variable to an application."""
    rule = requires(Scope("orders:read", "See orders"))
    app.get("/orders/<token>")(rule(lambda token: token))
    app.get("/links/<token>/", endpoint="links")(rule(lambda token: token))


@pytest.fixture
def logged_host(host: HostFactory, settings: Settings) -> Backend:
    """An application of somebody else with an access log."""
    return host(add_route, settings=replace(settings, access_log=True))


def test_requests_of_an_application_are_logged(
    logged_host: Backend, log_records: LogRecords
) -> None:
    """With the layer around it; by Flask's signals, which change nothing of it."""
    logged_host.client().get("/orders/c4n4ry")
    assert shown(log_records) == [("GET", "/orders/<token>", 401, None)]


@pytest.mark.parametrize(
    ("method", "path", "status"), [("POST", "/orders/c4n4ry", 405), ("GET", "/links/c4n4ry", 308)]
)
def test_the_path_is_hidden_when_only_the_method_or_a_slash_is_wrong(
    logged_host: Backend, log_records: LogRecords, method: str, path: str, status: int
) -> None:
    """It has the variables of a route, such as the token of a one-time link (S-150)."""
    logged_host.client().open(path, method=method)
    assert shown(log_records) == [(method, "-", status, None)]


def test_what_the_server_answers_for_an_application_is_logged(
    logged_host: Backend, log_records: LogRecords
) -> None:
    """The application does not see such a request."""
    environ = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": "/orders/c4n4ry",
        SERVER_PROBLEM: HeadersTooLarge(),
    }
    behind_server(logged_host.app)(environ, lambda *_: lambda _: None)
    assert shown(log_records) == [("GET", "-", 431, None)]
