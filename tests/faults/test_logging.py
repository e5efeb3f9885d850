"""What the log says of failures (R-35), whose work a line is, and what if none can be written."""

import io
import json
import re
from collections.abc import Callable, Iterator

import flask
import psycopg
import pytest
from sqlalchemy import exc
from werkzeug.test import TestResponse

from itemsapi import Blueprint, public
from itemsapi.accounts.hashing_queue import HashingQueue
from itemsapi.observability.causes import one_line
from itemsapi.observability.logging import log
from itemsapi.problems import Unavailable
from itemsapi.rest.middleware import REFUSED
from support.app_factory import House
from support.operator_client import works

SAID = "no such table"
Captured = pytest.CaptureFixture[str]
Broken = Callable[[str, bool], House]


@pytest.fixture
def dialect() -> str:
    """What stands in the log does not depend on the database."""
    return "sqlite"


class Full(io.StringIO):
    """A file on a disk that is full."""

    def write(self, _: str) -> int:
        """Fail as the system does."""
        raise OSError(28, "No space left on device")


@pytest.mark.parametrize("broken", [Full(), None])
def test_requests_are_answered(
    house: House, monkeypatch: pytest.MonkeyPatch, broken: io.StringIO | None
) -> None:
    """A full disk behind standard error, or a closed one, signs nobody out (S-152)."""
    if broken is None:
        broken = io.StringIO()
        broken.close()
    monkeypatch.setattr("sys.stderr", broken)
    assert works(house, house.login("ada"))


