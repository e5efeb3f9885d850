"""The access matrix is what the document says, what the gate does, and what was written down.

If a change of the matrix is meant, run this file with `ITEMSAPI_TEST_WRITE=1` to write the snapshot
anew; the public routes are listed here by hand.
"""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from werkzeug.test import TestResponse

from itemsapi import create_app
from itemsapi.app import rulebook
from itemsapi.clock import new_id
from itemsapi.gate.rulebook import RouteRule
from itemsapi.services import EXTENSION
from itemsapi.settings import Settings
from itemsapi.tokens.scopes import BUILTIN_SCOPES
from support.app_factory import Backend, MovingClock
from support.forged_tokens import ProtectedEndpoints, TokenForger

SECRET = "t3st-only-0123456789-abcdefghijklmnopqrstuvwxyz"
SNAPSHOT = Path(__file__).with_name("access_matrix.txt")
PUBLIC = {
    "GET /.well-known/jwks.json",
    "GET /.well-known/oauth-authorization-server",
    "POST /auth/login",
    "GET /client.js",
    "GET /console",
    "GET /console/<name>",
    "GET /docs",
    "GET /docs/explore",
    "GET /docs/explore/<name>",
    "GET /docs/problems",
    "GET /docs/static/<name>",
    "GET /health/live",
    "GET /health/ready",
    "POST /oauth/revoke",
    "GET /openapi.json",
}
WITH_REFRESH_TOKEN = {
    "POST /auth/logout",
    "POST /auth/refresh",
    "POST /oauth/token",
}
OF_THE_GATE = {"token_missing", "invalid_token", "insufficient_scope", "route_unguarded"}


@contextmanager
def built(template: Path, folder: Path) -> Iterator[TokenForger]:
    """Build a backend with a page of guests in it, as it comes without further settings."""
    vault, clock = ProtectedEndpoints(), MovingClock()
    shutil.copy(template, folder / "itemsapi.db")
    settings = Settings(data_dir=folder, secret_key=SECRET, rate_limit=None)
    app = create_app(settings, blueprints=[vault.blueprint], clock=clock)
    backend = Backend(app, app.extensions[EXTENSION], clock)
    yield TokenForger(backend, vault)
    backend.services.database.dispose()


@pytest.fixture(scope="module")
def forge(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenForger]:
    """A backend in which nothing is let happen."""
    with built(sqlite_template, tmp_path_factory.mktemp("matrix")) as forge:
        yield forge


@pytest.fixture
def passing_forge(sqlite_template: Path, tmp_path: Path) -> Iterator[TokenForger]:
    """A backend of its own, for what really happens behind the gate."""
    with built(sqlite_template, tmp_path) as forge:
        yield forge


@pytest.fixture(scope="module")
def matrix(forge: TokenForger) -> list[RouteRule]:
    """The matrix of that backend, the guests' page included."""
    return rulebook(forge.backend.app).matrix()


def lines(matrix: list[RouteRule], *, guests: bool = False) -> list[str]:
    """Return the matrix as text."""
    own = [e for e in matrix if guests or not e.endpoint.startswith("vault.")]
    return [f"{e.method} {e.path}  {e.rule}" for e in own if e.method != "HEAD"]


def call(forge: TokenForger, entry: RouteRule, token: str | None) -> TestResponse:
    """Make the request of one line of the matrix, with a token or without."""
    path = re.sub(r"<id:\w+>", new_id(), entry.path)
    path = re.sub(r"<int:\w+>", "1", path)
    path = re.sub(r"<(?:\w+:)?\w+>", "name", path)
    client = forge.backend.bearer_client(token) if token else forge.backend.client()
    return client.open(path, method=entry.method)


def token(forge: TokenForger, scopes: frozenset[str]) -> str:
    """Return a token with exactly these scopes, of a session that no other test ends."""
    return forge.with_claims(scope=" ".join(sorted(scopes)), sid=new_id())


def code(answer: TestResponse) -> str:
    """Return what kind of refusal an answer is, if it is one; HEAD tells by its challenge."""
    said = answer.get_json(silent=True, force=True)
    if isinstance(said, dict) and "code" in said:
        return str(said["code"])
    challenge = answer.headers.get("WWW-Authenticate", "")
    found = re.search(r'error="(\w+)"', challenge)
    return found[1] if found else ("token_missing" if challenge else "")


def test_the_matrix_is_as_written_down(matrix: list[RouteRule]) -> None:
    """A change of access is seen in review (S-001, S-080)."""
    if os.environ.get("ITEMSAPI_TEST_WRITE"):
        SNAPSHOT.write_text("\n".join(lines(matrix)) + "\n")
    assert lines(matrix) == SNAPSHOT.read_text().splitlines()


