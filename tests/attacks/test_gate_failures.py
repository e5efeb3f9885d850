"""Parts of the gate fail: the request is rejected with 503 (S-003)."""

import sqlite3
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from itemsapi import Blueprint, public
from itemsapi.app import rulebook
from itemsapi.gate.without_gate import GATE
from itemsapi.issuer.sessions import end_all_sessions
from itemsapi.problems import DatabaseUnavailable
from itemsapi.services import EXTENSION
from support.app_factory import Backend
from support.database_faults import rename_away, rename_back
from support.forged_tokens import ProtectedEndpoints
from support.manual_timer import ManualTimer

pytestmark = pytest.mark.dialect("sqlite")  # what is attacked here does not depend on the database


@pytest.fixture
def vault() -> ProtectedEndpoints:
    """Protected endpoints."""
    return ProtectedEndpoints()


@pytest.fixture
def backend(make_backend: Callable[..., Backend], vault: ProtectedEndpoints) -> Backend:
    """A backend with protected endpoints."""
    return make_backend(vault.blueprint)


@pytest.fixture
def ada(backend: Backend) -> FlaskClient:
    """A client of a user who may use them."""
    return backend.signed_in_client("ada", "admin")


def raising(error: BaseException) -> Callable[..., Any]:
    """Return a function that raises `error`."""

    def fail(*_: object, **__: object) -> None:
        raise error

    return fail


FAULTS: list[BaseException] = [
    RuntimeError("secret detail"), KeyError("x"), OSError(28, "No space left"), MemoryError(),
    RecursionError(), ValueError(), TypeError(), AttributeError(), StopIteration(),
    sqlite3.OperationalError("database is locked"), TimeoutError(), DatabaseUnavailable(),
]  # fmt: skip
PARTS: dict[str, Callable[[Flask], tuple[object, str]]] = {
    "the key set": lambda app: (app.extensions[EXTENSION].key_set, "snapshot"),
    "the feed": lambda app: (app.extensions[EXTENSION].revocation_feed, "check"),
    "the codec": lambda app: (app.extensions[EXTENSION].token_codec, "verify_access_token"),
    "the rulebook": lambda app: (rulebook(app), "rule_for"),
    "the guarded views": lambda app: (app.extensions[GATE].views, "is_from_boot"),
}


