"""SECURITY.md lists all ways to authenticate, and all context that affects access.

S-128 and S-200: its tables are compared with the routes, or tested.
"""

import base64
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import TestResponse

from itemsapi.app import rulebook
from itemsapi.gate.rulebook import RouteRule
from itemsapi.testing import PASSWORD
from support.app_factory import Backend
from support.tokens import open_session, revoke_tokens_of_user

pytestmark = pytest.mark.dialect("sqlite")  # nothing here depends on the database

SECURITY_MD = Path(__file__).parents[2] / "SECURITY.md"
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
CREDENTIALS = {"password", "current_password", "refresh_token", "token"}
# All body fields of the operations that need no access token.
UNAUTHENTICATED_FIELDS = CREDENTIALS - {"current_password"} | {
    "username", "scope", "device", "grant_type", "token_type_hint",
}  # fmt: skip


def table(title: str) -> list[list[str]]:
    """Return the rows of a table of SECURITY.md, as cells."""
    part = SECURITY_MD.read_text("utf-8").split(f"## {title}\n")[1].split("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in part.splitlines() if line.startswith("| ")]
    return rows[1:]


def operations(backend: Backend) -> list[tuple[RouteRule, set[str]]]:
    """Return every operation, with the names of its body fields."""
    document = backend.client().get("/openapi.json").get_json()
    found = []
    for entry in rulebook(backend.app).matrix():
        path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", entry.path)
        operation = document["paths"].get(path, {}).get(entry.method.lower(), {})
        content = operation.get("requestBody", {}).get("content", {})
        found.append((entry, {name for one in content.values() for name in names(document, one)}))
    return found


def names(document: dict[str, Any], content: dict[str, Any]) -> list[str]:
    """Return the properties of a body."""
    wanted = content["schema"]
    if "$ref" in wanted:
        wanted = document["components"]["schemas"][wanted["$ref"].rpartition("/")[2]]
    return list(wanted["properties"])


def test_operations_with_another_credential_than_an_access_token_are_listed(
    backend: Backend,
) -> None:
    """S-128: exactly these; operations that set another user's password need a scope."""
    listed = {place for row in table("Ways to authenticate") for place in re.findall(r"`(\w+ /[^`]+)`", row[1])}  # fmt: skip  # noqa: E501 - as long as it is
    taking = {
        f"{entry.method} {entry.path}"
        for entry, fields in operations(backend)
        if entry.rule.accepts_refresh_token
        or (fields & CREDENTIALS and entry.rule.kind in {"public", "signed in"})
    }
    assert taking == listed


def test_unauthenticated_operations_accept_only_known_fields(backend: Backend) -> None:
    """S-128: a new body field of such an operation may be a new way in, so it needs a review."""
    bodies = [
        fields for entry, fields in operations(backend) if not entry.rule.accepts_access_token
    ]
    assert set().union(*bodies) <= UNAUTHENTICATED_FIELDS


def test_document_has_the_schemes_of_bearer_credentials_only(backend: Backend) -> None:
    """S-128: other credentials are in bodies and a cookie, which their operations describe."""
    document = backend.client().get("/openapi.json").get_json()
    assert set(document["components"]["securitySchemes"]) == {"bearer", "api_key"}


def basic(name: str, password: str) -> str:
    """Return the `Authorization` header of HTTP Basic authentication."""
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


UNDOCUMENTED: dict[str, Callable[[str], dict[str, Any]]] = {
    "basic": lambda _: {"headers": {"Authorization": basic("ada", PASSWORD)}},
    "token as password": lambda t: {"headers": {"Authorization": basic("ada", t)}},
    "API key": lambda t: {
        "headers": {"X-API-Key": t, "Api-Key": t, "Authorization": f"ApiKey {t}"}
    },
    "address": lambda t: {"query_string": {"access_token": t, "api_key": t, "token": t}},
    "cookie": lambda t: {"headers": {"Cookie": f"session={t}; access_token={t}; token={t}"}},
    "proxy": lambda _: {"headers": {"X-Forwarded-User": "ada", "Remote-User": "ada"}},
}


@pytest.mark.parametrize("way", UNDOCUMENTED)
def test_valid_credential_is_rejected_when_sent_in_another_way(backend: Backend, way: str) -> None:
    """S-128: at every route that needs an access token."""
    backend.create_user("ada", "admin")
    request = UNDOCUMENTED[way](backend.login("ada")["access_token"])
    guarded = [
        one for one in rulebook(backend.app).matrix() if one.rule.kind in {"signed in", "scopes"}
    ]
    places = [(one.method, re.sub(r"<[^>]+>", "1", one.path)) for one in guarded]
    responses = [backend.client().open(path, method=method, **request) for method, path in places]
    assert {response.status_code for response in responses} <= {401, 404}


def test_other_methods_are_rejected_with_a_list_of_the_allowed_ones(backend: Backend) -> None:
    """S-200: 405 at every path, and `Allow` names the methods of the matrix and OPTIONS."""
    allowed: dict[str, set[str]] = {}
    for entry in rulebook(backend.app).matrix():
        allowed.setdefault(entry.path, {"OPTIONS"}).add(entry.method)
    ids = "0195d3a4-0000-7000-8000-000000000000"
    for path, methods in allowed.items():
        url = re.sub(r"<[^>]+>", ids if "<id:" in path else "name", path)
        for method in sorted({*METHODS, "TRACE", "PROPFIND"} - methods):
            response = backend.client().open(url, method=method)
            allow = set(response.headers.get("Allow", "").split(", "))
            assert (response.status_code, allow) == (405, methods), f"{method} {url}"


def cookie_call(backend: Backend, **headers: str) -> TestResponse:
    """Refresh with the cookie of a browser and these headers instead of the usual ones."""
    client = backend.client()
    body, delivery = {"username": "ada", "password": PASSWORD}, {"X-Auth-Delivery": "cookie"}
    own = {"Origin": "http://localhost:8000", "Sec-Fetch-Site": "same-origin"}
    assert client.post("/auth/login", json=body, headers=delivery | own).status_code == 200
    sent = delivery | own | {"Content-Type": "application/json"} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }  # fmt: skip
    return client.post("/auth/refresh", data="{}", headers=sent)


