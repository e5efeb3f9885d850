"""A pytest plugin that records which test runs which lines, and for how long.

The suite runs once with it, under coverage; each test is a coverage context.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import coverage
import pytest

TIMES_VARIABLE = "MUTANTS_TIMES"  # names the file with the seconds of each passed test

_seconds: dict[str, float] = {}
_failed: set[str] = set()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Record the lines of a test, including its fixtures, under its name."""
    measuring = coverage.Coverage.current()
    if measuring is not None:
        measuring.switch_context(item.nodeid)
    yield
    if measuring is not None:
        measuring.switch_context("")


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Add up the seconds of a test's phases."""
    _seconds[report.nodeid] = _seconds.get(report.nodeid, 0) + report.duration
    if not report.passed:
        _failed.add(report.nodeid)


def pytest_sessionfinish() -> None:
    """Write the times of passed tests, in the main process of xdist only."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        passed = {test: took for test, took in _seconds.items() if test not in _failed}
        Path(os.environ[TIMES_VARIABLE]).write_text(json.dumps(passed))
