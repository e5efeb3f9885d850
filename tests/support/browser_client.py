"""A test client that behaves like a browser: cookies, Origin and Fetch Metadata."""

from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from itemsapi.endpoints.token_response import COOKIE_NAME
from itemsapi.testing import PASSWORD
from support.app_factory import Backend

OWN_ORIGIN = "http://localhost:8000"  # the public URL of a backend
APP_ORIGIN = "https://app.example"
FAR_ORIGIN = "https://far.example"

Attributes = dict[str, str | bool]


def make_browser(
    backend: Backend, *, origin: str = OWN_ORIGIN, site: str = "same-origin", jar: bool = True
) -> FlaskClient:
    """Return a browser with a page of `origin`, which asks for cookie delivery.

    With `jar=False` it keeps no cookies and sends only those that a test passes.
    """
    client = backend.client() if jar else cookieless_client(backend)
    client.environ_base["HTTP_X_AUTH_DELIVERY"] = "cookie"
    client.environ_base["HTTP_ORIGIN"] = origin
    client.environ_base["HTTP_SEC_FETCH_SITE"] = site
    return client


def cookieless_client(backend: Backend) -> FlaskClient:
    """Return a client that keeps no cookies and sends only those that a test passes."""
    backend.client()  # sets the client class
    return backend.app.test_client(use_cookies=False)


def sign_in(client: FlaskClient, name: str, **headers: str) -> TestResponse:
    """Sign a user in from a page."""
    body = {"username": name, "password": PASSWORD}
    return client.post("/auth/login", json=body, headers=headers)


def signed_in_browser(
    backend: Backend, name: str, *, origin: str = OWN_ORIGIN, site: str = "same-origin"
) -> FlaskClient:
    """Create a user and return a browser in which they are signed in."""
    backend.create_user(name, "member")
    client = make_browser(backend, origin=origin, site=site)
    assert sign_in(client, name).status_code == 200
    return client


def refresh_cookie(client: FlaskClient, name: str = COOKIE_NAME) -> str | None:
    """Return the refresh token in a browser's cookie."""
    cookie = client.get_cookie(name)
    return cookie.value if cookie else None


def cookie_header(*tokens: str, name: str = COOKIE_NAME) -> dict[str, str]:
    """Return the Cookie header with these refresh tokens."""
    return {"Cookie": "; ".join(f"{name}={token}" for token in tokens)}


def set_cookie_lines(response: TestResponse) -> list[str]:
    """Return the Set-Cookie headers of a response."""
    return response.headers.getlist("Set-Cookie")


def parse_set_cookie(line: str) -> tuple[str, Attributes]:
    """Return a cookie's name and attributes, without its value."""
    first, *rest = line.split("; ")
    attributes: dict[str, Any] = {}
    for part in rest:
        name, separator, value = part.partition("=")
        attributes[name] = value if separator else True
    return first.split("=")[0], attributes