def wrong_password(backend: Backend) -> TestResponse:
    """Send one wrong password more than the limit of an address."""
    body = {"username": "ada", "password": "not this one at all"}
    return [backend.client().post("/auth/login", json=body) for _ in range(11)][-1]


def wrong_passwords_from_everywhere(backend: Backend) -> TestResponse:
    """Send one wrong password more than the limit of a user, ten from each address."""
    body, client = {"username": "ada", "password": "not this one at all"}, backend.client()
    responses: list[TestResponse] = []
    for at in range(201):
        client.environ_base["REMOTE_ADDR"] = f"203.0.113.{at // 10}"
        responses.append(client.post("/auth/login", json=body))
    return responses[-1]


def too_often(backend: Backend) -> TestResponse:
    """Send one request more than the rate limit, which is five here."""
    client = backend.bearer_client(str(backend.login("ada")["access_token"]))
    return [client.get("/auth/sessions") for _ in range(6)][-1]


def expired(backend: Backend) -> TestResponse:
    """Use a token after an hour."""
    client = backend.bearer_client(str(backend.login("ada")["access_token"]))
    backend.clock.advance(hours=1)
    return client.get("/auth/sessions")


def revoked(backend: Backend) -> TestResponse:
    """Use a revoked token."""
    client = backend.bearer_client(str(backend.login("ada")["access_token"]))
    revoke_tokens_of_user(backend, "ada")
    return client.get("/auth/sessions")


CONTEXT: dict[str, Callable[[Backend], TestResponse]] = {
    "the page that uses the refresh cookie (`Origin`, `Sec-Fetch-Site`)": lambda backend: (
        cookie_call(backend, Origin="https://evil.example", Sec_Fetch_Site="cross-site")
    ),
    "the body's type where the cookie is used": lambda backend: cookie_call(
        backend, Content_Type="text/plain"
    ),
    "`X-Auth-Delivery`": lambda backend: cookie_call(backend, X_Auth_Delivery="both"),
    "the client's address, at a password": wrong_password,
    "the user name, at a password": wrong_passwords_from_everywhere,
    "the user, or the client's address without one, on every route but `/health/*`, sign-in"
    " included; with `AuthLayer`, not on the application's own public routes": too_often,
    "the time": expired,
    "what was revoked since": revoked,
}


def test_every_context_rule_is_documented() -> None:
    """S-200: the tables of SECURITY.md and of this test have the same rows."""
    assert [row[0] for row in table("What counts besides the credential")] == list(CONTEXT)


@pytest.mark.parametrize("row", table("What counts besides the credential"), ids=lambda row: row[0])
def test_context_rule_has_the_documented_effect(
    make_backend: Callable[..., Backend], row: list[str]
) -> None:
    """S-200: the response has the status and code of the row."""
    backend = make_backend(rate_limit="5/minute" if "every route" in row[0] else None)
    backend.create_user("ada", "member")
    response = CONTEXT[row[0]](backend)
    assert f"{response.status_code} `{response.get_json()['code']}`" == row[2]


def test_token_is_valid_until_it_expires(backend: Backend) -> None:
    """S-200: the counterpart of the row about time."""
    backend.create_user("ada", "member")
    opened = backend.login("ada")
    backend.clock.current += timedelta(seconds=opened["expires_in"] - 1)
    assert backend.bearer_client(opened["access_token"]).get("/auth/sessions").status_code == 200


def test_service_never_redirects(backend: Backend) -> None:
    """S-142: no request over plain HTTP is redirected."""
    ada = backend.create_user("ada", "admin")
    client = backend.bearer_client(open_session(backend, ada).access_token)
    paths = [re.sub(r"<[^>]+>", "1", one.path) for one in rulebook(backend.app).matrix() if one.method == "GET"]  # fmt: skip  # noqa: E501 - as long as it is
    urls = [path + end for path in paths for end in ("", "/")]
    responses = [client.get(url, base_url="http://localhost:8000") for url in urls]
    assert [r.status_code for r in responses if 300 <= r.status_code < 400] == []
