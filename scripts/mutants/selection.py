"""Select the tests that can catch a mutant: those that ran its line in one run under coverage."""

import json
import os
import re
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import coverage

from mutations import Mutant

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".cache" / "mutants"
# Without tests of real servers, browsers and wheels: a mutant exists in one process only.
FOLDERS = ("unit", "flows", "api", "attacks", "contract", "model", "cli", "migrations")
SQLITE = ["-m", "not slow and not postgres and not redis", "-k", "not postgresql"]
OVERHEAD_SECONDS = 0.5  # of any test
WORD = re.compile(r"[A-Za-z]\w{3,}")


@dataclass
class Selection:
    """The tests by line, and the duration of each."""

    seconds: dict[str, float]
    by_line: dict[Path, dict[int, list[str]]]
    expertise: dict[Path, Mapping[str, float]] = field(default_factory=dict)
    catches: defaultdict[Path, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))

    def at_import(self, mutant: Mutant) -> bool:
        """Return whether a mutant takes effect before a test runs its line."""
        return mutant.at_import or not any(self.by_line.get(mutant.path, {}).get(mutant.line, ()))

    def drop(self, test: str) -> None:
        """Exclude a test."""
        self.seconds.pop(test, None)

    def cost(self, tests: Sequence[str]) -> float:
        """Return the seconds that the tests took in the first run."""
        return sum(self.seconds[test] for test in tests)

    def tests(self, mutant: Mutant, seconds: float) -> list[str]:
        """Return the tests for a mutant: those that caught one of its module first.

        Code that runs at import has no test of its own; any test of the module may notice, those
        with similar names first.
        """
        lines = self.by_line.get(mutant.path, {})
        found = self.seconds.keys() & set(lines.get(mutant.line, []))
        if found:
            similarity = Counter[str]()
        else:
            found = self.seconds.keys() & {test for tests in lines.values() for test in tests}
            found = found or self.seconds.keys()  # a module that only declares, such as tables
            similarity = self._similarity(mutant, found)
        caught, expert = self.catches[mutant.path], self.expertise[mutant.path]
        score = {test: expert[test] / (OVERHEAD_SECONDS + self.seconds[test]) for test in found}
        ordered = sorted(
            found, key=lambda test: (-similarity[test], -caught[test], -score[test], test)
        )
        return self._affordable(ordered if similarity else _variants_last(ordered), seconds)

    def _similarity(self, mutant: Mutant, tests: Iterable[str]) -> Counter[str]:
        """Score tests by the words they share with a mutant's line, rare words higher."""
        words_of_line = set(WORD.findall(mutant.text))
        words_of_test = {test: words_of_line & set(WORD.findall(test)) for test in tests}
        files = {
            file: words_of_line & _words(file)
            for file in {test.split("::", 1)[0] for test in tests}
        }
        rare = Counter(word for words in files.values() for word in words)
        return Counter(
            {
                test: sum(2 * 1000 // (1 + rare[word]) for word in words_of_test[test])
                + sum(1000 // rare[word] for word in files[test.split("::", 1)[0]])
                for test in tests
            }
        )

    def _affordable(self, tests: list[str], seconds: float) -> list[str]:
        chosen: list[str] = []
        for test in tests:
            seconds -= self.seconds[test]
            if seconds < 0 and chosen:
                break
            chosen.append(test)
        return chosen


@cache
def _words(file: str) -> set[str]:
    return set(WORD.findall((ROOT / file).read_text()))


def _variants_last(ordered: list[str]) -> list[str]:
    """Put one variant of every test before the second variant of any."""
    variants: Counter[str] = Counter()
    placed: list[tuple[int, str]] = []
    for test in ordered:
        name = test.split("[", 1)[0]
        placed.append((variants[name], test))
        variants[name] += 1
    return [test for _, test in sorted(placed, key=lambda place: place[0])]


def record(workers: int) -> None:
    """Run the suite once; write the results to `FOLDER`."""
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
    subprocess.run(  # noqa: S603 - our own suite; failing tests are excluded
        [*run, "run", f"--data-file={data}", *pytest, *parallel, *SQLITE, *tests],
        cwd=ROOT, env=environment, check=False,
    )  # fmt: skip
    combine = [*run, "combine", "-q", f"--data-file={data}", str(FOLDER)]
    subprocess.run(combine, cwd=ROOT, env=environment, check=True)  # noqa: S603 - coverage


def read(paths: set[Path]) -> Selection:
    """Return the recorded results for the modules at `paths`."""
    data = coverage.CoverageData(str(FOLDER / "coverage"))
    data.read()
    selection = Selection(json.loads((FOLDER / "seconds.json").read_text()), {})
    for path in paths & {ROOT / name for name in data.measured_files()}:
        lines = data.contexts_by_lineno(str(path))
        selection.by_line[path] = lines
        selection.expertise[path] = _expertise(lines)
    return selection


def _expertise(lines: dict[int, list[str]]) -> Mapping[str, float]:
    """Score the tests of a module: lines that few other tests run count more."""
    rated: defaultdict[str, float] = defaultdict(float)
    for tests in lines.values():
        for test in tests:
            rated[test] += 1 / len(tests)
    return rated
