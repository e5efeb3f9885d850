"""A plugin of pytest: which test runs which lines, and for how long.

The program runs the suite once with it, under coverage; each test is a context of its own.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import coverage
import pytest

PLACE = "MUTANTS_TIMES"  # where the seconds of each test that passed are written

_seconds: dict[str, float] = {}
_bad: set[str] = set()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Let coverage note the lines of a test, its fixtures included, under its name."""
    measuring = coverage.Coverage.current()
    if measuring is not None:
        measuring.switch_context(item.nodeid)
    yield
    if measuring is not None:
        measuring.switch_context("")


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Add up the seconds of a test's parts."""
    _seconds[report.nodeid] = _seconds.get(report.nodeid, 0) + report.duration
    if not report.passed:
        _bad.add(report.nodeid)


def pytest_sessionfinish() -> None:
    """Write down what passed; xdist's workers have told the one process that does."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        passed = {test: took for test, took in _seconds.items() if test not in _bad}
        Path(os.environ[PLACE]).write_text(json.dumps(passed))
