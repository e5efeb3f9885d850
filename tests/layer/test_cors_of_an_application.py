"""Pages of another origin, on an application of somebody else (S-093)."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask, Response
from werkzeug.test import TestResponse

from itemsapi import Blueprint, public, signed_in
from itemsapi.settings import Settings
from support.app_factory import Backend
from support.log_records import LogRecords

Protect = Callable[..., Backend]
Open = Callable[..., TestResponse]

pytestmark = pytest.mark.dialect("sqlite")

PAGE = "http://localhost:5173"
ALLOWED = "Access-Control-Allow-Origin"
CREDENTIALS = "Access-Control-Allow-Credentials"
PREFLIGHT = {"Access-Control-Request-Method": "POST"}


def make_host() -> Flask:
    """Return an application with a guarded route and a public one."""
    app = Flask("shop", static_folder=None)
    app.get("/orders", endpoint="orders")(signed_in(lambda: "orders"))
    app.get("/auth/help", endpoint="help")(public("a page of the application")(lambda: "help"))
    return app


@pytest.fixture
def allowing(settings: Settings) -> Settings:
    """The settings with the origin of the page."""
    return replace(settings, allowed_origins=(PAGE,))


@pytest.fixture
def whole(protect: Protect, allowing: Settings) -> Backend:
    """An application whose routes are all treated as those of the layer."""
    return protect(make_host(), settings=allowing, whole_app=True)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("OPTIONS", "/orders", 204),
        ("OPTIONS", "/nothing", 204),
        ("GET", "/orders", 401),
        ("GET", "/auth/help", 200),
        ("GET", "/nothing", 404),
    ],
)
def test_a_page_reads_every_response_of_a_whole_application(
    whole: Backend, method: str, path: str, status: int
) -> None:
    """Its preflight, its errors and its refusals too."""
    headers = {"Origin": PAGE} | (PREFLIGHT if method == "OPTIONS" else {})
    response = whole.client().open(path, method=method, headers=headers)
    assert (response.status_code, response.headers.getlist(ALLOWED)) == (status, [PAGE])


def test_a_preflight_of_a_whole_application_allows_the_token(whole: Backend) -> None:
    """A browser sends no `Authorization` otherwise."""
    response = whole.client().options("/orders", headers={"Origin": PAGE} | PREFLIGHT)
    assert "Authorization" in response.headers["Access-Control-Allow-Headers"]


def test_a_page_reads_no_response_of_the_application_with_its_cookies(whole: Backend) -> None:
    """The session of the application is its own, whatever the path."""
    response = whole.client().get("/auth/help", headers={"Origin": PAGE})
    assert "Access-Control-Allow-Credentials" not in response.headers


def test_a_page_of_an_origin_that_is_not_listed_reads_nothing(whole: Backend) -> None:
    """The origins are an exact list."""
    response = whole.client().get("/auth/help", headers={"Origin": "http://localhost:5174"})
    assert (ALLOWED in response.headers, response.headers["Vary"]) == (False, "Origin")


def test_responses_of_the_application_have_no_cors_headers_of_the_layer(
    protect: Protect, allowing: Settings
) -> None:
    """Unless the layer is for the whole application."""
    client = protect(make_host(), settings=allowing).client()
    assert ALLOWED not in client.get("/auth/help", headers={"Origin": PAGE}).headers


@pytest.mark.parametrize(
    ("method", "path", "origin"),
    [("POST", "/auth/login", PAGE), ("GET", "/orders", "*"), ("GET", "/auth/help", "*")],
)
def test_another_extension_for_cors_adds_no_second_origin(
    protect: Protect, allowing: Settings, method: str, path: str, origin: str
) -> None:
    """A browser accepts exactly one: flask-cors answers for all routes, and the layer too."""
    app = make_host()
    client = protect(app, settings=allowing, whole_app=True).client()
    answer_as_flask_cors_does(app)
    response = client.open(path, method=method, headers={"Origin": PAGE})
    assert response.headers.getlist(ALLOWED) == [origin]


@pytest.mark.parametrize("whole_app", [False, True])
@pytest.mark.parametrize("comes_first", [False, True])
@pytest.mark.parametrize(("path", "status"), [("/orders", 401), ("/auth/help", 200)])
def test_another_extension_for_cors_permits_its_cookies_for_its_own_routes(  # noqa: PLR0913 - each is a case
    protect: Protect,
    allowing: Settings,
    path: str,
    status: int,
    *,
    comes_first: bool,
    whole_app: bool,
) -> None:
    """On refusals of the gate too, in any order of the two extensions."""
    app = make_host()
    if comes_first:
        answer_as_flask_cors_does(app, PAGE)
    client = protect(app, settings=allowing, whole_app=whole_app).client()
    if not comes_first:
        answer_as_flask_cors_does(app, PAGE)
    response = client.get(path, headers={"Origin": PAGE})
    found = (response.status_code, response.headers.getlist(ALLOWED))
    assert (*found, response.headers.get(CREDENTIALS)) == (status, [PAGE], "true")


def test_a_page_reads_the_refusals_of_a_strict_blueprint(
    protect: Protect, allowing: Settings
) -> None:
    """As it reads its other responses, without an extension for CORS."""
    blueprint = Blueprint("notes", __name__, url_prefix="/notes")
    blueprint.get("/")(signed_in(lambda: "notes"))
    app = make_host()
    app.register_blueprint(blueprint)
    response = protect(app, settings=allowing).client().get("/notes/", headers={"Origin": PAGE})
    assert (response.status_code, response.headers.getlist(ALLOWED)) == (401, [PAGE])


def test_a_refusal_of_the_application_has_no_cors_headers_of_the_layer(
    protect: Protect, allowing: Settings
) -> None:
    """Who may read its routes is its own decision."""
    client = protect(make_host(), settings=allowing).client()
    assert ALLOWED not in client.get("/orders", headers={"Origin": PAGE}).headers


def answer_as_flask_cors_does(app: Flask, origin: str = "*") -> None:
    """Let a page read a response that does not say who may; those of errors come first.

    It permits cookies too, as with `supports_credentials=True`.
    """
    handle = app.handle_user_exception

    def add(response: Response) -> Response:
        if ALLOWED not in response.headers:
            response.headers.add(ALLOWED, origin)
            response.headers.add(CREDENTIALS, "true")
        return response

    def handle_and_add(error: Exception) -> Any:
        return add(app.make_response(handle(error)))

    app.after_request(add)
    app.handle_user_exception = handle_and_add  # type: ignore[method-assign, assignment]


def test_an_origin_that_is_not_listed_is_reported_at_its_first_request(
    protect: Protect, settings: Settings, log_records: LogRecords
) -> None:
    """To the handlers of the application: the page's developer sees only a failed call."""
    client = protect(make_host(), settings=settings).client()
    for _ in range(2):
        client.options("/auth/login", headers={"Origin": PAGE} | PREFLIGHT)
    (line,) = log_records.lines()
    assert line.startswith("origin_not_listed ")
    assert f"origin={PAGE}" in line
    assert "ITEMSAPI_ALLOWED_ORIGINS" in line
