"""Log lines for failures (R-35), their request ids, and logging that fails."""

import io
import json
import logging
import re
from collections.abc import Callable, Iterator

import flask
import psycopg
import pytest
from sqlalchemy import exc
from werkzeug.test import TestResponse

from itemsapi import Blueprint, public
from itemsapi.accounts.hashing_queue import HashingQueue
from itemsapi.observability.logging import log, set_log_level, summarize_error
from itemsapi.problems import Unavailable
from itemsapi.rest.middleware import SERVER_PROBLEM
from support.app_factory import Backend
from support.database_faults import rename_away
from support.operator_client import is_signed_in

pytestmark = pytest.mark.dialect("sqlite")  # the log does not depend on the database

MISSING_TABLE = "no such table"
Captured = pytest.CaptureFixture[str]
BuildBackend = Callable[[str, bool], Backend]


class FullDisk(io.StringIO):
    """A file on a full disk."""

    def write(self, _: str) -> int:
        """Raise the error of a full disk."""
        raise OSError(28, "No space left on device")


@pytest.fixture
def errors_only() -> Iterator[None]:
    """The host application wants errors only."""
    set_log_level(level=logging.ERROR)
    yield
    set_log_level()


def test_a_new_application_keeps_the_log_level_of_the_host(
    errors_only: None, make_backend: Callable[[], Backend], capsys: Captured
) -> None:
    """The level belongs to the process, which may have several applications."""
    make_backend()
    log.warning("dropped")
    assert "dropped" not in capsys.readouterr().err


@pytest.mark.parametrize("broken", [FullDisk(), None])
def test_requests_succeed_when_standard_error_fails(
    backend: Backend, monkeypatch: pytest.MonkeyPatch, broken: io.StringIO | None
) -> None:
    """A full disk behind standard error, or a closed one, breaks no request (S-152)."""
    if broken is None:
        broken = io.StringIO()
        broken.close()
    monkeypatch.setattr("sys.stderr", broken)
    assert is_signed_in(backend, backend.login("ada"))


