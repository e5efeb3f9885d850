"""One mutant's trial: a process of its own that imports the changed module and runs its tests.

Other people's packages are imported before the process is forked off, ours in it: what a module
does at import time is put to the test as well.
"""

import importlib.machinery
import importlib.util
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from types import CodeType

import pytest

from mutations import Mutant
from selection import ROOT

HEAVY = (
    "alembic.command", "alembic.config", "alembic.runtime.migration", "argon2", "authlib.jose",
    "click.testing", "cryptography.hazmat.primitives.serialization", "flask_jwt_extended",
    "flask_smorest", "hypothesis.stateful", "hypothesis.strategies", "jsonschema", "limits",
    "orjson", "prometheus_client", "psycopg", "requests", "rich.console", "rich.progress",
    "rich.table", "sqlalchemy.dialects.postgresql", "sqlalchemy.dialects.sqlite", "sqlalchemy.orm",
    "structlog", "webargs.flaskparser",
)  # fmt: skip
FORK = multiprocessing.get_context("fork")
SLOWER = 8  # times as long as in the first run: the mutant hangs
SPARE = 30.0  # seconds beyond that, for imports on a busy machine


def warm_up() -> None:
    """Import what every trial needs and no mutant is part of."""
    sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]
    for name in HEAVY:
        importlib.import_module(name)
    ours = [name for name in sys.modules if name.split(".")[0] == "itemsapi"]
    if ours:
        raise RuntimeError(f"{ours[0]} is imported already: no mutant would take its place.")


class _Changed(importlib.machinery.SourceFileLoader):
    """Loads one module from the changed tree."""

    def __init__(self, mutant: Mutant) -> None:
        super().__init__(mutant.module, str(mutant.path))
        self._mutant = mutant

    def get_code(self, fullname: str) -> CodeType:
        """Compile the changed tree of the one module that this loads."""
        return compile(self._mutant.code(), self.get_filename(fullname), "exec")


class _Finder:
    """Stands before Python's own finders, and finds the changed module alone."""

    def __init__(self, mutant: Mutant) -> None:
        self._mutant = mutant

    def find_spec(self, fullname: str, *_: object) -> importlib.machinery.ModuleSpec | None:
        """Say where a module comes from."""
        if fullname != self._mutant.module:
            return None
        return importlib.util.spec_from_loader(fullname, _Changed(self._mutant))


class _Chosen:
    """A plugin of pytest: runs the chosen tests in the chosen order, and says what fails first."""

    def __init__(self, tests: Sequence[str]) -> None:
        self._order = {test: at for at, test in enumerate(tests)}
        self.failed: list[str] = []

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        known = [item for item in items if item.nodeid in self._order]
        items[:] = sorted(known, key=lambda item: self._order[item.nodeid])

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed.append(report.nodeid)


@dataclass
class Trial:
    """A trial under way."""

    mutant: Mutant | None
    tests: Sequence[str]
    ends: float
    place: Path
    keep_going: bool = False
    answers: Connection = field(init=False)
    process: multiprocessing.process.BaseProcess = field(init=False)

    def start(self) -> None:
        """Fork the trial off."""
        self.answers, says = FORK.Pipe(duplex=False)
        self.process = FORK.Process(target=self._run, args=(says,))
        self.process.start()
        says.close()

    def over(self) -> bool:
        """Tell whether the trial has ended; end one that hangs."""
        if self.process.is_alive() and time.monotonic() > self.ends:
            os.killpg(self.process.pid or 0, signal.SIGKILL)
        self.process.join(0)
        return not self.process.is_alive()

    def caught_by(self) -> list[str]:
        """Return the tests that failed, or in a word why none could run; nothing if it survived."""
        try:
            failed: list[str] = self.answers.recv() if self.answers.poll() else ["(it hangs)"]
        except EOFError:
            failed = ["(the process died)"]
        self.answers.close()
        return failed

    def _run(self, says: Connection) -> None:
        os.setpgid(0, 0)
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nothing, stream)
        os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = str(self.place / "hypothesis")
        if self.mutant is not None:
            sys.meta_path.insert(0, _Finder(self.mutant))
        chosen = _Chosen(self.tests)
        code = pytest.main(_arguments(self.tests, self.place, self.keep_going), plugins=[chosen])
        unfit = [] if code in {0, 1, 5} else [f"(pytest ends with {int(code)})"]
        says.send(chosen.failed or unfit)
        os.killpg(0, signal.SIGKILL)  # with whatever a test left running


def _arguments(tests: Iterable[str], place: Path, keep_going: bool) -> list[str]:  # noqa: FBT001
    files = dict.fromkeys(str(ROOT / test.split("::", 1)[0]) for test in tests)
    quick = ["-q", "--assert=plain", "-p", "no:cacheprovider", "-p", "no:xdist"]
    first = [] if keep_going else ["-x"]
    return [*quick, *first, f"--rootdir={ROOT}", f"--basetemp={place / 'tests'}", *files]


def begin(mutant: Mutant | None, tests: Sequence[str], seconds: float, place: Path) -> Trial:
    """Start the trial of a mutant; without one, the tests must pass, and all are run."""
    ends = time.monotonic() + SLOWER * seconds + SPARE
    trial = Trial(mutant, tests, ends, place, keep_going=mutant is None)
    trial.start()
    return trial
