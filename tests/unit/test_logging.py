"""The log of the service beside the structlog configuration of a host application."""

import json
import logging
from collections.abc import Callable
from contextvars import Context

import pytest
import structlog

from itemsapi.observability.context import (
    RequestContext,
    reset_request_context,
    set_request_context,
)
from itemsapi.observability.logging import log, set_log_level
from support.app_factory import Backend

pytestmark = pytest.mark.dialect("sqlite")  # nothing here depends on the database


def test_create_app_leaves_the_structlog_configuration_of_the_host(
    make_backend: Callable[..., Backend],
) -> None:
    """The host's own processors, wrapper class and logger factory stay the same objects."""
    before = structlog.get_config()
    was_configured = structlog.is_configured()
    make_backend()
    after = structlog.get_config()
    assert structlog.is_configured() is was_configured
    assert all(after[name] is before[name] for name in before)


def test_our_lines_do_not_pass_through_the_processors_of_the_host(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """They are JSON on standard error, even if the host configures another format."""
    calls: list[str] = []

    def host_processor(_logger: object, method: str, _event: object) -> str:
        calls.append(method)
        return "a line of the host"

    before = structlog.get_config()
    structlog.configure(processors=[host_processor])
    try:
        log.info("our_event")
    finally:
        structlog.configure(**before)
    line = json.loads(capsys.readouterr().err)
    assert (line["event"], line["level"], calls) == ("our_event", "info", [])


def test_lines_have_the_request_id_of_the_context(capsys: pytest.CaptureFixture[str]) -> None:
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


def test_lines_below_the_level_are_dropped(capsys: pytest.CaptureFixture[str]) -> None:
    """The command line shows warnings only."""
    set_log_level(level=logging.WARNING)
    try:
        log.info("hidden")
        log.warning("shown")
    finally:
        set_log_level()
    lines = [json.loads(line)["event"] for line in capsys.readouterr().err.splitlines()]
    assert lines == ["shown"]
