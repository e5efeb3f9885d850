"""Hostile headers: malformed credentials, tokens in other places, claims of an identity."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from itemsapi import Blueprint, public
from itemsapi.observability.context import request_context
from support.app_factory import Backend
from support.forged_tokens import ACCEPTED, REJECTED, TOKEN_MISSING, TokenForger
from support.log_records import LogRecords

LOOSE = settings(
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
LATIN = st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f")


@pytest.mark.parametrize(
    "form", ["bearer {}", "BEARER {}", "bEaReR {}", "Bearer  {}", "Bearer    {}"]
)
def test_the_bearer_scheme_is_parsed_as_in_the_rfc(forge: TokenForger, form: str) -> None:
    """Case-insensitive, followed by one or more spaces (RFC 9110 section 11.1, S-013)."""
    assert forge.try_authorization(form.format(forge.valid_token)) == ACCEPTED


@pytest.mark.parametrize(
    "form",
    [
        "Bearer",
        "Bearer ",
        "Bearer\t{}",
        "Bearer {} ",
        "Bearer {} {}",
        "Bearer {},",
        "Bearer {}, x",
        "Bearer {},Bearer {}",
        "Bearer {}, Bearer {}",
        "Bearer {}, Basic eDp5",
        "Bearer  , {}",
        "Bearer ,{}",
        'Bearer "{}"',
        "Bearer token={}",
        "Bearer \xa0{}",
        "Bearer {}\xa0",
        "Bearer\x0b{}",
        "Bearer {}\x00",
        "bearer {};",
        "Bearer <{}>",
        "Bearer Bearer {}",
        "Bearer null",
    ],
)
def test_a_malformed_bearer_credential_is_an_invalid_token(forge: TokenForger, form: str) -> None:
    """Exactly one credential; duplicates arrive joined by a comma (S-008, S-011)."""
    assert forge.try_authorization(form.replace("{}", forge.valid_token)) == REJECTED


@pytest.mark.parametrize(
    "form",
    [
        "",
        " ",
        ",",
        ", ,",
        "Basic eDp5",
        "{}",
        "Token {}",
        "JWT {}",
        "Bearer:{}",
        "Bearer={}",
        "Bearers {}",
        "Basic eDp5, Bearer {}",
        "DPoP {}",
        "Negotiate {}",
        ", Bearer {}",
        "\xa0Bearer {}",
        "Digest username=x, Bearer {}",
        "Bear er {}",
        "Béarer {}",
        "Bearer{}",
    ],
)
def test_another_authorization_scheme_is_no_credential(forge: TokenForger, form: str) -> None:
    """The challenge names no error (RFC 6750 3.1, S-008); FJE responded with 500 to `, ,`."""
    assert forge.try_authorization(form.replace("{}", forge.valid_token)) == TOKEN_MISSING


@LOOSE
@given(value=st.text(LATIN, max_size=60))
def test_any_other_authorization_header_gets_401(forge: TokenForger, value: str) -> None:
    """Never 5xx, never access (S-014)."""
    assert forge.try_authorization(value) in {TOKEN_MISSING, REJECTED}
    assert forge.try_authorization(f"Bearer {value}") in {TOKEN_MISSING, REJECTED}


def test_two_authorization_headers_are_rejected(forge: TokenForger) -> None:
    """Even with the same valid token in both (S-011)."""
    twice = [("Authorization", f"Bearer {forge.valid_token}")] * 2
    assert forge.client().get("/vault", headers=twice).status_code == 401


ELSEWHERE: dict[str, Callable[[str], dict[str, Any]]] = {
    "query": lambda t: {"query_string": {"access_token": t}},
    "query, other names": lambda t: {"query_string": {"token": t, "jwt": t, "bearer_token": t}},
    "form": lambda t: {"method": "POST", "data": {"access_token": t}},
    "JSON": lambda t: {"method": "POST", "json": {"access_token": t}},
    "cookie of Flask-JWT-Extended": lambda t: {"headers": {"Cookie": f"access_token_cookie={t}"}},
    "cookies": lambda t: {"headers": {"Cookie": f"access_token={t}; token={t}; Authorization={t}"}},
    "other headers": lambda t: {
        "headers": dict.fromkeys(
            ("X-Authorization", "Proxy-Authorization", "X-Access-Token"), f"Bearer {t}"
        )
    },
    "names with underscores": lambda t: {"headers": {"X_Authorization": f"Bearer {t}"}},
}


@pytest.mark.parametrize("place", ELSEWHERE)
def test_a_token_in_another_place_is_ignored(forge: TokenForger, place: str) -> None:
    """Only the Authorization header is read (S-012, RFC 9700 section 4.3.2)."""
    before = forge.vault.calls
    response = forge.client().open("/vault", **ELSEWHERE[place](forge.valid_token))
    assert (response.status_code, response.get_json()["code"]) == (401, "token_missing")
    assert forge.vault.calls == before


def test_the_refresh_cookie_is_no_credential_for_an_endpoint(forge: TokenForger) -> None:
    """It is for refresh and logout only (S-094)."""
    cookies = "; ".join(
        f"{n}={forge.login['refresh_token']}" for n in ("__Host-refresh", "refresh")
    )
    response = forge.client().get(
        "/vault", headers={"Cookie": cookies, "X-Auth-Delivery": "cookie"}
    )
    assert response.status_code == 401


IDENTITY = [
    "X-User-Id",
    "X-User",
    "X-Forwarded-User",
    "X-Remote-User",
    "Remote-User",
    "X-Auth-User",
    "X-Authenticated-User",
    "X-Scopes",
    "X-Roles",
    "X-Admin",
    "X-Client-Cert",
    "SSL-Client-Verify",
    "X-Internal",
    "X-Amzn-Oidc-Data",
]
REWRITE = [
    "X-Original-URL",
    "X-Rewrite-URL",
    "X-Original-URI",
    "X-Override-URL",
    "X-Forwarded-Prefix",
    "X-Script-Name",
    "X-Forwarded-Path",
    "Path-Info",
    "X-HTTP-Path-Override",
]
METHOD = ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "_method")


@pytest.mark.parametrize("name", IDENTITY)
def test_headers_that_claim_an_identity_are_ignored(forge: TokenForger, name: str) -> None:
    """Only a token identifies a user (S-007)."""
    response = forge.client().get("/vault", headers={name: "forger"})
    assert response.get_json()["code"] == "token_missing"


@pytest.mark.parametrize("name", REWRITE)
def test_headers_that_rewrite_the_path_are_ignored(forge: TokenForger, name: str) -> None:
    """The rule is that of the path in the request line (S-007)."""
    assert forge.client().get("/vault", headers={name: "/hall"}).status_code == 401
    assert forge.client().get("/hall", headers={name: "/vault"}).status_code == 200


@pytest.mark.parametrize("name", METHOD)
def test_headers_that_change_the_method_are_ignored(forge: TokenForger, name: str) -> None:
    """The rule is that of the method in the request line (S-007)."""
    opened = forge.vault.calls
    response = forge.client().post("/hall", headers={name: "GET"})
    assert (response.status_code, forge.vault.calls) == (405, opened)


def context_blueprint() -> Blueprint:
    """Return a blueprint that shows the client address of a request."""
    blueprint = Blueprint("whence", __name__)

    @blueprint.get("/whence")
    @public("a test")
    def tell() -> dict[str, str]:
        return {"address": request_context().address}

    return blueprint


FORWARDED = "198.51.100.7, 192.0.2.1, 192.0.2.2"


def seen_address(
    make_backend: Callable[..., Backend], forwarded: object, *, hops: int | None
) -> object:
    """Return the client address of a request, with so many proxies and these headers."""
    backend = make_backend(context_blueprint(), trusted_proxies=hops)
    lines = [forwarded] if isinstance(forwarded, str) else forwarded
    headers = [("X-Forwarded-For", line) for line in lines]  # type: ignore[attr-defined]  # a list
    return backend.client().get("/whence", headers=headers).get_json()["address"]


sqlite = pytest.mark.dialect("sqlite")


@sqlite
@pytest.mark.parametrize(
    ("hops", "expected"),
    [
        (0, "127.0.0.1"),
        (None, "127.0.0.1"),
        (1, "192.0.2.2"),
        (2, "192.0.2.1"),
        (3, "198.51.100.7"),
        (4, "unknown"),
    ],
)
def test_forwarded_addresses_are_read_from_configured_proxies_only(
    make_backend: Callable[..., Backend], hops: int | None, expected: str
) -> None:
    """From none by default; what a client adds in front is ignored (S-007)."""
    assert seen_address(make_backend, FORWARDED, hops=hops) == expected


@sqlite
@pytest.mark.parametrize(
    ("forwarded", "expected"),
    [
        ("203.0.113.9:1002", "203.0.113.9"),
        ("[2001:db8::5]:443", "2001:db8::5"),
        ("[2001:db8::5]", "2001:db8::5"),
        ("fe80::1%eth0", "fe80::1"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("unknown", "unknown"),
        ("_hidden", "unknown"),
        ("", "unknown"),
        ("203.0.113.9,", "unknown"),
        ((), "unknown"),
    ],
)
def test_a_forwarded_address_has_one_spelling(
    make_backend: Callable[..., Backend], forwarded: object, expected: str
) -> None:
    """It is normalized first, so that audit, sessions and limits agree (S-114)."""
    assert seen_address(make_backend, forwarded, hops=1) == expected


@sqlite
@pytest.mark.parametrize(("path", "warnings"), [("/health/ready", 0), ("/items", 1)])
def test_an_unknown_address_is_logged_unless_it_is_a_health_check(
    make_backend: Callable[..., Backend], log_records: LogRecords, path: str, warnings: int
) -> None:
    """Those come from beside the process, and the one warning is for the proxy."""
    make_backend(trusted_proxies=1).client().get(path)
    assert "\n".join(log_records.lines()).count("client_address_unknown") == warnings


FORGED = [
    ["192.0.2.66", "203.0.113.9, 10.0.0.1"],
    ['192.0.2.66, "', "203.0.113.9, 10.0.0.1"],
    ['192.0.2.66, "x', "203.0.113.9, 10.0.0.1"],
    ['192.0.2.66, "\\', "203.0.113.9, 10.0.0.1"],
    ["192.0.2.66,", "203.0.113.9, 10.0.0.1"],
    [",", "203.0.113.9", "10.0.0.1"],
    ["192.0.2.66\t", "203.0.113.9 ,10.0.0.1"],
    ["for=192.0.2.66;by=x", "203.0.113.9:1, [::ffff:10.0.0.1]:2"],
]


@sqlite
@pytest.mark.parametrize("lines", FORGED)
def test_a_client_cannot_hide_what_proxies_append(
    make_backend: Callable[..., Backend], lines: list[str]
) -> None:
    """By a quote above all: some parsers take the rest for one value (S-007, S-114)."""
    assert seen_address(make_backend, lines, hops=2) == "203.0.113.9"


@sqlite
@pytest.mark.parametrize("hops", [0, 1])
@pytest.mark.parametrize(
    "name", ["Forwarded", "X-Real-IP", "X-Client-IP", "True-Client-IP", "CF-Connecting-IP"]
)
def test_other_address_headers_are_ignored(
    make_backend: Callable[..., Backend], name: str, hops: int
) -> None:
    """Proxies pass on headers that they do not know (S-007)."""
    backend = make_backend(context_blueprint(), trusted_proxies=hops)
    headers = {name: "for=192.0.2.66", "X-Forwarded-For": "127.0.0.1"}
    assert backend.client().get("/whence", headers=headers).get_json()["address"] == "127.0.0.1"


@sqlite
@pytest.mark.parametrize("forwarded", ["http", "https", "https, http", "javascript", ""])
@pytest.mark.parametrize("name", ["X-Forwarded-Proto", "X-Forwarded-Scheme", "Forwarded"])
@pytest.mark.parametrize("url", ["http://localhost:8000", "https://api.example"])
def test_the_scheme_is_that_of_the_public_url(
    make_backend: Callable[..., Backend], url: str, name: str, forwarded: str
) -> None:
    """Whatever a forwarded header says (S-007)."""
    backend = make_backend(context_blueprint(), trusted_proxies=1, public_url=url)
    headers = backend.client().get("/whence", headers={name: forwarded}).headers
    assert ("Strict-Transport-Security" in headers) == url.startswith("https")


def test_an_error_contains_nothing_of_the_token(forge: TokenForger) -> None:
    """No part of it, no library's message: one response for every fault (S-100)."""
    tokens = [
        "x",
        "a.b.c",
        forge.valid_token[:-2],
        forge.with_header(kid="k" * 20),
        forge.with_claims(sub=1),
    ]
    responses = [forge.backend.bearer_client(token).get("/vault").get_json() for token in tokens]
    assert len({json.dumps(a | {"request_id": ""}, sort_keys=True) for a in responses}) == 1
