"""Served under a path, `PUBLIC_URL=https://host/api`, by proxies that take it off and that do not.

Whatever the proxy does, clients read the same addresses, and the gate sees the same request.
"""

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
from itemsapi.rest.cookies import NAME, PLAIN_NAME
from itemsapi.settings import SettingsError
from support.app_factory import Backend
from support.browser_client import APP_ORIGIN, sign_in

Build = Callable[..., Backend]

URL = "https://host.example/api"
LAMP = {"name": "Lamp", "price": "12.50", "currency": "EUR"}


@pytest.fixture
def dialect() -> str:
    """Addresses do not depend on the database."""
    return "sqlite"


@pytest.fixture
def backend(make_backend: Build) -> Backend:
    """A backend under a path, with an SPA elsewhere."""
    return make_backend(public_url=URL, allowed_origins=(APP_ORIGIN,))


@pytest.fixture(params=["/api", ""], ids=["left on", "taken off"])
def arriving(request: pytest.FixtureRequest) -> str:
    """What a proxy leaves of the path: both kinds in turn."""
    return str(request.param)


@pytest.fixture
def get(backend: Backend, arriving: str) -> Callable[..., TestResponse]:
    """Ask for an address as a proxy hands it on."""
    client = backend.client()
    return lambda path, **more: client.get(arriving + path, **more)


def text(answer: TestResponse) -> str:
    """Return the body of an answer, which must be a good one."""
    assert answer.status_code == 200
    return answer.get_data(as_text=True)


def test_location_is_where_the_client_finds_it(backend: Backend, arriving: str) -> None:
    """RFC 9110 section 10.2.2: relative to the address that the client asked."""
    ada = backend.signed_in_client("ada", "member")
    made = ada.post(f"{arriving}/items", json=LAMP)
    assert made.headers["Location"] == f"/api/items/{made.get_json()['id']}"


@pytest.mark.parametrize("page", ["/docs", "/docs/explore", "/console", "/console/"])
def test_everything_that_a_page_names_is_there(
    backend: Backend, get: Callable[..., TestResponse], page: str
) -> None:
    """Below the path, also where the page's own address ends with a slash."""
    named = re.findall(r'(?:src|href|data-spec)="([^"#]+)"', text(get(page)))
    local = [address for address in named if not address.startswith("data:")]
    assert [address for address in local if not address.startswith("/api/")] == []
    assert {backend.client().get(address).status_code for address in local} == {200}


def test_problem_is_explained_where_its_type_says(get: Callable[..., TestResponse]) -> None:
    """RFC 9457 section 3.1.1, whether the application or the edge refuses."""
    long = {"X-Long": "x" * 9000}
    types = {get(path, headers=h).get_json()["type"] for path, h in [("/me", {}), ("/me", long)]}
    assert {kind.partition("#")[0] for kind in types} == {f"{URL}/docs/problems"}


@pytest.mark.parametrize(
    ("public_url", "server", "place"),
    [(URL, URL, URL), ("http://localhost:8000/api", "/api", "/api")],
)
def test_document_names_server_and_pages_with_the_path(
    make_backend: Build, public_url: str, server: str, place: str
) -> None:
    """A loopback address helps nobody else; the path does."""
    document = make_backend(public_url=public_url).client().get("/api/openapi.json").get_json()
    links = re.findall(r"\]\(([^)]+)\)", document["info"]["description"])
    assert document["servers"] == [{"url": server}]
    assert links == [f"{place}/docs/problems", f"{place}/docs/explore"]


def test_metadata_names_addresses_with_the_path(get: Callable[..., TestResponse]) -> None:
    """S-138: the issuer is the public address, and all else is below it."""
    found = get("/.well-known/oauth-authorization-server").get_json()
    named = [found[name] for name in found if name.endswith(("_uri", "_endpoint"))]
    assert found["issuer"] == URL
    assert all(address.startswith(f"{URL}/") for address in named)


def test_metadata_is_where_the_rfc_puts_it(backend: Backend) -> None:
    """RFC 8414 section 3.1: the path of the issuer stands behind the well-known name."""
    client = backend.client()
    there = client.get("/.well-known/oauth-authorization-server/api")
    assert there.get_json() == client.get("/.well-known/oauth-authorization-server").get_json()
    assert client.get("/.well-known/oauth-authorization-server/other").status_code == 404


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"public_url": URL}, f"{NAME}~api"),
        ({"public_url": "https://host.example/api/v1"}, f"{NAME}~api~v1"),
        ({"public_url": "https://host.example"}, NAME),
        ({"public_url": "http://localhost/a", "insecure_cookies": True}, f"{PLAIN_NAME}~a"),
    ],
)
def test_cookie_is_named_after_the_path(make_backend: Build, changes: Any, name: str) -> None:
    """S-090: `__Host-` demands `Path=/`, and a host may have several services."""
    backend = make_backend(**changes)
    backend.create_user("ada", "member")
    client = backend.client()
    client.environ_base |= {"HTTP_X_AUTH_DELIVERY": "cookie", "HTTP_SEC_FETCH_SITE": "same-origin"}
    line = sign_in(client, "ada").headers["Set-Cookie"]
    assert (line.partition("=")[0], "; Path=/;" in line) == (name, True)


