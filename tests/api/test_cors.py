"""CORS: pages of listed origins read answers, refusals too."""

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from itemsapi import Blueprint, public
from itemsapi.problems import DatabaseUnavailable
from support.app_factory import Backend
from support.browser_client import APP_ORIGIN, FAR_ORIGIN, make_browser, signed_in_browser

Build = Callable[..., Backend]

ALLOW, CREDENTIALS = "Access-Control-Allow-Origin", "Access-Control-Allow-Credentials"
EXPOSED = "Access-Control-Expose-Headers"
FROM_APP = {"Origin": APP_ORIGIN}

page = Blueprint("trouble", __name__, url_prefix="/trouble")


@page.get("/away")
@public("a test")
def away() -> object:
    """Need a database that is away."""
    raise DatabaseUnavailable


@page.get("/broken")
@public("a test")
def broken() -> object:
    """Break."""
    raise ZeroDivisionError


@page.get("/exit")
@public("a test")
def leave() -> object:
    """Do what no library should."""
    raise SystemExit


@pytest.fixture
def dialect() -> str:
    """CORS does not depend on the database."""
    return "sqlite"


@pytest.fixture
def backend(make_backend: Build) -> Backend:
    """A backend that lists two origins, and has a page with troubles."""
    return make_backend(page, allowed_origins=(APP_ORIGIN, FAR_ORIGIN), rate_limit="50/minute")


@pytest.fixture
def client(backend: Backend) -> FlaskClient:
    """A page of a listed origin, before it has a token."""
    client = backend.client()
    client.environ_base["HTTP_ORIGIN"] = APP_ORIGIN
    return client


REFUSALS = [
    (401, "GET", "/auth/sessions", {}),
    (401, "POST", "/auth/refresh", {"json": {}}),
    (404, "GET", "/nowhere", {}),
    (405, "PATCH", "/auth/login", {}),
    (413, "POST", "/auth/login", {"data": b"x" * 3_000_000, "content_type": "application/json"}),
    (415, "POST", "/auth/login", {"data": "x"}),
    (422, "POST", "/auth/login", {"json": {}}),
    (431, "GET", "/health/live", {"headers": {"X-Long": "x" * 9000}}),
    (500, "GET", "/trouble/broken", {}),
    (500, "GET", "/trouble/exit", {}),
    (503, "GET", "/trouble/away", {}),
    (400, "POST", "/oauth/token", {"data": {"grant_type": "password"}}),
]


@pytest.mark.parametrize(("status", "method", "path", "sent"), REFUSALS)
def test_a_refusal_can_be_read(
    client: FlaskClient, status: int, method: str, path: str, sent: dict[str, Any]
) -> None:
    """S-093: or a page could not tell a refusal from a network that is down."""
    answer = client.open(path, method=method, **sent)
    assert answer.status_code == status
    assert (answer.headers.getlist(ALLOW), "Origin" in answer.headers["Vary"]) == (
        [APP_ORIGIN],
        True,
    )


def test_a_refused_page_can_be_read(backend: Backend) -> None:
    """S-093: 403 by the gate, and 403 by the doorman."""
    few = backend.signed_in_client("ada", "reader").get("/users", headers=FROM_APP)
    assert (few.status_code, few.headers[ALLOW]) == (403, APP_ORIGIN)
    none = make_browser(backend, origin=APP_ORIGIN, site="none").post("/auth/refresh", json={})
    assert (none.status_code, none.headers[ALLOW]) == (403, APP_ORIGIN)


def test_a_limit_can_be_read(client: FlaskClient) -> None:
    """S-093: 429, with `Retry-After` exposed."""
    answers = [client.get("/.well-known/jwks.json") for _ in range(51)]
    assert answers[-1].status_code == 429
    assert (answers[-1].headers[ALLOW], "Retry-After" in answers[-1].headers[EXPOSED]) == (
        APP_ORIGIN,
        True,
    )


def test_what_clients_need_is_exposed(client: FlaskClient) -> None:
    """S-093: a script sees no other header of a foreign answer."""
    exposed = set(client.get("/health/live").headers[EXPOSED].split(", "))
    assert exposed >= {"WWW-Authenticate", "Retry-After", "ETag", "Location", "X-Request-Id"}


@pytest.mark.parametrize("path", ["/auth/login", "/auth/refresh", "/auth/logout"])
def test_credentials_are_let_through_under_auth(client: FlaskClient, path: str) -> None:
    """The cookie travels to the sign-in pages."""
    assert client.post(path, json={}).headers[CREDENTIALS] == "true"


@pytest.mark.parametrize(
    "path", ["/items", "/oauth/token", "/.well-known/jwks.json", "/health/live", "/authors", "/"]
)
def test_credentials_are_let_through_nowhere_else(client: FlaskClient, path: str) -> None:
    """S-093: everywhere else the access token in its header is enough."""
    answer = client.get(path)
    assert answer.headers[ALLOW] == APP_ORIGIN
    assert CREDENTIALS not in answer.headers


