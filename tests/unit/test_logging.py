"""The log: JSON lines of the service, and records for the handlers of a host application."""

import json
import logging
import logging.config
import re
from collections.abc import Callable, Iterator
from contextvars import Context
from io import StringIO

import pytest
from flask import Flask

from itemsapi.extension import AuthLayer
from itemsapi.observability.context import (
    RequestContext,
    reset_request_context,
    set_request_context,
)
from itemsapi.observability.logging import (
    LOGGER,
    StandardErrorHandler,
    audit_log,
    log,
    set_log_level,
    write_log_lines,
)
from itemsapi.settings import Settings
from support.app_factory import Backend
from support.command_line import SECRET

pytestmark = pytest.mark.dialect("sqlite")  # nothing here depends on the database


@pytest.fixture
def unconfigured() -> Iterator[None]:
    """The logger as the import of the package leaves it; other tests have configured it."""
    handlers, level, propagate = LOGGER.handlers[:], LOGGER.level, LOGGER.propagate
    LOGGER.handlers[:], LOGGER.propagate = [], True
    LOGGER.setLevel(logging.NOTSET)
    yield
    LOGGER.handlers[:], LOGGER.propagate = handlers, propagate
    LOGGER.setLevel(level)


@pytest.fixture
def json_lines(unconfigured: None) -> Iterator[None]:
    """The configuration of the service, outside of any request."""
    write_log_lines(as_json=True)
    before = set_request_context(RequestContext())
    yield
    reset_request_context(before)


@pytest.fixture
def host_log(unconfigured: None) -> Iterator[StringIO]:
    """What the root handler of a host application writes, in a format of its own."""
    stream, root = StringIO(), logging.getLogger()
    handlers, level = root.handlers[:], root.level
    logging.config.dictConfig({
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"host": {"format": "[%(name)s] %(levelname)s %(message)s"}},
        "handlers": {
            "host": {"class": "logging.StreamHandler", "stream": stream, "formatter": "host"}
        },
        "root": {"level": "INFO", "handlers": ["host"]},
    })  # fmt: skip
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)


def test_the_layer_configures_no_logging(unconfigured: None, settings: Settings) -> None:
    """On a host application handlers, levels and propagation are the host's."""
    AuthLayer(Flask("host"), settings=settings)
    assert (LOGGER.handlers, LOGGER.level, LOGGER.propagate) == ([], logging.NOTSET, True)


def test_a_record_goes_to_the_handler_of_the_host(host_log: StringIO) -> None:
    """In the format of the host, with the fields in the message."""
    log.warning("worker_died", request_id="r-1", pid=7, reason="out of memory")
    expected = '[itemsapi] WARNING worker_died request_id=r-1 pid=7 reason="out of memory"\n'
    assert host_log.getvalue() == expected


def test_an_audit_event_has_a_logger_of_its_own(host_log: StringIO) -> None:
    """A host can send the audit trail to a place of its own."""
    audit_log.info("authn_login_success", request_id="-", user_id=None)
    expected = "[itemsapi.audit] INFO authn_login_success request_id=- user_id=None\n"
    assert host_log.getvalue() == expected


def test_a_record_has_its_fields_as_attributes(
    unconfigured: None, caplog: pytest.LogCaptureFixture
) -> None:
    """For a formatter or filter of the host."""
    log.error("worker_died", request_id="r-1", pid=7)
    (record,) = caplog.records
    assert vars(record)["event"] == "worker_died"
    assert vars(record)["fields"] == {"request_id": "r-1", "pid": 7}


def test_a_record_names_the_place_of_the_call(
    unconfigured: None, caplog: pytest.LogCaptureFixture
) -> None:
    """Not the place of the adapter."""
    log.error("worker_died")
    assert (caplog.records[0].filename, caplog.records[0].funcName) == (
        "test_logging.py",
        "test_a_record_names_the_place_of_the_call",
    )


@pytest.mark.parametrize("value", ["a\nforged", "\x1b[2Jx", "a\u202eb", "x\u2028y", 'a" pid=9'])
def test_no_value_forges_a_line_of_the_host(host_log: StringIO, value: str) -> None:
    """S-151: line breaks, escape sequences and bidirectional controls are escaped, and quotes."""
    log.warning("odd", request_id="-", name=value)
    line = host_log.getvalue()
    assert line.isascii()
    assert line == f"[itemsapi] WARNING odd request_id=- name={json.dumps(value)}\n"


def test_no_field_name_forges_a_line_of_the_host(host_log: StringIO) -> None:
    """S-151: such a name is shown with underscores."""
    log.warning("odd", request_id="-", **{"a\nb)%s": 1})
    assert host_log.getvalue() == "[itemsapi] WARNING odd request_id=- a_b__s=1\n"


def fail(message: str) -> None:
    """Raise an error with a message."""
    raise ValueError(message)


def test_a_traceback_for_the_host_shows_no_secret(host_log: StringIO) -> None:
    """S-150, S-151: each exception of the chain is one line, with secrets masked."""
    try:
        fail("password=c4n4ry\nsecond line c4n4ry")
    except ValueError as error:
        log.error("failed", error=error)
    assert "test_logging.py" in host_log.getvalue()
    assert host_log.getvalue().endswith("\nValueError: password=***\n")


class BrokenHandler(logging.Handler):
    """A handler of a host that fails."""

    def emit(self, _: logging.LogRecord) -> None:
        """Raise an error."""
        raise OSError(28, "No space left on device")


