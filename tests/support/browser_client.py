"""A client that does what a browser does for a page: cookies, Origin and Fetch Metadata."""

from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from itemsapi.rest.cookies import NAME
from support.app_factory import PASSWORD, Backend

OWN_ORIGIN = "http://localhost:8000"  # the public URL of a backend
APP_ORIGIN = "https://app.example"
FAR_ORIGIN = "https://far.example"

Attributes = dict[str, str | bool]


def make_browser(
    backend: Backend, *, origin: str = OWN_ORIGIN, site: str = "same-origin", jar: bool = True
) -> FlaskClient:
    """Return a browser with a page of `origin` in it, which asks for cookie delivery.

    Without a jar it sends the cookies that a test gives, and keeps none.
    """
    client = backend.client() if jar else cookieless_client(backend)
    client.environ_base["HTTP_X_AUTH_DELIVERY"] = "cookie"
    client.environ_base["HTTP_ORIGIN"] = origin
    client.environ_base["HTTP_SEC_FETCH_SITE"] = site
    return client


def cookieless_client(backend: Backend) -> FlaskClient:
    """Return a client that sends the cookies that a test gives, and keeps none."""
    backend.client()  # sets the kind of client
    return backend.app.test_client(use_cookies=False)


def sign_in(client: FlaskClient, name: str, **headers: str) -> TestResponse:
    """Sign a user in from a page."""
    body = {"username": name, "password": PASSWORD}
    return client.post("/auth/login", json=body, headers=headers)


def signed_in_browser(
    backend: Backend, name: str, *, origin: str = OWN_ORIGIN, site: str = "same-origin"
) -> FlaskClient:
    """Make a user and return a browser in which they are signed in."""
    backend.create_user(name, "member")
    client = make_browser(backend, origin=origin, site=site)
    assert sign_in(client, name).status_code == 200
    return client


def refresh_cookie(client: FlaskClient, name: str = NAME) -> str | None:
    """Return the refresh token that a browser holds."""
    cookie = client.get_cookie(name)
    return cookie.value if cookie else None


def cookie_header(*tokens: str, name: str = NAME) -> dict[str, str]:
    """Return the Cookie header that carries these refresh tokens."""
    return {"Cookie": "; ".join(f"{name}={token}" for token in tokens)}


def set_cookie_lines(answer: TestResponse) -> list[str]:
    """Return the Set-Cookie lines of an answer."""
    return answer.headers.getlist("Set-Cookie")


def parse_set_cookie(line: str) -> tuple[str, Attributes]:
    """Return a cookie's name and its attributes, the value left aside."""
    first, *rest = line.split("; ")
    attributes: dict[str, Any] = {}
    for part in rest:
        name, given, value = part.partition("=")
        attributes[name] = value if given else True
    return first.split("=")[0], attributes
