"""Cookies of other applications, with any bytes, sign nobody out (S-116)."""

from collections.abc import Callable

import flask
import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from itemsapi import public
from itemsapi.endpoints.token_response import COOKIE_NAME
from support.app_factory import Backend
from support.browser_client import (
    cookieless_client,
    make_browser,
    refresh_cookie,
    sign_in,
    signed_in_browser,
)

pytestmark = pytest.mark.dialect("sqlite")  # cookies do not depend on the database

FOREIGN = {
    "UTF-8": "name=Zoë; 名前=値".encode(),
    "Latin-1": "name=Zoë".encode("latin-1"),
    "every byte": b"x=" + bytes(byte for byte in range(1, 256) if byte not in b";\r\n"),
    "cut UTF-8": "名".encode()[:2] + b"=" + "値".encode()[1:],
    "quotes": b'x="a b"; y="a\\"b"',
    "an open quote": b'x="a; y=b',
    "a stray quote": b'x=a"; "y=b',
    "equal signs": b"==; x==y=; =; z",
    "no name": b"=value; ; ;",
    "ours in another's value": b"x=" + COOKIE_NAME.encode() + b"=forged",
    "a longer name": b"x"
    + COOKIE_NAME.encode()
    + b"=forged; "
    + COOKIE_NAME.encode()
    + b"2=forged",
    "a name behind a space of Latin-1": b"\xa0" + COOKIE_NAME.encode() + b"=forged",
    "a name behind a space of Unicode": "\u2003".encode() + COOKIE_NAME.encode() + b"=forged",
}


@pytest.fixture
def our_cookie(backend: Backend) -> bytes:
    """The cookie of a browser in which ada is signed in."""
    return f"{COOKIE_NAME}={refresh_cookie(signed_in_browser(backend, 'ada'))}".encode()


def send_cookies(client: FlaskClient, header: bytes, path: str = "/auth/refresh") -> TestResponse:
    """Send cookies as bytes, which a server passes on as Latin-1 (PEP 3333)."""
    environ = {"HTTP_COOKIE": header.decode("latin-1")}
    return client.post(path, json={}, environ_overrides=environ)


@pytest.mark.parametrize("foreign", FOREIGN)
@pytest.mark.parametrize("order", ["before", "behind", "around"])
def test_our_cookie_is_found_among_others(
    backend: Backend, our_cookie: bytes, foreign: str, order: str
) -> None:
    """Whatever comes before or after it."""
    other = FOREIGN[foreign]
    header = {
        "before": [other, our_cookie],
        "behind": [our_cookie, other],
        "around": [other, our_cookie, other],
    }
    response = send_cookies(make_browser(backend, jar=False), b"; ".join(header[order]))
    assert response.status_code == 200


def test_a_plugin_gets_its_own_cookie_among_others(make_backend: Callable[..., Backend]) -> None:
    """The bytes of other cookies cause no error there."""
    blueprint = flask.Blueprint("taste", __name__)
    blueprint.get("/taste")(public("a test")(lambda: {"taste": flask.request.cookies["taste"]}))
    client = cookieless_client(make_backend(blueprint))
    for foreign in FOREIGN.values():
        environ = {"HTTP_COOKIE": (foreign + b"; taste=sweet").decode("latin-1")}
        response = client.get("/taste", environ_overrides=environ)
        assert response.get_json() == {"taste": "sweet"}


@pytest.mark.parametrize("foreign", FOREIGN)
def test_other_cookies_alone_are_no_credential(backend: Backend, foreign: str) -> None:
    """401: there is no refresh token."""
    response = send_cookies(make_browser(backend, jar=False), FOREIGN[foreign])
    assert (response.status_code, response.get_json()["code"]) == (401, "token_missing")


@pytest.mark.parametrize("path", ["/auth/refresh", "/auth/logout"])
@pytest.mark.parametrize("header", [b"", b" "])
def test_an_unreadable_cookie_header_ends_no_session(
    backend: Backend, path: str, header: bytes
) -> None:
    """Not 401, which would tell the browser that the session has ended."""
    response = send_cookies(make_browser(backend, jar=False), header, path)
    assert (response.status_code, response.get_json()["code"]) == (400, "cookies_unreadable")


def test_a_request_without_cookies_has_no_credential(backend: Backend) -> None:
    """The response is 401."""
    response = make_browser(backend, jar=False).post("/auth/refresh", json={})
    assert (response.status_code, response.get_json()["code"]) == (401, "token_missing")


def test_unreadable_cookies_are_ignored_when_the_token_is_in_the_body(backend: Backend) -> None:
    """A program sends its refresh token there."""
    backend.create_user("eve", "member")
    token = backend.login("eve")["refresh_token"]
    body, environ = {"refresh_token": token}, {"HTTP_COOKIE": ""}
    response = cookieless_client(backend).post(
        "/auth/refresh", json=body, environ_overrides=environ
    )
    assert response.status_code == 200


def test_unreadable_cookies_are_ignored_at_sign_in(backend: Backend) -> None:
    """It uses no cookie."""
    backend.create_user("eve", "member")
    client = make_browser(backend, jar=False)
    client.environ_base["HTTP_COOKIE"] = "\xff=\xff"
    assert sign_in(client, "eve").status_code == 200
