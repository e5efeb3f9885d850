"""Which tests can catch a mutant: those that ran its line, found out by one run under coverage."""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import coverage

from mutations import Mutant

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".cache" / "mutants"
# Not what starts real servers, drives browsers or builds wheels: a mutant lives in one process.
FOLDERS = ("unit", "flows", "api", "attacks", "contract", "model", "cli", "migrations")
SQLITE = ["-m", "not slow and not postgres and not redis", "-k", "not postgresql"]
ENOUGH = 60.0  # seconds of tests against one mutant, as the first run measured them


@dataclass
class Selection:
    """The tests by line, and how long each takes."""

    seconds: dict[str, float]
    by_line: dict[Path, dict[int, list[str]]]
    lines_of: Counter[str] = field(default_factory=Counter)
    catches: Counter[tuple[Path, str]] = field(default_factory=Counter)

    def at_import(self, mutant: Mutant) -> bool:
        """Tell whether a mutant makes its difference before a test runs its line."""
        return mutant.at_import or not any(self.by_line.get(mutant.path, {}).get(mutant.line, ()))

    def cost(self, tests: Sequence[str]) -> float:
        """Return how many seconds the tests took in the first run."""
        return sum(self.seconds[test] for test in tests)

    def tests(self, mutant: Mutant) -> list[str]:
        """Return the tests for a mutant: who caught one of its module first, then the narrowest.

        What runs at import has no test of its own; any that runs the module may notice.
        """
        lines = self.by_line.get(mutant.path, {})
        found = self.seconds.keys() & set(lines.get(mutant.line, []))
        if not found:
            found = self.seconds.keys() & {test for tests in lines.values() for test in tests}
        ordered = sorted(
            found, key=lambda test: (-self.catches[mutant.path, test], self.lines_of[test], test)
        )
        return self._affordable(_from_all_sides(ordered))

    def _affordable(self, tests: list[str]) -> list[str]:
        chosen: list[str] = []
        left = ENOUGH
        for test in tests:
            left -= self.seconds[test]
            if left < 0 and chosen:
                break
            chosen.append(test)
        return chosen


def _from_all_sides(ordered: list[str]) -> list[str]:
    """Take the best test of each file, then the second of each; variants of a test come later."""
    variants: Counter[str] = Counter()
    turns: Counter[str] = Counter()
    placed: list[tuple[int, int, str]] = []
    for test in ordered:
        file, name = test.split("::", 1)[0], test.split("[", 1)[0]
        placed.append((variants[name], turns[file], test))
        variants[name] += 1
        turns[file] += variants[name] == 1
    return [test for _, _, test in sorted(placed, key=lambda place: place[:2])]


def record(workers: int) -> None:
    """Run the suite once; leave in `FOLDER` what ran what."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    data, times = FOLDER / "coverage", FOLDER / "seconds.json"
    for old in FOLDER.glob("coverage*"):
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
    combine = [*run, "combine", "-q", f"--data-file={data}", str(FOLDER)]
    subprocess.run(combine, cwd=ROOT, env=environment, check=True)  # noqa: S603 - coverage


def read(paths: set[Path]) -> Selection:
    """Return what the run left, for the modules at `paths`."""
    data = coverage.CoverageData(str(FOLDER / "coverage"))
    data.read()
    selection = Selection(json.loads((FOLDER / "seconds.json").read_text()), {})
    for name in data.measured_files():
        path = ROOT / name
        lines = data.contexts_by_lineno(name)
        for tests in lines.values():
            selection.lines_of.update(test for test in tests if test)
        if path in paths:
            selection.by_line[path] = lines
    return selection
