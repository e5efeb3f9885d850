"""Trials of code that runs after import: pytest collects the suite once, then forks each trial.

In the fork the functions of the module get the mutated code, so a trial costs little more than its
tests. Code that ran at import stays unchanged: `at_import` handles it.
"""

import gc
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import _lru_cache_wrapper
from pathlib import Path
from types import CodeType, FunctionType

import pytest

from mutations import Mutant
from selection import ROOT
from trial import Run

MEMORY = Path("/dev/shm")  # noqa: S108 - files in memory
FIRST = "[sqlite]"  # suffix of a test that creates the database template


class Session:
    """A pytest plugin that runs trials of mutants in place of the tests."""

    def __init__(self, work: Callable[[Run], None]) -> None:
        """Take the work to do in the session; it gets a function that runs tests in a fork."""
        self._work = work
        self._items: dict[str, pytest.Item] = {}
        self._failed: list[str] = []
        self._functions: list[FunctionType] = []
        self._caches: list[_lru_cache_wrapper[object]] = []

    def open(self, tests: Sequence[str]) -> None:
        """Collect the files of the tests, and do the work."""
        files = sorted({str(ROOT / test.split("::", 1)[0]) for test in tests})
        quiet_options = ["-qq", "-s", "--assert=plain", "-p", "no:cacheprovider", "-p", "no:xdist"]
        path_options = ["-o", "tmp_path_retention_policy=none", f"--rootdir={ROOT}"]
        with tempfile.TemporaryDirectory(
            dir=MEMORY if MEMORY.is_dir() else None
        ) as temporary_folder:
            pytest.main(
                [*quiet_options, *path_options, f"--basetemp={temporary_folder}/tests", *files],
                [self],
            )

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Run one test, whose session fixtures stay set up for all forks; then do the work."""
        self._session = session
        self._items = {item.nodeid: item for item in session.items}
        first = next(item for test, item in self._items.items() if test.endswith(FIRST))
        # With the session as the next item, only fixtures of the session stay set up.
        first.config.hook.pytest_runtest_protocol(item=first, nextitem=session)
        self._functions = [one for one in gc.get_objects() if isinstance(one, FunctionType)]
        self._caches = [one for one in gc.get_objects() if isinstance(one, _lru_cache_wrapper)]
        gc.freeze()
        self._work(self._run)
        return True

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Record a failure."""
        if report.failed:
            self._failed.append(report.nodeid)

    def _run(self, mutant: Mutant | None, tests: Sequence[str]) -> list[str]:
        """Run the tests until one fails."""
        if mutant is not None:
            _apply_mutant(self._functions, mutant)
            for cache in self._caches:
                cache.cache_clear()  # results of the unchanged code
        for item in [self._items[test] for test in tests if test in self._items]:
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=self._session)
            if self._failed:
                break
        return self._failed


def _apply_mutant(functions: Iterable[FunctionType], mutant: Mutant) -> None:
    """Replace the code of the module's functions by the mutated code."""
    new = dict(_nested_codes(compile(mutant.code(), str(mutant.path), "exec")))
    for one in functions:
        if one.__code__.co_filename == str(mutant.path):
            code = new.get(_name(one.__code__))
            if code is not None and len(code.co_freevars) == len(one.__code__.co_freevars):
                one.__code__ = code


def _nested_codes(code: CodeType) -> Iterator[tuple[tuple[str, int], CodeType]]:
    yield _name(code), code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _nested_codes(constant)


def _name(code: CodeType) -> tuple[str, int]:
    return code.co_qualname, code.co_firstlineno
