"""Served under a path, `PUBLIC_URL=https://host/api`, by proxies that strip it or do not."""

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client, TestResponse

from itemsapi import Blueprint, public
from itemsapi.endpoints.token_response import COOKIE_NAME, PLAIN_COOKIE_NAME
from itemsapi.settings import SettingsError
from support.app_factory import Backend
from support.browser_client import APP_ORIGIN, sign_in

pytestmark = pytest.mark.dialect("sqlite")  # URLs do not depend on the database

Build = Callable[..., Backend]

URL = "https://host.example/api"
LAMP = {"name": "Lamp", "price": "12.50", "currency": "EUR"}


@pytest.fixture
def backend(make_backend: Build) -> Backend:
    """A backend under a path, with an SPA at another origin."""
    return make_backend(public_url=URL, allowed_origins=(APP_ORIGIN,))


@pytest.fixture(params=["/api", ""], ids=["kept", "stripped"])
def arriving(request: pytest.FixtureRequest) -> str:
    """The prefix of the path that a proxy forwards: both kinds in turn."""
    return str(request.param)


@pytest.fixture
def get(backend: Backend, arriving: str) -> Callable[..., TestResponse]:
    """Request a URL as a proxy forwards it."""
    client = backend.client()
    return lambda path, **options: client.get(arriving + path, **options)


def body_text(response: TestResponse) -> str:
    """Return the body of a response, which must be successful."""
    assert response.status_code == 200
    return response.get_data(as_text=True)


def test_location_is_relative_to_the_url_of_the_client(backend: Backend, arriving: str) -> None:
    """RFC 9110 section 10.2.2."""
    ada = backend.signed_in_client("ada", "member")
    response = ada.post(f"{arriving}/items", json=LAMP)
    assert response.headers["Location"] == f"/api/items/{response.get_json()['id']}"


@pytest.mark.parametrize("page", ["/docs", "/docs/explore", "/console", "/console/"])
def test_every_file_that_a_page_refers_to_is_found(
    backend: Backend, get: Callable[..., TestResponse], page: str
) -> None:
    """Below the path, also if the URL of the page ends with a slash."""
    named = re.findall(r'(?:src|href|data-spec)="([^"#]+)"', body_text(get(page)))
    local = [address for address in named if not address.startswith("data:")]
    assert [address for address in local if not address.startswith("/api/")] == []
    assert {backend.client().get(address).status_code for address in local} == {200}


def test_problem_type_leads_to_its_explanation(get: Callable[..., TestResponse]) -> None:
    """RFC 9457 section 3.1.1, whether the application or the middleware rejects."""
    long = {"X-Long": "x" * 9000}
    types = {get(path, headers=h).get_json()["type"] for path, h in [("/me", {}), ("/me", long)]}
    assert {kind.partition("#")[0] for kind in types} == {f"{URL}/docs/problems"}


@pytest.mark.parametrize(
    ("public_url", "server", "base_url"),
    [(URL, URL, URL), ("http://localhost:8000/api", "/api", "/api")],
)
def test_document_contains_the_path_in_its_urls(
    make_backend: Build, public_url: str, server: str, base_url: str
) -> None:
    """A loopback address is of no use to others; the path is."""
    document = make_backend(public_url=public_url).client().get("/api/openapi.json").get_json()
    links = re.findall(r"\]\(([^)]+)\)", document["info"]["description"])
    assert document["servers"] == [{"url": server}]
    assert links == [f"{base_url}/docs/problems", f"{base_url}/docs/explore"]


def test_metadata_contains_the_path_in_its_urls(get: Callable[..., TestResponse]) -> None:
    """S-138: the issuer is the public URL, and all else is below it."""
    metadata = get("/.well-known/oauth-authorization-server").get_json()
    named = [metadata[name] for name in metadata if name.endswith(("_uri", "_endpoint"))]
    assert metadata["issuer"] == URL
    assert all(address.startswith(f"{URL}/") for address in named)


def test_metadata_is_found_at_the_url_of_the_rfc(backend: Backend) -> None:
    """RFC 8414 section 3.1: the path of the issuer follows the well-known name."""
    client = backend.client()
    response = client.get("/.well-known/oauth-authorization-server/api")
    assert response.get_json() == client.get("/.well-known/oauth-authorization-server").get_json()
    assert client.get("/.well-known/oauth-authorization-server/other").status_code == 404


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"public_url": URL}, f"{COOKIE_NAME}~api"),
        ({"public_url": "https://host.example/api/v1"}, f"{COOKIE_NAME}~api~v1"),
        ({"public_url": "https://host.example"}, COOKIE_NAME),
        ({"public_url": "http://localhost/a", "insecure_cookies": True}, f"{PLAIN_COOKIE_NAME}~a"),
    ],
)
def test_cookie_is_named_after_the_path(make_backend: Build, changes: Any, name: str) -> None:
    """S-090: `__Host-` requires `Path=/`, and a host may have several services."""
    backend = make_backend(**changes)
    backend.create_user("ada", "member")
    client = backend.client()
    client.environ_base |= {"HTTP_X_AUTH_DELIVERY": "cookie", "HTTP_SEC_FETCH_SITE": "same-origin"}
    line = sign_in(client, "ada").headers["Set-Cookie"]
    assert (line.partition("=")[0], "; Path=/;" in line) == (name, True)


