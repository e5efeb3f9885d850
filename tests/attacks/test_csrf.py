"""Cross-site request forgery: a hostile page makes the browser send its cookie."""

from collections.abc import Callable, Iterator
from itertools import product
from json import dumps

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from support.app_factory import PASSWORD, Backend
from support.browser_client import (
    APP_ORIGIN,
    OWN_ORIGIN,
    cookie_header,
    cookieless_client,
    refresh_cookie,
    signed_in_browser,
)

Build = Callable[..., Backend]

JSON = {"application/json", "application/json; charset=utf-8"}
TYPES = [
    None,
    "text/plain",
    "text/plain; application/json",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/json-seq",
    *sorted(JSON),
]
GOOD = {OWN_ORIGIN, APP_ORIGIN}
ORIGINS = [None, *sorted(GOOD), "null", "https://evil.example", "https://app.example:8443"]
SITES = [None, "same-origin", "same-site", "cross-site", "none", "same-origin, cross-site"]
Case = tuple[str | None, str | None, str | None]
PATHS = ["/auth/login", "/auth/refresh", "/auth/logout"]
MATRIX = list(product(TYPES, ORIGINS, SITES))


@pytest.fixture
def dialect() -> str:
    """What a page may do does not depend on the database."""
    return "sqlite"


@pytest.fixture
def backend(make_backend: Build) -> Backend:
    """A backend with one listed origin."""
    return make_backend(allowed_origins=(APP_ORIGIN,))


@pytest.fixture
def victim(backend: Backend) -> FlaskClient:
    """A browser in which somebody is signed in."""
    return signed_in_browser(backend, "victim")


def headers(case: Case, cookie: str, delivery: str | None = "cookie") -> dict[str, str]:
    """Return the headers that a browser sends in one case of the matrix."""
    names = ("Content-Type", "Origin", "Sec-Fetch-Site")
    said = {name: value for name, value in zip(names, case, strict=True) if value is not None}
    asked = {"X-Auth-Delivery": delivery} if delivery else {}
    return said | asked | cookie_header(cookie)


def welcome(case: Case) -> bool:
    """Tell whether a request may use the cookie, in words of the design's own."""
    content_type, origin, site = case
    if content_type not in JSON:
        return False
    if site == "same-origin":
        return True
    return site in {None, "same-site", "cross-site"} and origin in GOOD


def attacks(
    backend: Backend, victim: FlaskClient, path: str
) -> Iterator[tuple[Case, TestResponse]]:
    """Send every unwelcome case of the matrix, with the victim's cookie."""
    client, cookie = cookieless_client(backend), str(refresh_cookie(victim))
    body = {"username": "victim", "password": PASSWORD} if path == "/auth/login" else {}
    for case in MATRIX:
        if not welcome(case):
            yield case, client.post(path, data=dumps(body), headers=headers(case, cookie))


@pytest.mark.parametrize("path", PATHS)
def test_every_unwelcome_request_is_refused(
    backend: Backend, victim: FlaskClient, path: str
) -> None:
    """S-091: content type x Origin x Sec-Fetch-Site; 415 for what a form can send, 403 else."""
    for case, answer in attacks(backend, victim, path):
        wanted = (403, "csrf") if case[0] in JSON else (415, "unsupported_media_type")
        assert (answer.status_code, answer.get_json()["code"]) == wanted, case
        assert "Set-Cookie" not in answer.headers, case


@pytest.mark.parametrize("path", PATHS)
def test_a_refused_forgery_does_not_sign_out(
    backend: Backend, victim: FlaskClient, path: str
) -> None:
    """It neither clears the cookie nor ends the session."""
    cookie = refresh_cookie(victim)
    assert len(list(attacks(backend, victim, path))) > 250
    assert victim.post("/auth/refresh", json={}).status_code == 200
    assert refresh_cookie(victim) != cookie


