"""The ways to authenticate are those that SECURITY.md lists, and so is what counts besides.

S-128 and S-200: what is written there is compared with the routes, or tried.
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
from support.app_factory import PASSWORD, Backend
from support.tokens import open_session, revoke_tokens_of_user

PAGE = Path(__file__).parents[2] / "SECURITY.md"
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
CREDENTIALS = {"password", "current_password", "refresh_token", "token"}
# Everything that can be said where nobody has shown an access token.
SAID_BY_STRANGERS = CREDENTIALS - {"current_password"} | {
    "username", "scope", "device", "grant_type", "token_type_hint",
}  # fmt: skip


@pytest.fixture
def dialect() -> str:
    """One database will do: nothing here depends on it."""
    return "sqlite"


def table(title: str) -> list[list[str]]:
    """Return the rows of a table of the page, as cells."""
    part = PAGE.read_text("utf-8").split(f"## {title}\n")[1].split("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in part.splitlines() if line.startswith("| ")]
    return rows[1:]


def operations(backend: Backend) -> list[tuple[RouteRule, set[str]]]:
    """Return every operation, with the names of what its body may hold."""
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


def test_what_takes_another_credential_than_an_access_token_is_listed(backend: Backend) -> None:
    """S-128: all of it, and nothing else; scopes are for what sets somebody's password."""
    listed = {place for row in table("Ways to authenticate") for place in re.findall(r"`(\w+ /[^`]+)`", row[1])}  # fmt: skip  # noqa: E501 - as long as it is
    taking = {
        f"{entry.method} {entry.path}"
        for entry, said in operations(backend)
        if entry.rule.accepts_refresh_token
        or (said & CREDENTIALS and entry.rule.kind in {"public", "signed in"})
    }
    assert taking == listed


def test_strangers_can_say_nothing_that_is_not_known_here(backend: Backend) -> None:
    """S-128: a new member of a body that takes no access token is a new way in, until looked at."""
    open_ones = [said for entry, said in operations(backend) if not entry.rule.accepts_access_token]
    assert set().union(*open_ones) <= SAID_BY_STRANGERS


def test_the_document_knows_one_scheme(backend: Backend) -> None:
    """S-128: bearer; the others are bodies and a cookie, which are described where they are."""
    document = backend.client().get("/openapi.json").get_json()
    assert set(document["components"]["securitySchemes"]) == {"bearer"}


def basic(name: str, password: str) -> str:
    """Return HTTP's own way to show a password."""
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
def test_no_other_way_opens_anything(backend: Backend, way: str) -> None:
    """S-128: of good credentials, at every route that wants an access token."""
    backend.create_user("ada", "admin")
    shown = UNDOCUMENTED[way](backend.login("ada")["access_token"])
    guarded = [
        one for one in rulebook(backend.app).matrix() if one.rule.kind in {"signed in", "scopes"}
    ]
    places = [(one.method, re.sub(r"<[^>]+>", "1", one.path)) for one in guarded]
    answers = [backend.client().open(path, method=method, **shown) for method, path in places]
    assert {answer.status_code for answer in answers} <= {401, 404}


def test_every_other_method_is_refused_with_those_that_there_are(backend: Backend) -> None:
    """S-200: 405 at every address, and `Allow` names what the matrix has there, and OPTIONS."""
    allowed: dict[str, set[str]] = {}
    for entry in rulebook(backend.app).matrix():
        allowed.setdefault(entry.path, {"OPTIONS"}).add(entry.method)
    ids = "0195d3a4-0000-7000-8000-000000000000"
    for path, methods in allowed.items():
        there = re.sub(r"<[^>]+>", ids if "<id:" in path else "name", path)
        for method in sorted({*METHODS, "TRACE", "PROPFIND"} - methods):
            answer = backend.client().open(there, method=method)
            told = set(answer.headers.get("Allow", "").split(", "))
            assert (answer.status_code, told) == (405, methods), f"{method} {there}"


def cookie_call(backend: Backend, **headers: str) -> TestResponse:
    """Refresh by the cookie of a browser, with these headers instead of a good page's."""
    client = backend.client()
    body, wants = {"username": "ada", "password": PASSWORD}, {"X-Auth-Delivery": "cookie"}
    own = {"Origin": "http://localhost:8000", "Sec-Fetch-Site": "same-origin"}
    assert client.post("/auth/login", json=body, headers=wants | own).status_code == 200
    said = wants | own | {"Content-Type": "application/json"} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }  # fmt: skip
    return client.post("/auth/refresh", data="{}", headers=said)


