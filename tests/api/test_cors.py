"""CORS: pages of listed origins read responses, errors too."""

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from itemsapi import Blueprint, public
from itemsapi.problems import DatabaseUnavailable
from itemsapi.rest.unlisted_origins import MAX_REPORTED
from support.app_factory import Backend
from support.browser_client import APP_ORIGIN, FAR_ORIGIN, make_browser, signed_in_browser
from support.log_records import LogRecords

pytestmark = pytest.mark.dialect("sqlite")  # CORS does not depend on the database

Build = Callable[..., Backend]

ALLOW, CREDENTIALS = "Access-Control-Allow-Origin", "Access-Control-Allow-Credentials"
EXPOSED = "Access-Control-Expose-Headers"
FROM_APP = {"Origin": APP_ORIGIN}

page = Blueprint("trouble", __name__, url_prefix="/trouble")


@page.get("/away")
@public("a test")
def fail_without_database() -> object:
    """Raise the error of an unreachable database."""
    raise DatabaseUnavailable


@page.get("/broken")
@public("a test")
def fail() -> object:
    """Raise an error."""
    raise ZeroDivisionError


@page.get("/exit")
@public("a test")
def exit_process() -> object:
    """Exit, as no library should."""
    raise SystemExit


@pytest.fixture
def backend(make_backend: Build) -> Backend:
    """A backend that lists two origins, and has endpoints that fail."""
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
def test_an_error_can_be_read(
    client: FlaskClient, status: int, method: str, path: str, sent: dict[str, Any]
) -> None:
    """S-093: otherwise a page could not distinguish an error from a failing network."""
    response = client.open(path, method=method, **sent)
    assert response.status_code == status
    assert (response.headers.getlist(ALLOW), "Origin" in response.headers["Vary"]) == (
        [APP_ORIGIN],
        True,
    )


def test_a_forbidden_response_can_be_read(backend: Backend) -> None:
    """S-093: 403 by the gate, and 403 by the CSRF policy."""
    few = backend.signed_in_client("ada", "reader").get("/users", headers=FROM_APP)
    assert (few.status_code, few.headers[ALLOW]) == (403, APP_ORIGIN)
    none = make_browser(backend, origin=APP_ORIGIN, site="none").post("/auth/refresh", json={})
    assert (none.status_code, none.headers[ALLOW]) == (403, APP_ORIGIN)


def test_a_rate_limit_can_be_read(client: FlaskClient) -> None:
    """S-093: 429, with `Retry-After` exposed."""
    responses = [client.get("/.well-known/jwks.json") for _ in range(51)]
    assert responses[-1].status_code == 429
    assert (responses[-1].headers[ALLOW], "Retry-After" in responses[-1].headers[EXPOSED]) == (
        APP_ORIGIN,
        True,
    )


def test_the_headers_that_clients_need_are_exposed(client: FlaskClient) -> None:
    """S-093: a script sees no other header of a cross-origin response."""
    exposed = set(client.get("/health/live").headers[EXPOSED].split(", "))
    assert exposed >= {"WWW-Authenticate", "Retry-After", "ETag", "Location", "X-Request-Id"}


@pytest.mark.parametrize("path", ["/auth/login", "/auth/refresh", "/auth/logout"])
def test_credentials_are_allowed_under_auth(client: FlaskClient, path: str) -> None:
    """The cookie is sent to the sign-in endpoints."""
    assert client.post(path, json={}).headers[CREDENTIALS] == "true"


@pytest.mark.parametrize(
    "path", ["/items", "/oauth/token", "/.well-known/jwks.json", "/health/live", "/authors", "/"]
)
def test_credentials_are_allowed_nowhere_else(client: FlaskClient, path: str) -> None:
    """S-093: elsewhere the access token in its header is sufficient."""
    response = client.get(path)
    assert response.headers[ALLOW] == APP_ORIGIN
    assert CREDENTIALS not in response.headers


def test_a_preflight_is_answered_without_a_handler(client: FlaskClient) -> None:
    """No token, no body, no handler: 204 with what may be sent."""
    preflight = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type,x-auth-delivery",
    }
    response = client.options("/auth/refresh", headers=preflight)
    assert (response.status_code, response.data) == (204, b"")
    assert "X-Auth-Delivery" in response.headers["Access-Control-Allow-Headers"]


def test_a_preflight_allows_what_the_api_accepts(client: FlaskClient) -> None:
    """Authorization, conditional headers, and every method of a URL."""
    response = client.options("/items", headers={"Access-Control-Request-Method": "PATCH"})
    allowed = response.headers["Access-Control-Allow-Headers"].split(", ")
    assert {"Authorization", "Content-Type", "If-Match", "If-None-Match"} <= set(allowed)
    assert {"PUT", "PATCH", "DELETE"} <= set(
        response.headers["Access-Control-Allow-Methods"].split(", ")
    )


