"""Cookies of somebody else, whatever their bytes, sign nobody out (S-116)."""

from collections.abc import Callable

import flask
import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from itemsapi import public
from itemsapi.rest.cookies import NAME
from support.app_factory import Backend
from support.browser_client import (
    cookieless_client,
    make_browser,
    refresh_cookie,
    sign_in,
    signed_in_browser,
)

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
    "ours in another's value": b"x=" + NAME.encode() + b"=forged",
    "a longer name": b"x" + NAME.encode() + b"=forged; " + NAME.encode() + b"2=forged",
    "a name behind a space of Latin-1": b"\xa0" + NAME.encode() + b"=forged",
    "a name behind a space of Unicode": "\u2003".encode() + NAME.encode() + b"=forged",
}


@pytest.fixture
def dialect() -> str:
    """Cookies do not depend on the database."""
    return "sqlite"


@pytest.fixture
def ours(backend: Backend) -> bytes:
    """The cookie of a browser in which ada is signed in."""
    return f"{NAME}={refresh_cookie(signed_in_browser(backend, 'ada'))}".encode()


def sent(client: FlaskClient, header: bytes, path: str = "/auth/refresh") -> TestResponse:
    """Send cookies as bytes, which a server hands over as Latin-1 (PEP 3333)."""
    environ = {"HTTP_COOKIE": header.decode("latin-1")}
    return client.post(path, json={}, environ_overrides=environ)


@pytest.mark.parametrize("foreign", FOREIGN)
@pytest.mark.parametrize("order", ["before", "behind", "around"])
def test_ours_is_found_among_others(
    backend: Backend, ours: bytes, foreign: str, order: str
) -> None:
    """Whatever stands before or behind it."""
    other = FOREIGN[foreign]
    header = {"before": [other, ours], "behind": [ours, other], "around": [other, ours, other]}
    answer = sent(make_browser(backend, jar=False), b"; ".join(header[order]))
    assert answer.status_code == 200


def test_a_page_is_handed_its_own_cookie_among_others(make_backend: Callable[..., Backend]) -> None:
    """A page of guests finds it, and no bytes of others are an error there."""
    page = flask.Blueprint("taste", __name__)
    page.get("/taste")(public("a test")(lambda: {"taste": flask.request.cookies["taste"]}))
    client = cookieless_client(make_backend(page))
    for foreign in FOREIGN.values():
        environ = {"HTTP_COOKIE": (foreign + b"; taste=sweet").decode("latin-1")}
        answer = client.get("/taste", environ_overrides=environ)
        assert answer.get_json() == {"taste": "sweet"}


@pytest.mark.parametrize("foreign", FOREIGN)
def test_others_alone_are_nobody(backend: Backend, foreign: str) -> None:
    """401: no refresh token came, and none was made of what came."""
    answer = sent(make_browser(backend, jar=False), FOREIGN[foreign])
    assert (answer.status_code, answer.get_json()["code"]) == (401, "token_missing")


@pytest.mark.parametrize("path", ["/auth/refresh", "/auth/logout"])
@pytest.mark.parametrize("header", [b"", b" "])
def test_a_header_that_the_server_could_not_read_ends_nothing(
    backend: Backend, path: str, header: bytes
) -> None:
    """Not 401, which would be the end of the session for the browser."""
    answer = sent(make_browser(backend, jar=False), header, path)
    assert (answer.status_code, answer.get_json()["code"]) == (400, "cookies_unreadable")


def test_who_sends_no_cookie_header_is_nobody(backend: Backend) -> None:
    """A guest is told so."""
    answer = make_browser(backend, jar=False).post("/auth/refresh", json={})
    assert (answer.status_code, answer.get_json()["code"]) == (401, "token_missing")


def test_a_program_does_not_mind_cookies_that_nobody_can_read(backend: Backend) -> None:
    """Its refresh token comes in the body."""
    backend.create_user("eve", "member")
    token = backend.login("eve")["refresh_token"]
    body, environ = {"refresh_token": token}, {"HTTP_COOKIE": ""}
    answer = cookieless_client(backend).post("/auth/refresh", json=body, environ_overrides=environ)
    assert answer.status_code == 200


def test_a_sign_in_goes_through_among_cookies_that_nobody_can_read(backend: Backend) -> None:
    """It needs none."""
    backend.create_user("eve", "member")
    client = make_browser(backend, jar=False)
    client.environ_base["HTTP_COOKIE"] = "\xff=\xff"
    assert sign_in(client, "eve").status_code == 200
