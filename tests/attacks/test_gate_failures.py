"""The gate's own parts fail: nobody is let in, and the answer is an honest 503 (S-003)."""

import sqlite3
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from itemsapi import Blueprint, public
from itemsapi.app import RULEBOOK
from itemsapi.gate.gate import EXTENSION as GATE
from itemsapi.issuer.sessions import end_all_sessions
from itemsapi.problems import DatabaseUnavailable
from itemsapi.services import EXTENSION
from itemsapi.tokens import key_set, revocation
from support.app_factory import Backend
from support.forged_tokens import ProtectedEndpoints


class ElapsedTime:
    """A monotonic clock that a test moves."""

    def __init__(self) -> None:
        """Start anywhere."""
        self.seconds = 1000.0

    def monotonic(self) -> float:
        """Return the seconds so far."""
        return self.seconds


@pytest.fixture
def dialect() -> str:
    """What is attacked here does not depend on the database."""
    return "sqlite"


@pytest.fixture
def elapsed(monkeypatch: pytest.MonkeyPatch) -> ElapsedTime:
    """The time by which copies of keys and revocations grow old."""
    time = ElapsedTime()
    monkeypatch.setattr(revocation, "time", time)
    monkeypatch.setattr(key_set, "time", time)
    return time


@pytest.fixture
def vault() -> ProtectedEndpoints:
    """A vault."""
    return ProtectedEndpoints()


@pytest.fixture
def backend(
    make_backend: Callable[..., Backend], vault: ProtectedEndpoints, elapsed: ElapsedTime
) -> Backend:
    """A backend with a vault."""
    return make_backend(vault.blueprint)


@pytest.fixture
def ada(backend: Backend) -> FlaskClient:
    """Somebody who may open it."""
    return backend.signed_in_client("ada", "admin")


def raising(error: BaseException) -> Callable[..., Any]:
    """Return a function that raises whatever it is called with."""

    def fail(*_: object, **__: object) -> None:
        raise error

    return fail


FAULTS: list[BaseException] = [
    RuntimeError("secret detail"), KeyError("x"), OSError(28, "No space left"), MemoryError(),
    RecursionError(), ValueError(), TypeError(), AttributeError(), StopIteration(),
    sqlite3.OperationalError("database is locked"), TimeoutError(), DatabaseUnavailable(),
]  # fmt: skip
PARTS: dict[str, Callable[[Flask], tuple[object, str]]] = {
    "the key ring": lambda app: (app.extensions[EXTENSION].key_set, "snapshot"),
    "the feed": lambda app: (app.extensions[EXTENSION].revocation_feed, "check"),
    "the codec": lambda app: (app.extensions[EXTENSION].token_codec, "verify_access_token"),
    "the rulebook": lambda app: (app.extensions[RULEBOOK], "rule_for"),
    "its look at the view": lambda app: (app.extensions[GATE].views, "is_from_boot"),
}