def test_configured_headers_are_allowed_and_exposed(make_backend: Build) -> None:
    """S-093: besides the fixed ones, mainly for tracing."""
    sent, read = ("traceparent", "baggage"), ("X-Build",)
    backend = make_backend(allowed_origins=(APP_ORIGIN,), allow_headers=sent, expose_headers=read)
    preflight = FROM_APP | {"Access-Control-Request-Method": "GET"}
    allowed = backend.client().options("/items", headers=preflight).headers[f"{ALLOW[:-6]}Headers"]
    assert {"Authorization", "traceparent", "baggage"} <= set(allowed.split(", "))
    exposed = backend.client().get("/items", headers=FROM_APP).headers[EXPOSED]
    assert {"ETag", "X-Build"} <= set(exposed.split(", "))


@pytest.mark.parametrize("origin", ["capacitor://localhost", "http://tauri.localhost"])
def test_an_app_in_a_web_view_reads_responses(make_backend: Build, origin: str) -> None:
    """S-093: it is listed as exactly as any origin."""
    client = make_backend(allowed_origins=(origin,)).client()
    read = [
        client.get("/items", headers={"Origin": one}).headers.get(ALLOW)
        for one in (origin, f"{origin}.evil", origin.upper(), "tauri://localhost")
    ]
    assert read == [origin, None, None, None]


def test_a_preflight_may_be_cached_for_two_hours(client: FlaskClient) -> None:
    """Longer than browsers do, so that pages do not send one before each request."""
    response = client.options("/items", headers={"Access-Control-Request-Method": "GET"})
    assert response.headers["Access-Control-Max-Age"] == "7200"


def test_a_preflight_to_an_unknown_url_can_be_read(client: FlaskClient) -> None:
    """The page gets the 404 of the request itself, not a network error of the preflight."""
    response = client.options("/nowhere", headers={"Access-Control-Request-Method": "GET"})
    assert (response.status_code, response.headers[ALLOW]) == (204, APP_ORIGIN)


def test_plain_options_to_an_unknown_url_is_404(client: FlaskClient) -> None:
    """It is no preflight."""
    assert client.options("/nowhere").status_code == 404


def test_only_options_is_a_preflight(client: FlaskClient) -> None:
    """The response to any other method exposes its headers."""
    response = client.get("/health/live", headers={"Access-Control-Request-Method": "GET"})
    assert EXPOSED in response.headers
    assert "Access-Control-Max-Age" not in response.headers


def test_a_request_to_an_unknown_url_with_preflight_headers_is_404(client: FlaskClient) -> None:
    """S-002: the rulebook has no fault, so it is no 503."""
    response = client.get("/nowhere", headers={"Access-Control-Request-Method": "GET"})
    assert response.status_code == 404


def test_plain_options_lists_the_methods(backend: Backend) -> None:
    """Without an origin it is no preflight (RFC 9110 section 9.3.7)."""
    response = backend.client().options("/auth/refresh")
    assert set(response.headers["Allow"].split(", ")) == {"OPTIONS", "POST"}
    assert ALLOW not in response.headers


def test_a_page_of_another_site_refreshes(make_backend: Build) -> None:
    """The cross-site SPA can read the response."""
    backend = make_backend(allowed_origins=(FAR_ORIGIN,), cross_site_origins=(FAR_ORIGIN,))
    client = signed_in_browser(backend, "ada", origin=FAR_ORIGIN, site="cross-site")
    response = client.post("/auth/refresh", json={})
    assert (response.headers[ALLOW], response.headers[CREDENTIALS]) == (FAR_ORIGIN, "true")


@pytest.mark.parametrize(
    ("origin", "site", "reports"),
    [
        ("http://localhost:5173", "same-site", 1),
        (APP_ORIGIN, "cross-site", 0),
        ("http://localhost:8000", "same-origin", 0),
        ("http://localhost:8000", "", 0),
        ("http://localhost:5173", "same-origin", 0),
        ("*", "cross-site", 0),
        ("https://a.example,https://b.example", "cross-site", 0),
        (f"https://{100 * 'a'}.example", "cross-site", 0),
    ],
)
def test_only_a_page_that_the_browser_would_block_is_reported(
    backend: Backend, log_records: LogRecords, origin: str, site: str, reports: int
) -> None:
    """Neither a listed one, nor ours, nor one behind a development server that passes calls on."""
    headers = {"Origin": origin} | ({"Sec-Fetch-Site": site} if site else {})
    backend.client().get("/items", headers=headers)
    assert "\n".join(log_records.lines()).count("origin_not_listed") == reports


def test_a_page_without_an_origin_is_told_to_come_from_a_server(
    backend: Backend, log_records: LogRecords
) -> None:
    """A file that was opened in the browser has the origin `null`, which nobody can list."""
    backend.client().get("/items", headers={"Origin": "null"})
    (line,) = log_records.lines()
    assert "open the page from a web server" in line


def test_a_client_cannot_fill_the_log_with_origins(
    backend: Backend, log_records: LogRecords
) -> None:
    """The first ones are reported (S-151)."""
    for number in range(MAX_REPORTED + 5):
        backend.client().get("/items", headers={"Origin": f"https://{number}.example"})
    assert len(log_records.lines()) == MAX_REPORTED