@pytest.mark.parametrize("part", PARTS)
def test_a_request_is_rejected_when_a_part_of_the_gate_fails(
    ada: FlaskClient, vault: ProtectedEndpoints, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    """503 with Retry-After and no detail, and no handler runs (S-003)."""
    monkeypatch.setattr(*PARTS[part](ada.application), raising(RuntimeError("secret detail")))
    response = ada.get("/vault")
    assert (response.status_code, response.headers["Retry-After"], vault.calls) == (503, "1", 0)
    assert "secret detail" not in response.get_data(as_text=True)


def test_a_request_is_rejected_whatever_exception_is_raised(
    ada: FlaskClient, vault: ProtectedEndpoints, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Errors of the database, of memory, any error (S-003)."""
    statuses = []
    for fault in FAULTS:
        monkeypatch.setattr(*PARTS["the feed"](ada.application), raising(fault))
        statuses.append(ada.get("/vault").status_code)
    assert (set(statuses), vault.calls) == ({503}, 0)


@pytest.mark.parametrize("fault", [SystemExit(1), GeneratorExit()], ids=["exit", "generator"])
def test_a_request_is_rejected_when_no_ordinary_exception_is_raised(
    backend: Backend,
    ada: FlaskClient,
    vault: ProtectedEndpoints,
    monkeypatch: pytest.MonkeyPatch,
    fault: BaseException,
) -> None:
    """The outermost handler responds with 500 (S-003, S-197)."""
    monkeypatch.setattr(backend.services.revocation_feed, "check", raising(fault))
    response = ada.get("/vault")
    assert (response.status_code, response.content_type, vault.calls) == (
        500,
        "application/problem+json",
        0,
    )


def test_a_request_is_rejected_when_it_exceeds_the_rate_limit(
    make_backend: Callable[..., Backend], vault: ProtectedEndpoints
) -> None:
    """The limit never fails open (S-003, R-08)."""
    backend = make_backend(vault.blueprint, rate_limit="5/minute")
    ada = backend.signed_in_client("ada", "admin")
    statuses = [ada.get("/vault").status_code for _ in range(7)]
    assert statuses == [200] * 5 + [429] * 2


def test_tokens_are_rejected_when_revocations_are_unreadable_for_five_seconds(
    backend: Backend, ada: FlaskClient, timer: ManualTimer
) -> None:
    """Until then the copy in memory is used (R-03, R-09)."""
    assert ada.get("/vault").status_code == 200
    rename_away(backend.services.database, "itemsapi_revocation")
    statuses = []
    for _ in range(12):
        timer.advance(0.5)
        statuses.append(ada.get("/vault").status_code)
    assert statuses == [200] * 10 + [503] * 2


def test_tokens_are_accepted_when_revocations_are_readable_again(
    backend: Backend, ada: FlaskClient, timer: ManualTimer
) -> None:
    """Within two seconds, and without a restart (R-03)."""
    rename_away(backend.services.database, "itemsapi_revocation")
    timer.advance(60)
    assert ada.get("/vault").get_json()["code"] == "gate_unavailable"
    rename_back(backend.services.database, "itemsapi_revocation")
    timer.advance(1)
    assert ada.get("/vault").status_code == 200


def test_tokens_are_rejected_when_keys_are_unreadable_for_a_minute(
    backend: Backend, ada: FlaskClient, timer: ManualTimer
) -> None:
    """Keys change seldom, so their copy is used for a minute (R-03)."""
    assert ada.get("/vault").status_code == 200
    rename_away(backend.services.database, "itemsapi_signing_key")
    timer.advance(30)
    assert ada.get("/vault").status_code == 200
    timer.advance(31)
    assert ada.get("/vault").status_code == 503


def test_a_valid_token_gets_503_when_keys_are_unreadable(
    backend: Backend, ada: FlaskClient, timer: ManualTimer
) -> None:
    """Not 401: clients must not discard their tokens (R-03)."""
    rename_away(backend.services.database, "itemsapi_signing_key")
    timer.advance(100)
    assert ada.get("/vault").get_json()["code"] == "gate_unavailable"
    rename_back(backend.services.database, "itemsapi_signing_key")
    timer.advance(2)
    assert ada.get("/vault").status_code == 200


def test_public_routes_are_served_without_the_database(
    backend: Backend, ada: FlaskClient, timer: ManualTimer
) -> None:
    """They need nothing of it (R-03)."""
    rename_away(backend.services.database, "itemsapi_revocation")
    timer.advance(60)
    assert [ada.get(path).status_code for path in ("/hall", "/health/live")] == [200, 200]


def test_health_fails_when_tokens_are_rejected(
    backend: Backend, ada: FlaskClient, timer: ManualTimer
) -> None:
    """A load balancer stops using such a process (R-09)."""
    assert ada.get("/health/ready").status_code == 200
    rename_away(backend.services.database, "itemsapi_revocation")
    timer.advance(60)
    assert ada.get("/health/ready").status_code == 503


def test_health_succeeds_after_all_sessions_were_ended(backend: Backend) -> None:
    """It checks the age of the feed, for no particular token."""
    end_all_sessions(backend.services.issuer, why="a test")
    assert backend.client().get("/health/ready").status_code == 200


def test_the_body_of_an_anonymous_request_is_not_read(
    backend: Backend, vault: ProtectedEndpoints
) -> None:
    """5 MB, declared and never read (S-004)."""

    class Trap:
        def read(self, *_: object) -> bytes:
            raise AssertionError("the body was read")

        readline = readlines = __iter__ = read

    environ = {
        "wsgi.input": Trap(),
        "CONTENT_LENGTH": "5000000",
        "CONTENT_TYPE": "application/json",
    }
    response = backend.client().post("/vault", environ_overrides=environ)
    assert (response.status_code, vault.calls) == (401, 0)


@pytest.mark.parametrize("where", ["handler", "serializer"])
@pytest.mark.parametrize("fault", [RuntimeError("detail"), SystemExit(3)], ids=["error", "exit"])
def test_every_exception_becomes_a_problem_response(
    make_backend: Callable[..., Backend], where: str, fault: BaseException
) -> None:
    """500, problem+json, a request id and nothing about the cause (S-197, S-100)."""
    backend = make_backend(failing_blueprint(where, fault))
    response = backend.client().get("/broken")
    assert (response.status_code, response.get_json(force=True)["code"]) == (500, "internal_error")
    assert "detail" not in response.get_json(force=True)["detail"]


def failing_blueprint(where: str, fault: BaseException) -> Blueprint:
    """Return a blueprint that fails at one place."""
    blueprint = Blueprint("broken", __name__)

    @blueprint.get("/broken")
    @public("a test")
    @blueprint.response(200)
    def show() -> object:
        if where == "handler":
            raise fault
        return {"x": object()} if where == "serializer" else {}

    return blueprint
