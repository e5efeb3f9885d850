"""Trials of code that runs at import: each imports our modules anew, one of them changed.

Other packages are imported beforehand, ours never: this must run before `in_session`.
"""

import importlib
import importlib.machinery
import importlib.util
import os
import sys
import tempfile
from collections.abc import Sequence
from types import CodeType

import pytest

from mutations import Mutant
from selection import FOLDER, ROOT

HEAVY = (
    "alembic.command", "alembic.runtime.migration", "argon2", "click.testing",
    "cryptography.hazmat.primitives.serialization", "flask_jwt_extended", "flask_smorest",
    "hypothesis.stateful", "jsonschema", "limits", "orjson", "prometheus_client", "psycopg",
    "requests", "rich.progress", "rich.table", "sqlalchemy.dialects.postgresql",
    "sqlalchemy.dialects.sqlite", "sqlalchemy.orm", "webargs.flaskparser",
)  # fmt: skip


def warm_up() -> None:
    """Import what no mutant changes, and keep compiled code: thousands of processes follow."""
    sys.dont_write_bytecode = False
    sys.pycache_prefix = str(FOLDER / "compiled")
    os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = str(FOLDER / "hypothesis")
    sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]
    for name in HEAVY:
        importlib.import_module(name)


def run(mutant: Mutant | None, tests: Sequence[str]) -> list[str]:
    """Run the tests on freshly imported modules; return the first failure."""
    if mutant is not None:
        sys.meta_path.insert(0, _MutantFinder(mutant))
    chosen = _Chosen(tests)
    files = dict.fromkeys(str(ROOT / test.split("::", 1)[0]) for test in tests)
    quick = ["-q", "-x", "--assert=plain", "-p", "no:cacheprovider", "-p", "no:xdist"]
    with tempfile.TemporaryDirectory() as place:
        code = pytest.main([*quick, f"--rootdir={ROOT}", f"--basetemp={place}", *files], [chosen])
    if chosen.failed or code in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}:
        return chosen.failed
    return [f"(pytest ends with {int(code)})"]


class _MutantLoader(importlib.machinery.SourceFileLoader):
    """Loads one module from the changed tree."""

    def __init__(self, mutant: Mutant) -> None:
        super().__init__(mutant.module, str(mutant.path))
        self._mutant = mutant

    def get_code(self, fullname: str) -> CodeType:
        """Compile the changed tree of the one module that this loads."""
        return compile(self._mutant.code(), self.get_filename(fullname), "exec")


class _MutantFinder:
    """Finds only the changed module, before Python's own finders."""

    def __init__(self, mutant: Mutant) -> None:
        self._mutant = mutant

    def find_spec(self, fullname: str, *_: object) -> importlib.machinery.ModuleSpec | None:
        """Say where a module comes from."""
        if fullname != self._mutant.module:
            return None
        return importlib.util.spec_from_loader(fullname, _MutantLoader(self._mutant))


class _Chosen:
    """A plugin of pytest: runs the chosen tests in the chosen order, and notes what fails."""

    def __init__(self, tests: Sequence[str]) -> None:
        self._order = {test: at for at, test in enumerate(tests)}
        self.failed: list[str] = []

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Keep what was chosen."""
        known = [item for item in items if item.nodeid in self._order]
        items[:] = sorted(known, key=lambda item: self._order[item.nodeid])

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note a failure."""
        if report.failed:
            self.failed.append(report.nodeid)