def test_every_welcome_request_is_served(backend: Backend, victim: FlaskClient) -> None:
    """The matrix is no wall: own, listed and same-origin pages get their tokens."""
    client, cookie = cookieless_client(backend), str(refresh_cookie(victim))
    cases = [case for case in MATRIX if welcome(case)]
    sent = [client.post("/auth/refresh", data="{}", headers=headers(c, cookie)) for c in cases]
    assert len(cases) > 15
    assert {answer.status_code for answer in sent} == {200}


@pytest.mark.parametrize("path", ["/auth/refresh", "/auth/logout"])
@pytest.mark.parametrize("delivery", [None, "body"])
def test_the_cookie_counts_for_nothing_without_the_header(
    backend: Backend, victim: FlaskClient, path: str, delivery: str | None
) -> None:
    """S-091: the header forces a preflight; no case of the matrix does anything without it."""
    client, cookie = cookieless_client(backend), str(refresh_cookie(victim))
    for case in MATRIX:
        answer = client.post(path, data="{}", headers=headers(case, cookie, delivery))
        assert answer.status_code in {401, 415}, case
    assert victim.post("/auth/refresh", json={}).status_code == 200


def test_a_request_without_a_body_is_refused(backend: Backend, victim: FlaskClient) -> None:
    """S-091: navigator.sendBeacon and body-less posts declare no JSON."""
    answer = victim.post("/auth/logout")
    assert answer.status_code == 415
    assert victim.post("/auth/refresh", json={}).status_code == 200


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE"])
@pytest.mark.parametrize("path", PATHS)
def test_nothing_changes_unless_it_is_posted(victim: FlaskClient, method: str, path: str) -> None:
    """S-092: an image or a link signs nobody out."""
    answer = victim.open(path, method=method, json={})
    assert answer.status_code in {204, 405}
    assert victim.post("/auth/refresh", json={}).status_code == 200


@pytest.mark.parametrize("mode", ["navigate", "no-cors", "cors", "websocket"])
@pytest.mark.parametrize("to", ["image", "script", "document", "iframe", "empty"])
@pytest.mark.parametrize("path", ["/auth/sessions", "/items", "/me"])
def test_no_way_to_load_something_makes_the_cookie_a_credential(
    backend: Backend, victim: FlaskClient, mode: str, to: str, path: str
) -> None:
    """S-094, S-141: the cookie authenticates nothing but refresh and logout."""
    fetch = {"Sec-Fetch-Mode": mode, "Sec-Fetch-Dest": to, "Sec-Fetch-Site": "same-origin"}
    answer = cookieless_client(backend).get(
        path, headers=fetch | cookie_header(str(refresh_cookie(victim)))
    )
    assert answer.get_json()["code"] == "token_missing"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("path", ["/auth/sessions", "/items"])
def test_the_cookie_writes_nothing(
    backend: Backend, victim: FlaskClient, method: str, path: str
) -> None:
    """S-094: with cookie delivery asked for and all."""
    answer = victim.open(path, method=method, json={})
    assert answer.status_code in {401, 405}
    assert victim.post("/auth/refresh", json={}).status_code == 200


@pytest.mark.parametrize(
    ("public_url", "origin"),
    [
        ("https://API.Example", "https://api.example"),
        ("https://api.example:443", "https://api.example"),
        ("http://localhost:80", "http://localhost"),
        ("https://api.example:8443/v1", "https://api.example:8443"),
        ("http://[::1]:8000", "http://[::1]:8000"),
    ],
)
def test_the_own_origin_is_known_as_browsers_spell_it(
    make_backend: Build, public_url: str, origin: str
) -> None:
    """Older browsers send Origin and no Fetch Metadata (RFC 6454 section 6.2)."""
    own = make_backend(public_url=public_url)
    own.create_user("ada")
    body = {"username": "ada", "password": PASSWORD}
    said = {"X-Auth-Delivery": "cookie", "Origin": origin}
    assert cookieless_client(own).post("/auth/login", json=body, headers=said).status_code == 200
