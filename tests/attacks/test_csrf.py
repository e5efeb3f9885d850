"""Cross-site request forgery: a hostile page makes the browser send its cookie."""

from collections.abc import Callable, Iterator
from itertools import product
from json import dumps

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from itemsapi.testing import PASSWORD
from support.app_factory import Backend
from support.browser_client import (
    APP_ORIGIN,
    FAR_ORIGIN,
    OWN_ORIGIN,
    cookie_header,
    cookieless_client,
    refresh_cookie,
    signed_in_browser,
)

pytestmark = pytest.mark.dialect("sqlite")  # what a page may do does not depend on the database

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
GOOD = {OWN_ORIGIN, APP_ORIGIN, FAR_ORIGIN}
ORIGINS = [None, *sorted(GOOD), "null", "https://evil.example", "https://app.example:8443"]
SITES = [None, "same-origin", "same-site", "cross-site", "none", "same-origin, cross-site"]
Case = tuple[str | None, str | None, str | None]
PATHS = ["/auth/login", "/auth/refresh", "/auth/logout"]
MATRIX = list(product(TYPES, ORIGINS, SITES))


@pytest.fixture
def backend(make_backend: Build) -> Backend:
    """A backend with two listed origins, one of them on another site."""
    return make_backend(allowed_origins=(APP_ORIGIN, FAR_ORIGIN), cross_site_origins=(FAR_ORIGIN,))


@pytest.fixture
def victim(backend: Backend) -> FlaskClient:
    """A browser with a signed-in user."""
    return signed_in_browser(backend, "victim")


def headers(case: Case, cookie: str, delivery: str | None = "cookie") -> dict[str, str]:
    """Return the headers that a browser sends in one case of the matrix."""
    names = ("Content-Type", "Origin", "Sec-Fetch-Site")
    sent_headers = {
        name: value for name, value in zip(names, case, strict=True) if value is not None
    }
    delivery_header = {"X-Auth-Delivery": delivery} if delivery else {}
    return sent_headers | delivery_header | cookie_header(cookie)


def is_allowed(case: Case) -> bool:
    """Return whether a request may use the cookie, independently of the implementation."""
    content_type, origin, site = case
    if content_type not in JSON:
        return False
    if site == "same-origin":
        return True
    if site == "cross-site":
        return origin == FAR_ORIGIN
    return site in {None, "same-site"} and origin in GOOD


def send_attacks(
    backend: Backend, victim: FlaskClient, path: str
) -> Iterator[tuple[Case, TestResponse]]:
    """Send every forbidden case of the matrix with the victim's cookie."""
    client, cookie = cookieless_client(backend), str(refresh_cookie(victim))
    body = {"username": "victim", "password": PASSWORD} if path == "/auth/login" else {}
    for case in MATRIX:
        if not is_allowed(case):
            yield case, client.post(path, data=dumps(body), headers=headers(case, cookie))


@pytest.mark.parametrize("path", PATHS)
def test_every_forbidden_request_is_rejected(
    backend: Backend, victim: FlaskClient, path: str
) -> None:
    """S-091: content type x Origin x Sec-Fetch-Site; 415 for what a form can send, else 403."""
    for case, response in send_attacks(backend, victim, path):
        expected = (403, "csrf") if case[0] in JSON else (415, "unsupported_media_type")
        assert (response.status_code, response.get_json()["code"]) == expected, case
        assert "Set-Cookie" not in response.headers, case


@pytest.mark.parametrize("path", PATHS)
def test_a_rejected_forgery_does_not_sign_out(
    backend: Backend, victim: FlaskClient, path: str
) -> None:
    """It neither clears the cookie nor ends the session."""
    cookie = refresh_cookie(victim)
    assert len(list(send_attacks(backend, victim, path))) > 250
    assert victim.post("/auth/refresh", json={}).status_code == 200
    assert refresh_cookie(victim) != cookie


def test_every_allowed_request_is_served(backend: Backend, victim: FlaskClient) -> None:
    """Own, listed and same-origin pages get their tokens."""
    client, cookie = cookieless_client(backend), str(refresh_cookie(victim))
    cases = [case for case in MATRIX if is_allowed(case)]
    sent = [client.post("/auth/refresh", data="{}", headers=headers(c, cookie)) for c in cases]
    assert len(cases) > 15
    assert {response.status_code for response in sent} == {200}


@pytest.mark.parametrize("path", ["/auth/refresh", "/auth/logout"])
@pytest.mark.parametrize("delivery", [None, "body"])
def test_the_cookie_is_ignored_without_the_delivery_header(
    backend: Backend, victim: FlaskClient, path: str, delivery: str | None
) -> None:
    """S-091: the header forces a preflight; without it no case of the matrix has an effect."""
    client, cookie = cookieless_client(backend), str(refresh_cookie(victim))
    for case in MATRIX:
        response = client.post(path, data="{}", headers=headers(case, cookie, delivery))
        assert response.status_code in {401, 415}, case
    assert victim.post("/auth/refresh", json={}).status_code == 200


def test_a_request_is_rejected_when_it_has_no_body(backend: Backend, victim: FlaskClient) -> None:
    """S-091: navigator.sendBeacon and posts without a body declare no JSON."""
    response = victim.post("/auth/logout")
    assert response.status_code == 415
    assert victim.post("/auth/refresh", json={}).status_code == 200


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE"])
@pytest.mark.parametrize("path", PATHS)
def test_a_get_request_changes_nothing(victim: FlaskClient, method: str, path: str) -> None:
    """S-092: an image or a link signs nobody out."""
    response = victim.open(path, method=method, json={})
    assert response.status_code in {204, 405}
    assert victim.post("/auth/refresh", json={}).status_code == 200


@pytest.mark.parametrize("mode", ["navigate", "no-cors", "cors", "websocket"])
@pytest.mark.parametrize("to", ["image", "script", "document", "iframe", "empty"])
@pytest.mark.parametrize("path", ["/auth/sessions", "/items", "/me"])
def test_the_cookie_is_no_credential_for_a_subresource(
    backend: Backend, victim: FlaskClient, mode: str, to: str, path: str
) -> None:
    """S-094, S-141: it authenticates only refresh and logout."""
    fetch = {"Sec-Fetch-Mode": mode, "Sec-Fetch-Dest": to, "Sec-Fetch-Site": "same-origin"}
    response = cookieless_client(backend).get(
        path, headers=fetch | cookie_header(str(refresh_cookie(victim)))
    )
    assert response.get_json()["code"] == "token_missing"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("path", ["/auth/sessions", "/items"])
def test_the_cookie_is_no_credential_for_a_write(
    backend: Backend, victim: FlaskClient, method: str, path: str
) -> None:
    """S-094: even with the delivery header."""
    response = victim.open(path, method=method, json={})
    assert response.status_code in {401, 405}
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
def test_our_own_origin_is_compared_as_browsers_write_it(
    make_backend: Build, public_url: str, origin: str
) -> None:
    """Older browsers send Origin and no Fetch Metadata (RFC 6454 section 6.2)."""
    own = make_backend(public_url=public_url)
    own.create_user("ada")
    body = {"username": "ada", "password": PASSWORD}
    sent_headers = {"X-Auth-Delivery": "cookie", "Origin": origin}
    assert (
        cookieless_client(own).post("/auth/login", json=body, headers=sent_headers).status_code
        == 200
    )