def test_a_failing_handler_of_the_host_raises_nothing(unconfigured: None) -> None:
    """S-152: no request fails because of it."""
    LOGGER.addHandler(BrokenHandler())
    log.error("lost")


def test_the_service_writes_json_lines(
    json_lines: None, capsys: pytest.CaptureFixture[str]
) -> None:
    """One object a line, on standard error."""
    log.warning("worker_died", pid=7)
    line = json.loads(capsys.readouterr().err)
    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "worker_died", "level": "warning", "request_id": "-", "pid": 7}


@pytest.fixture
def text_lines(unconfigured: None) -> Iterator[None]:
    """The configuration of the service in development, outside of any request."""
    write_log_lines(as_json=False)
    before = set_request_context(RequestContext())
    yield
    reset_request_context(before)


def test_the_service_writes_readable_lines_in_development(
    text_lines: None, capsys: pytest.CaptureFixture[str]
) -> None:
    """The time, the level, the event and its fields; the request id is last."""
    log.warning("worker_died", request_id="r-1", pid=7, reason="out of memory", user_id=None)
    line = re.sub(r"^\d\d:\d\d:\d\d ", "", capsys.readouterr().err)
    assert line == 'warning worker_died pid=7 reason="out of memory" request_id=r-1\n'


def test_no_value_forges_a_readable_line(
    text_lines: None, capsys: pytest.CaptureFixture[str]
) -> None:
    """S-151: in a field, and in the message of an application's own record."""
    log.warning("odd", name="a\nforged")
    LOGGER.warning("odd name: %s", "a\nforged\x1b[2J")
    assert len(capsys.readouterr().err.splitlines()) == 2


def test_a_readable_traceback_shows_no_secret(
    text_lines: None, capsys: pytest.CaptureFixture[str]
) -> None:
    """S-150: it stands below its line."""
    try:
        fail("password=c4n4ry")
    except ValueError as error:
        log.error("failed", error=error)
    assert capsys.readouterr().err.endswith("\nValueError: password=***\n")


@pytest.mark.parametrize(
    ("profile", "log_format", "is_json"),
    [
        ("development", "auto", False),
        ("production", "auto", True),
        ("development", "json", True),
        ("production", "text", False),
    ],
)
def test_lines_are_json_in_production_unless_the_setting_says_otherwise(
    profile: str, log_format: str, *, is_json: bool
) -> None:
    """Programs read them there, and people in development."""
    names = {"PROFILE": profile, "LOG_FORMAT": log_format, "PUBLIC_URL": "https://api.example"}
    names |= {"SECRET_KEY": SECRET}
    settings = Settings.from_environment({f"ITEMSAPI_{k}": v for k, v in names.items()})
    assert settings.logs_json is is_json


def test_lines_of_an_application_logger_are_json_too(
    json_lines: None, capsys: pytest.CaptureFixture[str]
) -> None:
    """S-151: `current_app.logger` of the service is this logger; its blueprints may use it."""
    LOGGER.warning("odd name: %s", "a\nforged")
    assert json.loads(capsys.readouterr().err)["event"] == "odd name: a\nforged"


def test_a_traceback_of_an_application_logger_shows_no_secret(
    json_lines: None, capsys: pytest.CaptureFixture[str]
) -> None:
    """S-150: as the tracebacks of our own lines."""
    try:
        fail("password=c4n4ry")
    except ValueError:
        LOGGER.exception("failed")
    assert json.loads(capsys.readouterr().err)["exception"].endswith("\nValueError: password=***")


def test_create_app_keeps_a_handler_that_the_process_has(
    unconfigured: None, make_backend: Callable[..., Backend]
) -> None:
    """An operator who wants another format sets a handler of the logger `itemsapi`."""
    handler = logging.NullHandler()
    LOGGER.addHandler(handler)
    make_backend()
    assert LOGGER.handlers == [handler]


def test_create_app_leaves_the_root_logger(
    host_log: StringIO, make_backend: Callable[..., Backend]
) -> None:
    """Only the logger of the service is configured, and its lines appear once."""
    root = logging.getLogger()
    before = (root.handlers[:], root.level)
    make_backend()
    log.warning("not_repeated")
    assert (root.handlers, root.level, host_log.getvalue()) == (*before, "")


def test_a_second_application_adds_no_second_handler(
    unconfigured: None, make_backend: Callable[..., Backend]
) -> None:
    """Otherwise each line would appear twice."""
    make_backend()
    make_backend()
    assert [type(handler) for handler in LOGGER.handlers] == [StandardErrorHandler]


def test_lines_have_the_request_id_of_the_context(
    json_lines: None, capsys: pytest.CaptureFixture[str]
) -> None:
    """So that an operator finds all lines of a request (R-35)."""

    def write_lines() -> None:
        token = set_request_context(RequestContext(request_id="r-1"))
        try:
            log.warning("inside")
        finally:
            reset_request_context(token)
        log.warning("outside")

    Context().run(write_lines)  # a response that an earlier test did not close leaves its context
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["request_id"] for line in lines] == ["r-1", "-"]


def test_lines_below_the_level_are_dropped(
    json_lines: None, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command line shows warnings only."""
    set_log_level(level=logging.WARNING)
    log.info("hidden")
    log.warning("shown")
    lines = [json.loads(line)["event"] for line in capsys.readouterr().err.splitlines()]
    assert lines == ["shown"]
