"""Which tests can catch a mutant: those that ran its line, found out by one run under coverage."""

import json
import os
import subprocess
import sys
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import coverage

from mutations import Mutant

ROOT = Path(__file__).parents[2]
# Not what starts real servers, drives browsers or builds wheels: a mutant lives in one process.
FOLDERS = ("unit", "flows", "api", "attacks", "contract", "model", "cli", "migrations")
SQLITE = ["-m", "not slow and not postgres and not redis", "-k", "not postgresql"]
PATIENCE = 60.0  # seconds of tests against one mutant, as the first run measured them


@dataclass
class Selection:
    """The tests by line, and how long each takes."""

    seconds: dict[str, float]
    by_line: dict[Path, dict[int, list[str]]]
    lines_of: Counter[str] = field(default_factory=Counter)
    catches: Counter[tuple[Path, str]] = field(default_factory=Counter)

    def tests(self, mutant: Mutant) -> list[str]:
        """Return the tests for a mutant: who caught one of its module first, then the narrowest.

        What runs at import has no test of its own; any that runs the module may notice.
        """
        lines = self.by_line.get(mutant.path, {})
        found = [test for test in lines.get(mutant.line, []) if test in self.seconds]
        if not found:
            found = sorted({test for tests in lines.values() for test in tests} & set(self.seconds))
        ordered = sorted(
            found, key=lambda test: (-self.catches[mutant.path, test], self.lines_of[test], test)
        )
        return self._affordable(_file_by_file(ordered))

    def _affordable(self, tests: list[str]) -> list[str]:
        chosen: list[str] = []
        left = PATIENCE
        for test in tests:
            left -= self.seconds[test]
            if left < 0 and chosen:
                break
            chosen.append(test)
        return chosen


def _file_by_file(ordered: list[str]) -> list[str]:
    """Take the best test of each file, then the second of each: files look from different sides."""
    turns: defaultdict[str, int] = defaultdict(int)
    placed: list[tuple[int, str]] = []
    for test in ordered:
        file = test.split("::", 1)[0]
        placed.append((turns[file], test))
        turns[file] += 1
    return [test for _, test in sorted(placed, key=lambda pair: pair[0])]


def record(folder: Path, workers: int) -> None:
    """Run the suite once; leave what it ran in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    data, times = folder / "coverage", folder / "seconds.json"
    for old in folder.glob("coverage*"):
        old.unlink()
    tests = [f"tests/{name}" for name in FOLDERS if (ROOT / "tests" / name).is_dir()]
    run = [sys.executable, "-m", "coverage"]
    pytest = ["-m", "pytest", "-q", "--no-header", "-p", "recording", "-p", "no:cacheprovider"]
    parallel = ["-n", str(workers), "--dist", "worksteal"]
    environment = os.environ | {
        "MUTANTS_TIMES": str(times),
        "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(Path(__file__).parent)]),
    }
    subprocess.run(  # noqa: S603 - our own suite; a test that fails takes no part
        [*run, "run", f"--data-file={data}", *pytest, *parallel, *SQLITE, *tests],
        cwd=ROOT, env=environment, check=False,
    )  # fmt: skip
    combine = [*run, "combine", "-q", f"--data-file={data}", str(folder)]
    subprocess.run(combine, cwd=ROOT, env=environment, check=True)  # noqa: S603 - coverage


def read(folder: Path, paths: set[Path]) -> Selection:
    """Return what the run left, for the modules at `paths`."""
    data = coverage.CoverageData(str(folder / "coverage"))
    data.read()
    selection = Selection(json.loads((folder / "seconds.json").read_text()), {})
    for name in data.measured_files():
        path = ROOT / name
        lines = data.contexts_by_lineno(name)
        for tests in lines.values():
            selection.lines_of.update(test for test in tests if test)
        if path in paths:
            selection.by_line[path] = {
                line: [test for test in tests if test] for line, tests in lines.items()
            }
    return selection
