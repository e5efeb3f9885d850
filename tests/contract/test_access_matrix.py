"""The access matrix matches the document, the behaviour of the gate, and a snapshot.

If a change of the matrix is intended, run this file with `ITEMSAPI_TEST_WRITE=1` to write the
snapshot again; the public routes are listed here by hand.
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
from itemsapi.testing import MovableClock, assert_every_rule_is_enforced, testing_settings
from itemsapi.tokens.scopes import BUILTIN_SCOPES
from support.app_factory import Backend
from support.forged_tokens import ProtectedEndpoints, TokenForger

SNAPSHOT = Path(__file__).with_name("access_matrix.txt")
PUBLIC = {
    "GET /",
    "GET /.well-known/jwks.json",
    "GET /.well-known/oauth-authorization-server",
    "POST /auth/login",
    "GET /client.js",
    "GET /client.js.map",
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
NOT_DOCUMENTED = {"docs", "explorer", "console"}
WITH_REFRESH_TOKEN = {
    "POST /auth/logout",
    "POST /auth/refresh",
    "POST /oauth/token",
}
GATE_CODES = {"token_missing", "invalid_token", "insufficient_scope", "route_unguarded"}


@contextmanager
def build_forger(template: Path, folder: Path) -> Iterator[TokenForger]:
    """Build a backend with default settings and a blueprint of the tests."""
    vault, clock = ProtectedEndpoints(), MovableClock()
    shutil.copy(template, folder / "itemsapi.db")
    app = create_app(testing_settings(folder), blueprints=[vault.blueprint], clock=clock)
    backend = Backend(app, app.extensions[EXTENSION], clock)
    yield TokenForger(backend, vault)
    backend.services.database.dispose()


@pytest.fixture(scope="module")
def forge(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenForger]:
    """A backend for requests that the gate rejects."""
    with build_forger(sqlite_template, tmp_path_factory.mktemp("matrix")) as forge:
        yield forge


@pytest.fixture
def passing_forge(sqlite_template: Path, tmp_path: Path) -> Iterator[TokenForger]:
    """A separate backend for requests that pass the gate and change data."""
    with build_forger(sqlite_template, tmp_path) as forge:
        yield forge


@pytest.fixture(scope="module")
def matrix(forge: TokenForger) -> list[RouteRule]:
    """The matrix of that backend, with the blueprint of the tests."""
    return rulebook(forge.backend.app).matrix()


def lines(matrix: list[RouteRule]) -> list[str]:
    """Return the matrix of the built-in routes as text."""
    own = [e for e in matrix if not e.endpoint.startswith("vault.")]
    return [f"{e.method} {e.path}  {e.rule}" for e in own if e.method != "HEAD"]


def call(forge: TokenForger, entry: RouteRule, token: str | None) -> TestResponse:
    """Send the request of one line of the matrix, with or without a token."""
    path = re.sub(r"<id:\w+>", new_id(), entry.path)
    path = re.sub(r"<int:\w+>", "1", path)
    path = re.sub(r"<(?:\w+:)?\w+>", "name", path)
    client = forge.backend.bearer_client(token) if token else forge.backend.client()
    return client.open(path, method=entry.method)


def token(forge: TokenForger, scopes: frozenset[str]) -> str:
    """Return a token with exactly these scopes, for a session that no other test ends."""
    return forge.with_claims(scope=" ".join(sorted(scopes)), sid=new_id())


def code(response: TestResponse) -> str:
    """Return the problem code of a response, or ""; for HEAD it is derived from the challenge."""
    problem = response.get_json(silent=True, force=True)
    if isinstance(problem, dict) and "code" in problem:
        return str(problem["code"])
    challenge = response.headers.get("WWW-Authenticate", "")
    match = re.search(r'error="(\w+)"', challenge)
    return match[1] if match else ("token_missing" if challenge else "")


def test_matrix_matches_the_snapshot(matrix: list[RouteRule]) -> None:
    """A change of access is visible in the review (S-001, S-080)."""
    if os.environ.get("ITEMSAPI_TEST_WRITE"):
        SNAPSHOT.write_text("\n".join(lines(matrix)) + "\n")
    assert lines(matrix) == SNAPSHOT.read_text().splitlines()


def test_public_routes_are_exactly_the_listed_ones(matrix: list[RouteRule]) -> None:
    """No route is missing from the list, and none is added (S-001)."""
    own = [e for e in matrix if not e.endpoint.startswith("vault.") and e.method != "HEAD"]
    assert {f"{e.method} {e.path}" for e in own if e.rule.kind == "public"} == PUBLIC
    with_refresh_token = {f"{e.method} {e.path}" for e in own if e.rule.accepts_refresh_token}
    assert with_refresh_token == WITH_REFRESH_TOKEN


def test_every_public_route_has_a_reason(matrix: list[RouteRule]) -> None:
    """The rule contains the reason (S-001)."""
    assert [e.path for e in matrix if e.rule.kind == "public" and len(e.rule.reason) < 6] == []


def test_every_rule_is_enforced(forge: TokenForger) -> None:
    """Every route and method, HEAD too, against each bad credential (S-001 to S-009)."""
    report = assert_every_rule_is_enforced(forge.backend.app, public=PUBLIC | {"GET /hall"})
    assert (report.not_tried, len(report.guarded) > 40) == ((), True)


def test_gate_rejects_a_request_when_it_has_only_other_scopes(
    forge: TokenForger, matrix: list[RouteRule]
) -> None:
    """403 with the scopes of the rule, for every operation that needs scopes (S-009)."""
    every = frozenset(rulebook(forge.backend.app).scopes)
    for entry in (e for e in matrix if e.rule.scope_names):
        response = call(forge, entry, token(forge, frozenset(every - entry.rule.scope_names)))
        scope = " ".join(sorted(entry.rule.scope_names))
        assert (response.status_code, code(response)) == (403, "insufficient_scope"), entry
        assert response.headers["WWW-Authenticate"].endswith(f', scope="{scope}"'), entry


def test_gate_admits_a_request_when_it_has_exactly_the_scopes_of_the_rule(
    passing_forge: TokenForger, matrix: list[RouteRule]
) -> None:
    """The request passes the gate; the view may still reject it (S-080)."""
    guarded = [e for e in matrix if e.rule.accepts_access_token]
    guarded.sort(key=lambda e: e.path == "/sessions")  # it ends all sessions, so it is last
    tokens = [(entry, token(passing_forge, entry.rule.scope_names)) for entry in guarded]
    codes = {code(call(passing_forge, entry, access_token)) for entry, access_token in tokens}
    assert codes.isdisjoint(GATE_CODES)


def test_gate_admits_every_request_when_the_route_is_public(
    forge: TokenForger, matrix: list[RouteRule]
) -> None:
    """Without a token, and with an invalid one (S-080)."""
    public = [e for e in matrix if e.rule.kind == "public"]
    codes = {code(call(forge, entry, sent)) for entry in public for sent in (None, "x")}
    assert codes.isdisjoint(GATE_CODES)


def test_document_matches_the_rules_of_the_gate(
    forge: TokenForger, matrix: list[RouteRule]
) -> None:
    """The `security` of every operation is right, and the operations are the same (S-080).

    Pages and files for people are no operations.
    """
    paths = forge.client().get("/openapi.json").get_json()["paths"]
    documented = {
        (method.upper(), path): operation["security"]
        for path, item in paths.items()
        for method, operation in item.items()
    }
    expected = {
        (e.method, re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", e.path).rstrip("/") or "/"): security(e)
        for e in matrix
        if e.method != "HEAD" and e.endpoint.split(".")[-2] not in NOT_DOCUMENTED
    }
    assert documented == expected


def security(entry: RouteRule) -> list[dict[str, list[str]]]:
    """Return the expected `security` of a rule, independent of the service's implementation."""
    schemes = {"access_token": "bearer", "api_key": "api_key"}
    accepted = [scheme for name, scheme in schemes.items() if name in entry.rule.by]
    bearer = [{scheme: sorted(entry.rule.scope_names)} for scheme in accepted]
    by_kind: dict[str, list[dict[str, list[str]]]] = {
        "public": [],
        "signed in": bearer,
        "scopes": bearer,
        "refresh token": [{}],
        "refresh token or signed in": [*bearer, {}],
    }
    return by_kind[entry.rule.kind]


def test_every_scope_is_used_by_a_rule(matrix: list[RouteRule]) -> None:
    """Only `items:admin` is in no rule: views check it to admit other users' items."""
    named = {name for entry in matrix for name in entry.rule.scope_names}
    assert {scope.name for scope in BUILTIN_SCOPES} - named == {"items:admin"}