def wrong_password(backend: Backend) -> TestResponse:
    """Guess once more than may be."""
    body = {"username": "ada", "password": "not this one at all"}
    return [backend.client().post("/auth/login", json=body) for _ in range(11)][-1]


def wrong_passwords_from_everywhere(backend: Backend) -> TestResponse:
    """Guess once more than may be at one account, ten times from each address."""
    body, client = {"username": "ada", "password": "not this one at all"}, backend.client()
    answers: list[TestResponse] = []
    for at in range(201):
        client.environ_base["REMOTE_ADDR"] = f"203.0.113.{at // 10}"
        answers.append(client.post("/auth/login", json=body))
    return answers[-1]


def too_often(backend: Backend) -> TestResponse:
    """Ask once more than the setting allows, which is five times here."""
    client = backend.bearer_client(str(backend.login("ada")["access_token"]))
    return [client.get("/auth/sessions") for _ in range(6)][-1]


def expired(backend: Backend) -> TestResponse:
    """Use a token an hour later."""
    client = backend.bearer_client(str(backend.login("ada")["access_token"]))
    backend.clock.advance(hours=1)
    return client.get("/auth/sessions")


def revoked(backend: Backend) -> TestResponse:
    """Use a token from before a change of roles."""
    client = backend.bearer_client(str(backend.login("ada")["access_token"]))
    revoke_tokens_of_user(backend, "ada")
    return client.get("/auth/sessions")


CONTEXT: dict[str, Callable[[Backend], TestResponse]] = {
    "the page that uses the refresh cookie (`Origin`, `Sec-Fetch-Site`)": lambda h: cookie_call(
        h, Origin="https://evil.example", Sec_Fetch_Site="cross-site"
    ),
    "the body's type where the cookie is used": lambda h: cookie_call(h, Content_Type="text/plain"),
    "`X-Auth-Delivery`": lambda h: cookie_call(h, X_Auth_Delivery="both"),
    "the client's address, at a password": wrong_password,
    "the account, at a password": wrong_passwords_from_everywhere,
    "the user, or the client's address without one, at every address but `/health/*`, sign-in"
    " included": too_often,
    "the time": expired,
    "what was revoked since": revoked,
}


def test_every_rule_about_context_is_written_down() -> None:
    """S-200: the table of the page and the one of this test have the same rows."""
    assert [row[0] for row in table("What counts besides the credential")] == list(CONTEXT)


@pytest.mark.parametrize("row", table("What counts besides the credential"), ids=lambda row: row[0])
def test_what_counts_besides_the_credential_counts_as_written(
    make_backend: Callable[..., Backend], row: list[str]
) -> None:
    """S-200: status and code are those of the row."""
    backend = make_backend(rate_limit="5/minute" if "every address" in row[0] else None)
    backend.create_user("ada", "member")
    answer = CONTEXT[row[0]](backend)
    assert f"{answer.status_code} `{answer.get_json()['code']}`" == row[2]


def test_a_token_is_good_until_its_time_is_over(backend: Backend) -> None:
    """S-200: the row about time, from the other side."""
    backend.create_user("ada", "member")
    opened = backend.login("ada")
    backend.clock.current += timedelta(seconds=opened["expires_in"] - 1)
    assert backend.bearer_client(opened["access_token"]).get("/auth/sessions").status_code == 200


def test_the_service_redirects_nobody(backend: Backend) -> None:
    """S-142: whatever is asked for over plain HTTP, no answer leads elsewhere."""
    ada = backend.create_user("ada", "admin")
    client = backend.bearer_client(open_session(backend, ada).access_token)
    paths = [re.sub(r"<[^>]+>", "1", one.path) for one in rulebook(backend.app).matrix() if one.method == "GET"]  # fmt: skip  # noqa: E501 - as long as it is
    asked = [path + end for path in paths for end in ("", "/")]
    answers = [client.get(path, base_url="http://localhost:8000") for path in asked]
    assert [a.status_code for a in answers if 300 <= a.status_code < 400] == []