def test_a_preflight_is_answered_without_a_handler(client: FlaskClient) -> None:
    """No token, no body, no handler: 204 with what may be sent."""
    asked = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type,x-auth-delivery",
    }
    answer = client.options("/auth/refresh", headers=asked)
    assert (answer.status_code, answer.data) == (204, b"")
    assert "X-Auth-Delivery" in answer.headers["Access-Control-Allow-Headers"]


def test_a_preflight_allows_what_the_api_takes(client: FlaskClient) -> None:
    """Authorization, conditional headers, and every method that an address has."""
    answer = client.options("/items", headers={"Access-Control-Request-Method": "PATCH"})
    allowed = answer.headers["Access-Control-Allow-Headers"].split(", ")
    assert {"Authorization", "Content-Type", "If-Match", "If-None-Match"} <= set(allowed)
    assert {"PUT", "PATCH", "DELETE"} <= set(
        answer.headers["Access-Control-Allow-Methods"].split(", ")
    )


def test_headers_of_the_operators_own_are_allowed_and_exposed(make_backend: Build) -> None:
    """S-093: beside the fixed ones, for tracing above all."""
    sent, read = ("traceparent", "baggage"), ("X-Build",)
    backend = make_backend(allowed_origins=(APP_ORIGIN,), allow_headers=sent, expose_headers=read)
    asked = FROM_APP | {"Access-Control-Request-Method": "GET"}
    allowed = backend.client().options("/items", headers=asked).headers[f"{ALLOW[:-6]}Headers"]
    assert {"Authorization", "traceparent", "baggage"} <= set(allowed.split(", "))
    exposed = backend.client().get("/items", headers=FROM_APP).headers[EXPOSED]
    assert {"ETag", "X-Build"} <= set(exposed.split(", "))


@pytest.mark.parametrize("origin", ["capacitor://localhost", "http://tauri.localhost"])
def test_an_app_in_a_web_view_reads_answers(make_backend: Build, origin: str) -> None:
    """S-093: listed as exactly as any page."""
    client = make_backend(allowed_origins=(origin,)).client()
    read = [
        client.get("/items", headers={"Origin": one}).headers.get(ALLOW)
        for one in (origin, f"{origin}.evil", origin.upper(), "tauri://localhost")
    ]
    assert read == [origin, None, None, None]


def test_a_preflight_may_be_remembered_for_two_hours(client: FlaskClient) -> None:
    """More than browsers take, so that pages do not ask before each request."""
    answer = client.options("/items", headers={"Access-Control-Request-Method": "GET"})
    assert answer.headers["Access-Control-Max-Age"] == "7200"


def test_a_preflight_to_nowhere_can_be_read(client: FlaskClient) -> None:
    """The page learns 404 from the request itself, not a network error from the preflight."""
    answer = client.options("/nowhere", headers={"Access-Control-Request-Method": "GET"})
    assert (answer.status_code, answer.headers[ALLOW]) == (204, APP_ORIGIN)


def test_plain_options_to_nowhere_stays_404(client: FlaskClient) -> None:
    """No browser asks first like that."""
    assert client.options("/nowhere").status_code == 404


def test_a_request_that_poses_as_a_preflight_is_none(client: FlaskClient) -> None:
    """Only OPTIONS is; the answer to anything else exposes its headers."""
    answer = client.get("/health/live", headers={"Access-Control-Request-Method": "GET"})
    assert EXPOSED in answer.headers
    assert "Access-Control-Max-Age" not in answer.headers


def test_a_request_to_nowhere_that_poses_as_a_preflight_stays_404(client: FlaskClient) -> None:
    """S-002: it is no fault of the rulebook, so no 503."""
    answer = client.get("/nowhere", headers={"Access-Control-Request-Method": "GET"})
    assert answer.status_code == 404


def test_plain_options_says_which_methods_there_are(backend: Backend) -> None:
    """Without an origin it is no preflight (RFC 9110 section 9.3.7)."""
    answer = backend.client().options("/auth/refresh")
    assert set(answer.headers["Allow"].split(", ")) == {"OPTIONS", "POST"}
    assert ALLOW not in answer.headers


def test_a_page_of_another_site_refreshes(make_backend: Build) -> None:
    """The cross-site SPA, with the answer it needs to read it."""
    backend = make_backend(allowed_origins=(FAR_ORIGIN,), cross_site_origins=(FAR_ORIGIN,))
    client = signed_in_browser(backend, "ada", origin=FAR_ORIGIN, site="cross-site")
    answer = client.post("/auth/refresh", json={})
    assert (answer.headers[ALLOW], answer.headers[CREDENTIALS]) == (FAR_ORIGIN, "true")