@pytest.mark.parametrize("part", PARTS)
def test_a_failing_part_lets_nobody_in(
    ada: FlaskClient, vault: ProtectedEndpoints, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    """503 with Retry-After and no detail, and no handler runs (S-003)."""
    monkeypatch.setattr(*PARTS[part](ada.application), raising(RuntimeError("secret detail")))
    answer = ada.get("/vault")
    assert (answer.status_code, answer.headers["Retry-After"], vault.calls) == (503, "1", 0)
    assert "secret detail" not in answer.get_data(as_text=True)


def test_whatever_a_part_raises_lets_nobody_in(
    ada: FlaskClient, vault: ProtectedEndpoints, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Errors of databases, of memory, of anything (S-003)."""
    found = []
    for fault in FAULTS:
        monkeypatch.setattr(*PARTS["the feed"](ada.application), raising(fault))
        found.append(ada.get("/vault").status_code)
    assert (set(found), vault.calls) == ({503}, 0)


@pytest.mark.parametrize("fault", [SystemExit(1), GeneratorExit()], ids=["exit", "generator"])
def test_what_is_no_exception_lets_nobody_in_either(
    backend: Backend,
    ada: FlaskClient,
    vault: ProtectedEndpoints,
    monkeypatch: pytest.MonkeyPatch,
    fault: BaseException,
) -> None:
    """The last resort answers 500 (S-003, S-197)."""
    monkeypatch.setattr(backend.services.revocation_feed, "check", raising(fault))
    answer = ada.get("/vault")
    assert (answer.status_code, answer.content_type, vault.calls) == (
        500,
        "application/problem+json",
        0,
    )


def test_a_failing_throttle_lets_nobody_in(
    make_backend: Callable[..., Backend], vault: ProtectedEndpoints
) -> None:
    """Who cannot be counted cannot come in (S-003); the limit itself never fails open (R-08)."""
    backend = make_backend(vault.blueprint, rate_limit="5/minute")
    ada = backend.signed_in_client("ada", "admin")
    answers = [ada.get("/vault").status_code for _ in range(7)]
    assert answers == [200] * 5 + [429] * 2


def without(backend: Backend, table: str) -> None:
    """Take a table away, as a restored or half-migrated database would."""
    with backend.services.database.transaction() as tx:
        tx.connection().exec_driver_sql(f"ALTER TABLE {table} RENAME TO {table}_gone")


def with_it_back(backend: Backend, table: str) -> None:
    """Put the table back."""
    with backend.services.database.transaction() as tx:
        tx.connection().exec_driver_sql(f"ALTER TABLE {table}_gone RENAME TO {table}")


def test_revocations_that_cannot_be_read_shut_the_gate_after_five_seconds(
    backend: Backend, ada: FlaskClient, elapsed: ElapsedTime
) -> None:
    """Until then the copy at hand is good enough (R-03, R-09)."""
    assert ada.get("/vault").status_code == 200
    without(backend, "itemsapi_revocation")
    found = []
    for _ in range(12):
        elapsed.seconds += 0.5
        found.append(ada.get("/vault").status_code)
    assert found == [200] * 10 + [503] * 2


def test_the_gate_opens_again_when_revocations_can_be_read(
    backend: Backend, ada: FlaskClient, elapsed: ElapsedTime
) -> None:
    """Within two seconds, and without a restart (R-03)."""
    without(backend, "itemsapi_revocation")
    elapsed.seconds += 60
    assert ada.get("/vault").get_json()["code"] == "gate_unavailable"
    with_it_back(backend, "itemsapi_revocation")
    elapsed.seconds += 1
    assert ada.get("/vault").status_code == 200


def test_keys_that_cannot_be_read_shut_the_gate_in_the_end(
    backend: Backend, ada: FlaskClient, elapsed: ElapsedTime
) -> None:
    """Keys change seldom, so their copy serves for a minute; then nobody is let in (R-03)."""
    assert ada.get("/vault").status_code == 200
    without(backend, "itemsapi_signing_key")
    elapsed.seconds += 30
    assert ada.get("/vault").status_code == 200
    elapsed.seconds += 31
    assert ada.get("/vault").status_code == 503


def test_a_good_token_is_not_called_bad_when_keys_are_away(
    backend: Backend, ada: FlaskClient, elapsed: ElapsedTime
) -> None:
    """503 and not 401: clients must not throw their tokens away (R-03)."""
    without(backend, "itemsapi_signing_key")
    elapsed.seconds += 100
    assert ada.get("/vault").get_json()["code"] == "gate_unavailable"
    with_it_back(backend, "itemsapi_signing_key")
    elapsed.seconds += 2
    assert ada.get("/vault").status_code == 200


def test_public_routes_go_on_without_the_database(
    backend: Backend, ada: FlaskClient, elapsed: ElapsedTime
) -> None:
    """What needs nothing is answered (R-03)."""
    without(backend, "itemsapi_revocation")
    elapsed.seconds += 60
    assert [ada.get(path).status_code for path in ("/hall", "/health/live")] == [200, 200]


def test_health_says_that_the_gate_is_shut(
    backend: Backend, ada: FlaskClient, elapsed: ElapsedTime
) -> None:
    """A load balancer takes such a process out (R-09)."""
    assert ada.get("/health/ready").status_code == 200
    without(backend, "itemsapi_revocation")
    elapsed.seconds += 60
    assert ada.get("/health/ready").status_code == 503


def test_health_does_not_mind_that_everybody_was_signed_out(backend: Backend) -> None:
    """The look at the feed is for nobody's token."""
    end_all_sessions(backend.services.issuer, why="a test")
    assert backend.client().get("/health/ready").status_code == 200


def test_an_anonymous_body_is_not_read(backend: Backend, vault: ProtectedEndpoints) -> None:
    """5 MB, announced and never touched (S-004)."""

    class Trap:
        def read(self, *_: object) -> bytes:
            raise AssertionError("the body was read")

        readline = readlines = __iter__ = read

    environ = {
        "wsgi.input": Trap(),
        "CONTENT_LENGTH": "5000000",
        "CONTENT_TYPE": "application/json",
    }
    answer = backend.client().post("/vault", environ_overrides=environ)
    assert (answer.status_code, vault.calls) == (401, 0)


@pytest.mark.parametrize("where", ["handler", "serializer"])
@pytest.mark.parametrize("fault", [RuntimeError("detail"), SystemExit(3)], ids=["error", "exit"])
def test_whatever_is_raised_ends_as_a_problem(
    make_backend: Callable[..., Backend], where: str, fault: BaseException
) -> None:
    """500, problem+json, a request id and nothing of the cause (S-197, S-100)."""
    backend = make_backend(breaking(where, fault))
    answer = backend.client().get("/broken")
    assert (answer.status_code, answer.get_json(force=True)["code"]) == (500, "internal_error")
    assert "detail" not in answer.get_json(force=True)["detail"]


def breaking(where: str, fault: BaseException) -> Blueprint:
    """Make a page that breaks at one place."""
    page = Blueprint("broken", __name__)

    @page.get("/broken")
    @public("a test")
    @page.response(200)
    def show() -> object:
        if where == "handler":
            raise fault
        return {"x": object()} if where == "serializer" else {}

    return page