def test_a_refusal_is_answered_when_its_cause_cannot_be_written(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S-152: a full disk takes nothing from a 503."""
    without(house, "itemsapi_revocation")
    monkeypatch.setattr("sys.stderr", Full())
    assert house.client().get("/health/ready").get_json()["code"] == "gate_unavailable"


def without(house: House, table: str) -> None:
    """Take a table away, as a restored or half-migrated database would."""
    with house.services.database.transaction() as tx:
        tx.connection().exec_driver_sql(f"ALTER TABLE {table} RENAME TO {table}_gone")


def page() -> Blueprint:
    """Make a page that fails in several ways, on purpose or not."""
    page = Blueprint("failing", __name__, url_prefix="/failing")

    @page.get("/<how>")
    @public("a test")
    @page.response(200)
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

    return page


@pytest.fixture
def house(make_house: Callable[..., House]) -> House:
    """A house with such a page, and somebody in it."""
    house = make_house(page())
    house.user("ada", "member")
    return house


def told(captured: Captured) -> list[dict[str, str]]:
    """Return the lines that were logged just now."""
    return [json.loads(line) for line in captured.readouterr().err.splitlines()]


def line_of(answer: TestResponse, captured: Captured) -> dict[str, str]:
    """Return the one line that tells why an answer is a 5xx, under the answer's id."""
    (line,) = (one for one in told(captured) if one["event"] in {"unavailable", "unhandled"})
    assert line["request_id"] == answer.headers["X-Request-Id"]
    return line


@pytest.mark.parametrize(
    ("how", "cause"),
    [
        ("abort", "ServiceUnavailable: 503 Service Unavailable: the printer is away"),
        ("response", "endpoint: it answered 503 by itself"),
        ("problem", "Come back on Monday."),
        ("error", "ZeroDivisionError: secret=***"),
    ],
)
def test_a_failing_page_is_one_line(house: House, capsys: Captured, how: str, cause: str) -> None:
    """R-35: whichever way it says that it failed."""
    answer = house.client().get(f"/failing/{how}")
    assert line_of(answer, capsys)["cause"] == cause


def items(house: House) -> TestResponse:
    """Ask for items, where the database has lost them."""
    ada = house.bearer(house.login("ada")["access_token"])
    without(house, "item")
    return ada.get("/items")


def token(house: House) -> TestResponse:
    """Refresh as OAuth clients do, where the database has lost the sessions."""
    tokens = house.login("ada")
    without(house, "itemsapi_session")
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    return house.client().post("/oauth/token", data=form)


def ready(table: str) -> Callable[[House], TestResponse]:
    """Return what asks for readiness where a table is lost."""

    def ask(house: House) -> TestResponse:
        without(house, table)
        return house.client().get("/health/ready")

    return ask


def muted(house: House) -> TestResponse:
    """Go around the gate."""
    with flask.request_started.muted():
        return house.client().get("/failing/stream")


def crowded(house: House) -> TestResponse:
    """Sign in where every place for a password is taken."""
    nowhere = HashingQueue(at_work=0, waiting=0)
    house.services.issuer.password_service._places = nowhere  # noqa: SLF001 - as if others were at it
    return house.client().post("/auth/login", json={"username": "ada", "password": "x" * 20})


def turned_away(house: House) -> TestResponse:
    """Ask for anything, where the server found that no thread came free."""
    refused = {REFUSED: Unavailable(cause="threads: none was free for 10 s")}
    return house.client().get("/health/live", environ_base=refused)


CAUSES: dict[str, tuple[Callable[[House], TestResponse], str]] = {
    "the database": (items, f"database: {SAID}"),
    "the database, for an OAuth client": (token, f"database: {SAID}"),
    "revocations": (
        ready("itemsapi_revocation"),
        f"revocations: not read for too long; database: {SAID}",
    ),
    "keys": (
        ready("itemsapi_signing_key"),
        f"signing keys: not read for too long; database: {SAID}",
    ),
    "the gate": (muted, "gate: failing.fail was reached without passing it"),
    "passwords": (crowded, "passwords: as many are being checked as this process can bear"),
    "the server": (turned_away, "threads: none was free for 10 s"),
}


@pytest.mark.parametrize("part", CAUSES)
def test_a_503_is_one_line_that_names_what_is_away(
    house: House, capsys: Captured, part: str
) -> None:
    """R-35: the dependency, and what its driver said, without the statement."""
    ask, cause = CAUSES[part]
    line = line_of(ask(house), capsys)
    assert (line["event"], line["level"]) == ("unavailable", "warning")
    assert line["cause"].startswith(cause)


def test_a_503_of_a_database_that_nobody_serves_names_no_password(
    make_house: Callable[..., House], capsys: Captured
) -> None:
    """R-35, S-150: what libpq says, on one line."""
    house = make_house(database_url="postgresql://u:c4n4ry@127.0.0.1:1/x")
    line = line_of(house.client().get("/health/ready"), capsys)
    assert re.search("database: connection.* refused", line["cause"])
    assert "c4n4ry" not in json.dumps(line)


def test_an_unexpected_error_in_the_gate_is_one_line_with_its_place(
    house: House, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R-35: 503 for the client, the place for the operator."""
    tokens = house.login("ada")
    monkeypatch.setattr(house.services.revocation_feed, "check", lambda **_: 1 / 0)
    line = line_of(house.bearer(tokens["access_token"]).get("/me"), capsys)
    assert (line["level"], line["cause"]) == ("error", "ZeroDivisionError: division by zero")
    assert "in verify" in line["exception"]


@pytest.mark.parametrize("hook", ["before_request", "after_request"])
def test_a_failing_hook_is_one_line(
    house: House, capsys: Captured, caplog: pytest.LogCaptureFixture, hook: str
) -> None:
    """R-35, S-151: and none of Flask's own, which shows the path as it was sent."""
    getattr(house.app, hook)(lambda *_: 1 / 0)
    answer = house.client().get("/health/live%0Aforged")
    assert (answer.status_code, [line["event"] for line in told(capsys)]) == (500, ["unhandled"])
    assert caplog.records == []


TWICE = 'duplicate key value violates unique constraint "a"'


@pytest.mark.parametrize(
    ("fault", "line"),
    [
        (psycopg.errors.UniqueViolation(f"{TWICE}\nDETAIL:  Key (a)=(c4n4ry)"), TWICE),
        (psycopg.errors.InvalidTextRepresentation('not a number: "c4n4ry"'),
         "InvalidTextRepresentation"),
        (psycopg.OperationalError("bad address postgresql://u:c4n4ry@host/x"),
         "bad address postgresql://***"),
        (psycopg.OperationalError("All failed:\n- host a: refused\n- host b: c4n4ry"),
         "All failed: - host a: refused"),
        (psycopg.OperationalError(""), "OperationalError"),
    ],
)  # fmt: skip
def test_a_drivers_words_are_cut_before_the_values(fault: psycopg.Error, line: str) -> None:
    """R-35, S-150: of rows, and of the statement around them."""
    wrapped = exc.DBAPIError("INSERT c4n4ry", {"a": "c4n4ry"}, fault)
    assert one_line(wrapped) == line


SPOKEN = [
    "refresh_token=c4n4ry",
    "access_token: c4n4ry",
    "PGPASSWORD=c4n4ry",
    "ITEMSAPI_SECRET_KEY=c4n4ry",
    "{'password': 'my c4n4ry'}",
    '{"token":"c4n4ry"}',
    "Bearer c4n4ry.c4n4ry",
    "password = 'my c4n4ry'",
]


@pytest.mark.parametrize("words", SPOKEN)
def test_what_an_error_says_of_a_secret_is_masked(words: str) -> None:
    """S-150: however it is spelled."""
    assert "c4n4ry" not in one_line(ValueError(words))


def owners(captured: Captured) -> list[str]:
    """Return the request ids of the lines that a test wrote just now."""
    log.info("afterwards")
    return [line["request_id"] for line in told(captured) if line["event"] == "afterwards"]


@pytest.mark.parametrize("path", ["/health/live", "/nothing", "/failing/error", "/failing/stream"])
def test_a_line_after_a_request_is_not_that_requests(
    house: House, capsys: Captured, path: str
) -> None:
    """R-35: whatever was answered, and by a stream too."""
    house.client().get(path)
    assert owners(capsys) == ["-"]


def test_a_line_after_a_refusal_at_the_edge_is_not_that_requests(
    house: House, capsys: Captured
) -> None:
    """R-35: what Flask never saw is forgotten, too."""
    assert house.client().get("/", headers={"X-A": "a" * 9000}).status_code == 431
    assert owners(capsys) == ["-"]


def fail_at_close(answer: flask.Response) -> flask.Response:
    """Let the end of an answer fail."""
    answer.call_on_close(lambda: 1 / 0)
    return answer


@pytest.mark.parametrize(
    ("hook", "failing"), [("after_request", fail_at_close), ("teardown_request", lambda _: 1 / 0)]
)
def test_a_line_after_an_answer_that_fails_at_its_end_is_not_that_requests(
    house: House, capsys: Captured, hook: str, failing: Callable[..., object]
) -> None:
    """R-35: the server is told, and the thread goes on without it."""
    getattr(house.app, hook)(failing)
    with pytest.raises(ZeroDivisionError):
        house.client().get("/health/live")
    assert owners(capsys) == ["-"]


def test_a_line_of_a_stream_is_its_requests(house: House, capsys: Captured) -> None:
    """R-35: the request is not over before its answer is."""
    answer = house.client().get("/failing/stream")
    (line,) = told(capsys)
    assert line["request_id"] == answer.headers["X-Request-Id"]


def test_a_line_after_a_request_within_a_request_is_the_outer_ones(
    make_house: Callable[..., House], capsys: Captured
) -> None:
    """R-35: the outer one goes on."""
    page = Blueprint("outer", __name__)

    @page.get("/outer")
    @public("a test")
    @page.response(200)
    def ask() -> object:
        built.client().get("/health/live")
        log.info("outer")
        return {}

    built = make_house(page)
    answer = built.client().get("/outer")
    assert [line["request_id"] for line in told(capsys)] == [answer.headers["X-Request-Id"]]
