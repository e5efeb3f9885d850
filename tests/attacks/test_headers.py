"""Headers that attack the gate: odd credentials, tokens elsewhere, claims of identity."""

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

LOOSE = settings(
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
LATIN = st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f")


@pytest.mark.parametrize(
    "form", ["bearer {}", "BEARER {}", "bEaReR {}", "Bearer  {}", "Bearer    {}"]
)
def test_the_scheme_is_read_as_the_rfc_says(forge: TokenForger, form: str) -> None:
    """Compared without case, parted by one or more spaces (RFC 9110 section 11.1, S-013)."""
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
    """One credential and nothing beside it; duplicates arrive joined by a comma (S-008, S-011)."""
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
def test_anything_else_is_no_credential(forge: TokenForger, form: str) -> None:
    """The challenge then names no error (RFC 6750 3.1, S-008); FJE answered 500 to `, ,`."""
    assert forge.try_authorization(form.replace("{}", forge.valid_token)) == TOKEN_MISSING


@LOOSE
@given(value=st.text(LATIN, max_size=60))
def test_any_authorization_header_is_answered_401(forge: TokenForger, value: str) -> None:
    """No 5xx, no way in (S-014)."""
    assert forge.try_authorization(value) in {TOKEN_MISSING, REJECTED}
    assert forge.try_authorization(f"Bearer {value}") in {TOKEN_MISSING, REJECTED}


def test_two_authorization_headers_are_refused(forge: TokenForger) -> None:
    """Even with the same good token in both (S-011)."""
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
def test_a_token_elsewhere_opens_nothing(forge: TokenForger, place: str) -> None:
    """Tokens are read from the Authorization header alone (S-012, RFC 9700 section 4.3.2)."""
    before = forge.vault.calls
    answer = forge.client().open("/vault", **ELSEWHERE[place](forge.valid_token))
    assert (answer.status_code, answer.get_json()["code"]) == (401, "token_missing")
    assert forge.vault.calls == before


def test_the_refresh_cookie_opens_no_endpoint(forge: TokenForger) -> None:
    """The cookie is for refresh and logout alone (S-094)."""
    cookies = "; ".join(
        f"{n}={forge.login['refresh_token']}" for n in ("__Host-refresh", "refresh")
    )
    answer = forge.client().get("/vault", headers={"Cookie": cookies, "X-Auth-Delivery": "cookie"})
    assert answer.status_code == 401


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
    """Only a token says who somebody is (S-007)."""
    answer = forge.client().get("/vault", headers={name: "forger"})
    assert answer.get_json()["code"] == "token_missing"


@pytest.mark.parametrize("name", REWRITE)
def test_headers_that_rewrite_the_address_are_ignored(forge: TokenForger, name: str) -> None:
    """The rule is that of the address in the request line (S-007)."""
    assert forge.client().get("/vault", headers={name: "/hall"}).status_code == 401
    assert forge.client().get("/hall", headers={name: "/vault"}).status_code == 200


@pytest.mark.parametrize("name", METHOD)
def test_headers_that_change_the_method_are_ignored(forge: TokenForger, name: str) -> None:
    """The rule is that of the method in the request line (S-007)."""
    opened = forge.vault.calls
    answer = forge.client().post("/hall", headers={name: "GET"})
    assert (answer.status_code, forge.vault.calls) == (405, opened)


def whence() -> Blueprint:
    """Make a page that tells where a request comes from."""
    page = Blueprint("whence", __name__)

    @page.get("/whence")
    @public("a test")
    def tell() -> dict[str, str]:
        return {"address": request_context().address}

    return page


TOLD = "198.51.100.7, 192.0.2.1, 192.0.2.2"


def address(make_backend: Callable[..., Backend], told: object, *, hops: int | None) -> object:
    """Return whose request it is, behind so many proxies that told this."""
    backend = make_backend(whence(), trusted_proxies=hops)
    headers = [("X-Forwarded-For", line) for line in ([told] if isinstance(told, str) else told)]  # type: ignore[attr-defined]
    return backend.client().get("/whence", headers=headers).get_json()["address"]


sqlite = pytest.mark.parametrize("dialect", ["sqlite"])


@sqlite
@pytest.mark.parametrize(
    ("hops", "found"),
    [
        (0, "127.0.0.1"),
        (None, "127.0.0.1"),
        (1, "192.0.2.2"),
        (2, "192.0.2.1"),
        (3, "198.51.100.7"),
        (4, "unknown"),
    ],
)
def test_forwarded_addresses_count_from_the_configured_hops_only(
    make_backend: Callable[..., Backend], hops: int | None, found: str
) -> None:
    """From none by default; what a client invents in front of them is not believed (S-007)."""
    assert address(make_backend, TOLD, hops=hops) == found


@sqlite
@pytest.mark.parametrize(
    ("told", "found"),
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
    make_backend: Callable[..., Backend], told: object, found: str
) -> None:
    """Where it enters, so that audit, sessions and limits agree (S-114)."""
    assert address(make_backend, told, hops=1) == found


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
def test_a_client_swallows_nothing_that_proxies_add(
    make_backend: Callable[..., Backend], lines: list[str]
) -> None:
    """By a quote above all: parsers that heed it take the rest for one value (S-007, S-114)."""
    assert address(make_backend, lines, hops=2) == "203.0.113.9"


@sqlite
@pytest.mark.parametrize("hops", [0, 1])
@pytest.mark.parametrize(
    "name", ["Forwarded", "X-Real-IP", "X-Client-IP", "True-Client-IP", "CF-Connecting-IP"]
)
def test_no_other_header_tells_the_address(
    make_backend: Callable[..., Backend], name: str, hops: int
) -> None:
    """Proxies let those through that they do not know (S-007)."""
    backend = make_backend(whence(), trusted_proxies=hops)
    headers = {name: "for=192.0.2.66", "X-Forwarded-For": "127.0.0.1"}
    assert backend.client().get("/whence", headers=headers).get_json()["address"] == "127.0.0.1"


@sqlite
@pytest.mark.parametrize("told", ["http", "https", "https, http", "javascript", ""])
@pytest.mark.parametrize("name", ["X-Forwarded-Proto", "X-Forwarded-Scheme", "Forwarded"])
@pytest.mark.parametrize("url", ["http://localhost:8000", "https://api.example"])
def test_the_scheme_is_that_of_the_public_url(
    make_backend: Callable[..., Backend], url: str, name: str, told: str
) -> None:
    """Whatever anybody tells, in whatever list (S-007)."""
    backend = make_backend(whence(), trusted_proxies=1, public_url=url)
    headers = backend.client().get("/whence", headers={name: told}).headers
    assert ("Strict-Transport-Security" in headers) == url.startswith("https")


def test_refusals_say_nothing_of_what_was_sent(forge: TokenForger) -> None:
    """No part of the token, no library's words: one answer for every fault (S-100)."""
    tokens = [
        "x",
        "a.b.c",
        forge.valid_token[:-2],
        forge.with_header(kid="k" * 20),
        forge.with_claims(sub=1),
    ]
    answers = [forge.backend.bearer_client(token).get("/vault").get_json() for token in tokens]
    assert len({json.dumps(a | {"request_id": ""}, sort_keys=True) for a in answers}) == 1
