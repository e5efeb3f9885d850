"""Which tests can catch a mutant: those that ran its line, found out by one run under coverage."""

import json
import os
import subprocess
import sys
from collections import Counter, defaultdict
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
OVERHEAD = 0.5  # seconds that any test costs
ENOUGH = 45.0  # seconds of tests against one mutant, as the first run measured them


@dataclass
class Selection:
    """The tests by line, and how long each takes."""

    seconds: dict[str, float]
    by_line: dict[Path, dict[int, list[str]]]
    expertise: dict[Path, Counter[str]] = field(default_factory=dict)
    catches: defaultdict[Path, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))

    def at_import(self, mutant: Mutant) -> bool:
        """Tell whether a mutant makes its difference before a test runs its line."""
        return mutant.at_import or not any(self.by_line.get(mutant.path, {}).get(mutant.line, ()))

    def drop(self, test: str) -> None:
        """Ask a test no more."""
        self.seconds.pop(test, None)

    def cost(self, tests: Sequence[str]) -> float:
        """Return how many seconds the tests took in the first run."""
        return sum(self.seconds[test] for test in tests)

    def tests(self, mutant: Mutant) -> list[str]:
        """Return the tests for a mutant: who caught one of its module first, then the experts.

        What runs at import has no test of its own; any that runs the module may notice.
        """
        lines = self.by_line.get(mutant.path, {})
        found = self.seconds.keys() & set(lines.get(mutant.line, []))
        if not found:
            found = self.seconds.keys() & {test for tests in lines.values() for test in tests}
        caught, expert = self.catches[mutant.path], self.expertise[mutant.path]
        worth = {test: expert[test] / (OVERHEAD + self.seconds[test]) for test in found}
        ordered = sorted(found, key=lambda test: (-caught[test], -worth[test], test))
        return self._affordable(_variants_last(ordered))

    def _affordable(self, tests: list[str]) -> list[str]:
        chosen: list[str] = []
        left = ENOUGH
        for test in tests:
            left -= self.seconds[test]
            if left < 0 and chosen:
                break
            chosen.append(test)
        return chosen


def _variants_last(ordered: list[str]) -> list[str]:
    """Put one variant of every test before the second of any."""
    variants: Counter[str] = Counter()
    placed: list[tuple[int, str]] = []
    for test in ordered:
        name = test.split("[", 1)[0]
        placed.append((variants[name], test))
        variants[name] += 1
    return [test for _, test in sorted(placed, key=lambda place: place[0])]


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
    for path in paths & {ROOT / name for name in data.measured_files()}:
        lines = data.contexts_by_lineno(str(path))
        selection.by_line[path] = lines
        selection.expertise[path] = _expertise(lines)
    return selection


def _expertise(lines: dict[int, list[str]]) -> Counter[str]:
    """Rate the tests of a module: who runs lines of it that few others run knows it best."""
    rated: Counter[str] = Counter()
    for tests in lines.values():
        for test in tests:
            rated[test] += 1000 // len(tests)
    return rated