def test_cookie_of_the_path_refreshes(backend: Backend, arriving: str) -> None:
    """As without a path."""
    backend.create_user("ada", "member")
    client = backend.client()
    client.environ_base |= {"HTTP_X_AUTH_DELIVERY": "cookie", "HTTP_SEC_FETCH_SITE": "same-origin"}
    assert sign_in(client, "ada").status_code == 200
    assert client.post(f"{arriving}/auth/refresh", json={}).status_code == 200


@pytest.mark.parametrize("path", ["/auth/nothing", "/oauth/nothing", "/me/password"])
def test_token_responses_are_not_cached(get: Callable[..., TestResponse], path: str) -> None:
    """S-070: the middleware compares the path without its prefix."""
    assert get(path).headers["Pragma"] == "no-cache"


@pytest.mark.parametrize(
    ("path", "credentials"), [("/auth/login", "true"), ("/me/password", "true"), ("/items", None)]
)
def test_credentials_are_allowed_at_the_same_endpoints(
    get: Callable[..., TestResponse], path: str, credentials: str | None
) -> None:
    """S-093: at the sign-in endpoints only."""
    headers = get(path, headers={"Origin": APP_ORIGIN}).headers
    assert headers["Access-Control-Allow-Origin"] == APP_ORIGIN
    assert headers.get("Access-Control-Allow-Credentials") == credentials


SPELLINGS = [
    *("/apifoo", "/apiitems", "/api.items", "/api;/items", "/API/items", "/Api/items", "/api/api"),
    *(
        "//api/items",
        "/./api/items",
        "/api/../items",
        "/api/./items",
        "/api/items/..",
        "/apia/items",
    ),
    *("/api/api/items", "/items/api", "/api\\items", "/api%00/items", "/api%20/items", "api/items"),
    *(
        "/x/../api/items",
        "/api/%2e%2e/items",
        "/ap%69%2f%2e/items",
        "/api%3f/items",
        "/api%2e/items",
    ),
]
FOLDED = ["/api/items", "/items", "/api//items", "/api%2Fitems", "/ap%69/items", "/api/items/"]


def raw_request(client: FlaskClient, path: str) -> TestResponse:
    """Request a path as a server passes it on, without normalising it."""
    return client.get("/", environ_overrides={"PATH_INFO": unquote(path)})


@pytest.mark.parametrize("path", SPELLINGS)
def test_other_spellings_of_the_path_are_not_found(backend: Backend, path: str) -> None:
    """S-006: the path is stripped once, at the beginning, and compared exactly."""
    assert raw_request(backend.signed_in_client("ada", "member"), path).status_code == 404


@pytest.mark.parametrize("path", FOLDED)
def test_the_accepted_spellings_lead_to_one_rule(backend: Backend, path: str) -> None:
    """S-006: with and without the path, and with a trailing slash as elsewhere."""
    assert raw_request(backend.client(), path).get_json()["code"] == "token_missing"
    assert raw_request(backend.signed_in_client("ada", "member"), path).status_code == 200


PIECES = ["/", "//", "api", "API", "items", "me", ".", "..", "%2f", "%2e", ";", "%00", "auth", "~"]


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(PIECES), max_size=8).map("".join))
def test_arbitrary_urls_give_no_access(backend: Backend, path: str) -> None:
    """S-006: anonymous callers are rejected or find nothing, but the start page; no 5xx."""
    response = raw_request(backend.client(), f"/{path}")
    found_start_page = response.status_code == 200 and "oauth_metadata" in response.get_json()
    assert found_start_page or response.status_code in {401, 404, 405}


@pytest.mark.parametrize("name", ["X-Forwarded-Prefix", "X-Script-Name", "X-Forwarded-Path"])
def test_headers_of_a_client_do_not_change_the_path(
    get: Callable[..., TestResponse], name: str
) -> None:
    """S-007: the path is that of the public URL."""
    page = body_text(get("/console", headers={name: "/evil"}))
    assert "evil" not in page


@pytest.mark.parametrize("inner", ["/api/items", "/items"])
def test_a_server_may_mount_the_service_itself(backend: Backend, inner: str) -> None:
    """PEP 3333: it sets SCRIPT_NAME; then nothing more is stripped."""
    outer = Flask("outer")
    mounted = Client(DispatcherMiddleware(outer.wsgi_app, {"/api": backend.app.wsgi_app}))
    response = mounted.get(f"/api{inner}", buffered=True)  # as a server closes it
    assert response.status_code == (404 if inner.startswith("/api") else 401)


@pytest.mark.parametrize("path", ["/auth", "/items", "/docs/explore", "/.well-known"])
def test_the_path_is_rejected_when_it_equals_a_route(make_backend: Build, path: str) -> None:
    """It would be ambiguous whether a proxy stripped it."""
    with pytest.raises(SettingsError, match=rf"PUBLIC_URL ends with {path}, where .* another path"):
        make_backend(public_url=f"https://host.example{path}")


def test_the_path_is_rejected_when_it_equals_a_custom_route(make_backend: Build) -> None:
    """Those of others neither."""
    page = Blueprint("shop", __name__, url_prefix="/shop")

    @page.get("/cart")
    @public("a test")
    def show_cart() -> object:
        return {}

    with pytest.raises(SettingsError, match="PUBLIC_URL ends with /shop"):
        make_backend(page, public_url="https://host.example/shop")


@pytest.mark.parametrize("path", ["/item", "/itemsapi", "/au", "/api/items"])
def test_the_path_is_accepted_when_it_only_resembles_a_route(
    make_backend: Build, path: str
) -> None:
    """Paths are compared by segments."""
    client: FlaskClient = make_backend(public_url=f"https://host.example{path}").client()
    assert client.get(f"{path}/items").status_code == 401