def test_the_public_routes_are_these_and_no_others(matrix: list[RouteRule]) -> None:
    """The list is compared as a whole (S-001)."""
    own = [e for e in matrix if not e.endpoint.startswith("vault.") and e.method != "HEAD"]
    assert {f"{e.method} {e.path}" for e in own if e.rule.kind == "public"} == PUBLIC
    odd = {f"{e.method} {e.path}" for e in own if e.rule.accepts_refresh_token}
    assert odd == WITH_REFRESH_TOKEN


def test_every_public_route_says_why(matrix: list[RouteRule]) -> None:
    """The reason stands in the matrix (S-001)."""
    assert [e.path for e in matrix if e.rule.kind == "public" and len(e.rule.reason) < 6] == []


def test_nobody_gets_past_the_gate_without_a_token(
    forge: TokenForger, matrix: list[RouteRule]
) -> None:
    """Every route and method, HEAD too: 401 and no error in the challenge (S-001, S-008)."""
    guarded = [e for e in matrix if e.rule.accepts_access_token]
    answers = [call(forge, entry, None) for entry in guarded]
    assert {(a.status_code, a.headers["WWW-Authenticate"]) for a in answers} == {
        (401, 'Bearer realm="itemsapi"')
    }


def test_nobody_gets_past_the_gate_with_a_bad_token(
    forge: TokenForger, matrix: list[RouteRule]
) -> None:
    """Every route and method (S-001, S-008)."""
    guarded = [e for e in matrix if e.rule.accepts_access_token]
    answers = [call(forge, entry, forge.valid_token[:-4] + "AAAA") for entry in guarded]
    assert {(answer.status_code, code(answer)) for answer in answers} == {(401, "invalid_token")}


def test_all_other_scopes_are_not_enough(forge: TokenForger, matrix: list[RouteRule]) -> None:
    """403 that names the scopes of the rule, for every operation that has some (S-009)."""
    every = rulebook(forge.backend.app).scope_names
    for entry in (e for e in matrix if e.rule.scope_names):
        answer = call(forge, entry, token(forge, every - entry.rule.scope_names))
        scope = " ".join(sorted(entry.rule.scope_names))
        assert (answer.status_code, code(answer)) == (403, "insufficient_scope"), entry
        assert answer.headers["WWW-Authenticate"].endswith(f', scope="{scope}"'), entry


def test_the_scopes_of_the_rule_are_enough(
    passing_forge: TokenForger, matrix: list[RouteRule]
) -> None:
    """Exactly those pass the gate; what the view then says is its own affair (S-080)."""
    guarded = [e for e in matrix if e.rule.accepts_access_token]
    guarded.sort(key=lambda e: e.path == "/sessions")  # which ends everybody's, so it comes last
    shown = [(entry, token(passing_forge, entry.rule.scope_names)) for entry in guarded]
    found = {code(call(passing_forge, entry, one)) for entry, one in shown}
    assert found.isdisjoint(OF_THE_GATE)


def test_public_routes_ask_nobody(forge: TokenForger, matrix: list[RouteRule]) -> None:
    """Without a token, and with a bad one (S-080)."""
    public = [e for e in matrix if e.rule.kind == "public"]
    found = {code(call(forge, entry, shown)) for entry in public for shown in (None, "x")}
    assert found.isdisjoint(OF_THE_GATE)


def test_the_document_says_what_the_gate_does(forge: TokenForger, matrix: list[RouteRule]) -> None:
    """`security` of every operation, and no operation more or less (S-080)."""
    paths = forge.client().get("/openapi.json").get_json()["paths"]
    documented = {
        (method.upper(), path): operation["security"]
        for path, item in paths.items()
        for method, operation in item.items()
    }
    expected = {
        (e.method, re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", e.path).rstrip("/") or "/"): security(e)
        for e in matrix
        if e.method != "HEAD"
    }
    assert documented == expected


def security(entry: RouteRule) -> list[dict[str, list[str]]]:
    """Return what OpenAPI should say of a rule, said in other words than the service does."""
    bearer: list[dict[str, list[str]]] = [{"bearer": sorted(entry.rule.scope_names)}]
    said: dict[str, list[dict[str, list[str]]]] = {
        "public": [],
        "signed in": bearer,
        "scopes": bearer,
        "refresh token": [{}],
        "refresh token or signed in": [*bearer, {}],
    }
    return said[entry.rule.kind]


def test_every_scope_opens_something(matrix: list[RouteRule]) -> None:
    """A scope that no rule names is a promise without a door, but for the one of owners."""
    named = {name for entry in matrix for name in entry.rule.scope_names}
    assert {scope.name for scope in BUILTIN_SCOPES} - named == {"items:admin"}
