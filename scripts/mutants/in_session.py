"""Trials of what runs later: pytest collects the suite once, then each trial is forked off there.

In the fork the functions of the module get the code of the changed text. So a trial costs little
more than its tests. What ran at import stays as it was: that is for `at_import`.
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

MEMORY = Path("/dev/shm")  # noqa: S108 - where the kernel keeps files in memory
FIRST = "[sqlite]"  # ends the name of a test that sets up the empty database which others copy


class Session:
    """A plugin of pytest: where it would run the tests, hand over to whoever tries mutants."""

    def __init__(self, work: Callable[[Run], None]) -> None:
        """Take what is done in the session, with a function that runs tests in a fork."""
        self._work = work
        self._items: dict[str, pytest.Item] = {}
        self._failed: list[str] = []
        self._functions: list[FunctionType] = []
        self._caches: list[_lru_cache_wrapper[object]] = []

    def open(self, tests: Sequence[str]) -> None:
        """Collect the files of the tests, and do the work."""
        files = sorted({str(ROOT / test.split("::", 1)[0]) for test in tests})
        calm = ["-qq", "-s", "--assert=plain", "-p", "no:cacheprovider", "-p", "no:xdist"]
        tidy = ["-o", "tmp_path_retention_policy=none", f"--rootdir={ROOT}"]
        with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as place:
            pytest.main([*calm, *tidy, f"--basetemp={place}/tests", *files], [self])

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Run one test, whose fixtures of the session stay for all forks; then do the work."""
        self._session = session
        self._items = {item.nodeid: item for item in session.items}
        first = next(item for test, item in self._items.items() if test.endswith(FIRST))
        # As if the session itself came next: what is set up below it goes, its own fixtures stay.
        first.config.hook.pytest_runtest_protocol(item=first, nextitem=session)
        self._functions = [one for one in gc.get_objects() if isinstance(one, FunctionType)]
        self._caches = [one for one in gc.get_objects() if isinstance(one, _lru_cache_wrapper)]
        gc.freeze()
        self._work(self._run)
        return True

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note a failure."""
        if report.failed:
            self._failed.append(report.nodeid)

    def _run(self, mutant: Mutant | None, tests: Sequence[str]) -> list[str]:
        """Run the tests until one fails."""
        if mutant is not None:
            _change(self._functions, mutant)
            for cache in self._caches:
                cache.cache_clear()  # what the code before the change worked out
        for item in [self._items[test] for test in tests if test in self._items]:
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=self._session)
            if self._failed:
                break
        return self._failed


def _change(functions: Iterable[FunctionType], mutant: Mutant) -> None:
    """Give the functions of the module the code of the changed text."""
    new = dict(_codes(compile(mutant.code(), str(mutant.path), "exec")))
    for one in functions:
        if one.__code__.co_filename == str(mutant.path):
            code = new.get(_name(one.__code__))
            if code is not None and len(code.co_freevars) == len(one.__code__.co_freevars):
                one.__code__ = code


def _codes(code: CodeType) -> Iterator[tuple[tuple[str, int], CodeType]]:
    yield _name(code), code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _name(code: CodeType) -> tuple[str, int]:
    return code.co_qualname, code.co_firstlineno