def test_cookie_of_the_path_refreshes(backend: Backend, arriving: str) -> None:
    """As it would without a path."""
    backend.create_user("ada", "member")
    client = backend.client()
    client.environ_base |= {"HTTP_X_AUTH_DELIVERY": "cookie", "HTTP_SEC_FETCH_SITE": "same-origin"}
    assert sign_in(client, "ada").status_code == 200
    assert client.post(f"{arriving}/auth/refresh", json={}).status_code == 200


@pytest.mark.parametrize("path", ["/auth/nothing", "/oauth/nothing", "/me/password"])
def test_tokens_are_not_stored(get: Callable[..., TestResponse], path: str) -> None:
    """S-070: the edge knows its addresses by what is left of the path."""
    assert get(path).headers["Pragma"] == "no-cache"


@pytest.mark.parametrize(
    ("path", "credentials"), [("/auth/login", "true"), ("/me/password", "true"), ("/items", None)]
)
def test_credentials_go_where_they_go_without_a_path(
    get: Callable[..., TestResponse], path: str, credentials: str | None
) -> None:
    """S-093: to the sign-in pages alone."""
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


def raw(client: FlaskClient, path: str) -> TestResponse:
    """Ask for a path as a server hands it over, without the client putting it in order."""
    return client.get("/", environ_overrides={"PATH_INFO": unquote(path)})


@pytest.mark.parametrize("path", SPELLINGS)
def test_no_other_spelling_leads_anywhere(backend: Backend, path: str) -> None:
    """S-006: the path is taken off once, at the beginning, letter by letter."""
    assert raw(backend.signed_in_client("ada", "member"), path).status_code == 404


@pytest.mark.parametrize("path", FOLDED)
def test_few_spellings_lead_to_one_rule(backend: Backend, path: str) -> None:
    """S-006: with the path and without it, and slashes as everywhere."""
    assert raw(backend.client(), path).get_json()["code"] == "token_missing"
    assert raw(backend.signed_in_client("ada", "member"), path).status_code == 200


PIECES = ["/", "//", "api", "API", "items", "me", ".", "..", "%2f", "%2e", ";", "%00", "auth", "~"]


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(PIECES), max_size=8).map("".join))
def test_no_made_up_address_opens_anything(backend: Backend, path: str) -> None:
    """S-006: anonymous callers meet the gate or nothing, and cause no 5xx."""
    assert raw(backend.client(), f"/{path}").status_code in {401, 404, 405}


@pytest.mark.parametrize("name", ["X-Forwarded-Prefix", "X-Script-Name", "X-Forwarded-Path"])
def test_nobody_tells_another_path(get: Callable[..., TestResponse], name: str) -> None:
    """S-007: it is that of the public address."""
    page = text(get("/console", headers={name: "/evil"}))
    assert "evil" not in page


@pytest.mark.parametrize("inner", ["/api/items", "/items"])
def test_a_server_may_mount_the_service_itself(backend: Backend, inner: str) -> None:
    """PEP 3333: it sets SCRIPT_NAME; then nothing more is taken off."""
    outer = Flask("outer")
    mounted = Client(DispatcherMiddleware(outer.wsgi_app, {"/api": backend.app.wsgi_app}))
    answer = mounted.get(f"/api{inner}")
    assert answer.status_code == (404 if inner.startswith("/api") else 401)


@pytest.mark.parametrize("path", ["/auth", "/items", "/docs/explore", "/.well-known"])
def test_our_own_addresses_are_no_path(make_backend: Build, path: str) -> None:
    """Nobody could tell whether a proxy took it off."""
    with pytest.raises(SettingsError, match=rf"PUBLIC_URL ends with {path}, where .* another path"):
        make_backend(public_url=f"https://host.example{path}")


def test_addresses_of_own_pages_are_no_path(make_backend: Build) -> None:
    """Those of others neither."""
    page = Blueprint("shop", __name__, url_prefix="/shop")

    @page.get("/cart")
    @public("a test")
    def show_cart() -> object:
        return {}

    with pytest.raises(SettingsError, match="PUBLIC_URL ends with /shop"):
        make_backend(page, public_url="https://host.example/shop")


@pytest.mark.parametrize("path", ["/item", "/itemsapi", "/au", "/api/items"])
def test_a_path_that_only_looks_like_ours_is_one(make_backend: Build, path: str) -> None:
    """Segment by segment."""
    client: FlaskClient = make_backend(public_url=f"https://host.example{path}").client()
    assert client.get(f"{path}/items").status_code == 401