def test_an_error_is_returned_when_its_cause_cannot_be_logged(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S-152: a full disk does not change a 503."""
    rename_away(backend.services.database, "itemsapi_revocation")
    monkeypatch.setattr("sys.stderr", FullDisk())
    assert backend.client().get("/health/ready").get_json()["code"] == "gate_unavailable"


def failing_blueprint() -> Blueprint:
    """Return a blueprint whose views fail in several ways."""
    failing_blueprint = Blueprint("failing", __name__, url_prefix="/failing")

    @failing_blueprint.get("/<how>")
    @public("a test")
    @failing_blueprint.response(200)
    def fail(how: str) -> object:
        if how == "abort":
            flask.abort(503, "the printer is away")
        if how == "response":
            return flask.Response(status=503)
        if how == "problem":
            raise Unavailable("Come back on Monday.")
        if how == "stream":
            return flask.Response(say(), mimetype="text/plain")
        raise ZeroDivisionError("secret=c4n4ry")

    def say() -> Iterator[str]:
        log.info("streaming")
        yield "word"

    return failing_blueprint


@pytest.fixture
def backend(make_backend: Callable[..., Backend]) -> Backend:
    """A backend with the failing blueprint and a user."""
    backend = make_backend(failing_blueprint())
    backend.create_user("ada", "member")
    return backend


def logged(captured: Captured) -> list[dict[str, str]]:
    """Return the lines logged since the last call."""
    return [json.loads(line) for line in captured.readouterr().err.splitlines()]


def cause_line(response: TestResponse, captured: Captured) -> dict[str, str]:
    """Return the one log line for a 5xx response, with the response's request id."""
    (line,) = (one for one in logged(captured) if one["event"] in {"unavailable", "unhandled"})
    assert line["request_id"] == response.headers["X-Request-Id"]
    return line


@pytest.mark.parametrize(
    ("how", "cause"),
    [
        ("abort", "ServiceUnavailable: 503 Service Unavailable: the printer is away"),
        ("response", "endpoint: its view returned status 503"),
        ("problem", "Come back on Monday."),
        ("error", "ZeroDivisionError: secret=***"),
    ],
)
def test_a_failing_view_is_one_log_line(
    backend: Backend, capsys: Captured, how: str, cause: str
) -> None:
    """R-35: however the view fails."""
    response = backend.client().get(f"/failing/{how}")
    assert cause_line(response, capsys)["cause"] == cause


def list_items_without_table(backend: Backend) -> TestResponse:
    """List items after the table was removed."""
    ada = backend.bearer_client(backend.login("ada")["access_token"])
    rename_away(backend.services.database, "itemsapi_item")
    return ada.get("/items")


def refresh_without_table(backend: Backend) -> TestResponse:
    """Refresh as an OAuth client after the table of sessions was removed."""
    tokens = backend.login("ada")
    rename_away(backend.services.database, "itemsapi_session")
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    return backend.client().post("/oauth/token", data=form)


def readiness_without(table: str) -> Callable[[Backend], TestResponse]:
    """Return a function that requests readiness without a table."""

    def send_failing_request(backend: Backend) -> TestResponse:
        rename_away(backend.services.database, table)
        return backend.client().get("/health/ready")

    return send_failing_request


def bypass_gate(backend: Backend) -> TestResponse:
    """Send a request that bypasses the gate."""
    with flask.request_started.muted():
        return backend.client().get("/failing/stream")


def login_without_capacity(backend: Backend) -> TestResponse:
    """Log in while no password can be hashed."""
    nowhere = HashingQueue(max_running=0, max_waiting=0)
    backend.services.issuer.password_service._queue = nowhere  # noqa: SLF001 - as if others were at it
    return backend.client().post("/auth/login", json={"username": "ada", "password": "x" * 20})


def reject_in_server(backend: Backend) -> TestResponse:
    """Send a request that the server rejected because no thread was free."""
    refused = {SERVER_PROBLEM: Unavailable(cause="threads: none was free for 10 s")}
    return backend.client().get("/health/live", environ_base=refused)


CAUSES: dict[str, tuple[Callable[[Backend], TestResponse], str]] = {
    "the database": (list_items_without_table, f"database: {MISSING_TABLE}"),
    "the database, for an OAuth client": (refresh_without_table, f"database: {MISSING_TABLE}"),
    "revocations": (
        readiness_without("itemsapi_revocation"),
        f"revocations: not read for too long; database: {MISSING_TABLE}",
    ),
    "keys": (
        readiness_without("itemsapi_signing_key"),
        f"signing keys: not read for too long; database: {MISSING_TABLE}",
    ),
    "the gate": (bypass_gate, "gate: failing.fail was reached without passing it"),
    "passwords": (
        login_without_capacity,
        "passwords: the limit of concurrent verifications is reached",
    ),
    "the server": (reject_in_server, "threads: none was free for 10 s"),
}


@pytest.mark.parametrize("part", CAUSES)
def test_a_503_is_one_log_line_with_the_cause(
    backend: Backend, capsys: Captured, part: str
) -> None:
    """R-35: the dependency and its driver's message, without the statement."""
    send_failing_request, cause = CAUSES[part]
    line = cause_line(send_failing_request(backend), capsys)
    assert (line["event"], line["level"]) == ("unavailable", "warning")
    assert line["cause"].startswith(cause)


def test_a_503_of_an_unreachable_database_shows_no_password(
    make_backend: Callable[..., Backend], capsys: Captured
) -> None:
    """R-35, S-150: libpq's message on one line."""
    backend = make_backend(database_url="postgresql://u:c4n4ry@127.0.0.1:1/x")
    line = cause_line(backend.client().get("/health/ready"), capsys)
    assert re.search("database: connection.* refused", line["cause"])
    assert "c4n4ry" not in json.dumps(line)


def test_an_unexpected_error_in_the_gate_is_one_log_line_with_a_traceback(
    backend: Backend, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R-35: 503 for the client, the traceback for the operator."""
    tokens = backend.login("ada")
    monkeypatch.setattr(backend.services.revocation_feed, "check", lambda **_: 1 / 0)
    line = cause_line(backend.bearer_client(tokens["access_token"]).get("/me"), capsys)
    assert (line["level"], line["cause"]) == ("error", "ZeroDivisionError: division by zero")
    assert "in verify" in line["exception"]


@pytest.mark.parametrize("hook", ["before_request", "after_request"])
def test_a_failing_hook_is_one_log_line(
    backend: Backend, capsys: Captured, caplog: pytest.LogCaptureFixture, hook: str
) -> None:
    """R-35, S-151: Flask's own line, which would show the raw path, is suppressed."""
    getattr(backend.app, hook)(lambda *_: 1 / 0)
    response = backend.client().get("/health/live%0Aforged")
    assert (response.status_code, [line["event"] for line in logged(capsys)]) == (
        500,
        ["unhandled"],
    )
    assert not any(record.exc_info for record in caplog.records)


DUPLICATE = 'duplicate key value violates unique constraint "a"'


@pytest.mark.parametrize(
    ("fault", "line"),
    [
        (psycopg.errors.UniqueViolation(f"{DUPLICATE}\nDETAIL:  Key (a)=(c4n4ry)"), DUPLICATE),
        (psycopg.errors.InvalidTextRepresentation('not a number: "c4n4ry"'),
         "InvalidTextRepresentation"),
        (psycopg.OperationalError("bad address postgresql://u:c4n4ry@host/x"),
         "bad address postgresql://***"),
        (psycopg.OperationalError("All failed:\n- host a: refused\n- host b: c4n4ry"),
         "All failed: - host a: refused"),
        (psycopg.OperationalError(""), "OperationalError"),
    ],
)  # fmt: skip
def test_a_driver_message_is_cut_before_the_values(fault: psycopg.Error, line: str) -> None:
    """R-35, S-150: values of rows and of the statement are not logged."""
    wrapped = exc.DBAPIError("INSERT c4n4ry", {"a": "c4n4ry"}, fault)
    assert summarize_error(wrapped) == line


MESSAGES = [
    "refresh_token=c4n4ry",
    "access_token: c4n4ry",
    "PGPASSWORD=c4n4ry",
    "ITEMSAPI_SECRET_KEY=c4n4ry",
    "{'password': 'my c4n4ry'}",
    '{"token":"c4n4ry"}',
    "Bearer c4n4ry.c4n4ry",
    "password = 'my c4n4ry'",
]


@pytest.mark.parametrize("words", MESSAGES)
def test_a_secret_in_an_error_message_is_masked(words: str) -> None:
    """S-150: however it is spelled."""
    assert "c4n4ry" not in summarize_error(ValueError(words))


def request_ids_afterwards(captured: Captured) -> list[str]:
    """Return the request ids of a line that is logged now."""
    log.info("afterwards")
    return [line["request_id"] for line in logged(captured) if line["event"] == "afterwards"]


@pytest.mark.parametrize("path", ["/health/live", "/nothing", "/failing/error", "/failing/stream"])
def test_a_line_after_a_request_has_no_request_id(
    backend: Backend, capsys: Captured, path: str
) -> None:
    """R-35: for every kind of response, streams included."""
    backend.client().get(path)
    assert request_ids_afterwards(capsys) == ["-"]


def test_a_line_after_a_request_rejected_in_middleware_has_no_request_id(
    backend: Backend, capsys: Captured
) -> None:
    """R-35: requests that Flask never sees are included."""
    assert backend.client().get("/", headers={"X-A": "a" * 9000}).status_code == 431
    assert request_ids_afterwards(capsys) == ["-"]


def fail_at_close(response: flask.Response) -> flask.Response:
    """Make the end of a response fail."""
    response.call_on_close(lambda: 1 / 0)
    return response


@pytest.mark.parametrize(
    ("hook", "failing"), [("after_request", fail_at_close), ("teardown_request", lambda _: 1 / 0)]
)
def test_a_line_after_a_response_that_fails_at_its_end_has_no_request_id(
    backend: Backend, capsys: Captured, hook: str, failing: Callable[..., object]
) -> None:
    """R-35: the error is raised to the server, and the thread continues without the request id."""
    getattr(backend.app, hook)(failing)
    with pytest.raises(ZeroDivisionError):
        backend.client().get("/health/live")
    assert request_ids_afterwards(capsys) == ["-"]


def test_a_line_of_a_stream_has_its_request_id(backend: Backend, capsys: Captured) -> None:
    """R-35: the request lasts until its response ends."""
    response = backend.client().get("/failing/stream")
    (line,) = logged(capsys)
    assert line["request_id"] == response.headers["X-Request-Id"]


def test_a_line_after_a_nested_request_has_the_outer_request_id(
    make_backend: Callable[..., Backend], capsys: Captured
) -> None:
    """R-35: the outer request continues."""
    failing_blueprint = Blueprint("outer", __name__)

    @failing_blueprint.get("/outer")
    @public("a test")
    @failing_blueprint.response(200)
    def send_failing_request() -> object:
        built.client().get("/health/live")
        log.info("outer")
        return {}

    built = make_backend(failing_blueprint)
    response = built.client().get("/outer")
    assert [line["request_id"] for line in logged(capsys)] == [response.headers["X-Request-Id"]]
