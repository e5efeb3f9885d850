"""Make small changes (mutants) to the code, one at a time, and report those that no test notices.

 python scripts/mutants [GLOB ...] [--every N] [--seed S] [--workers N] [--again] [--survivors]

GLOB names modules, as `tokens.*` or `gate.rules`; the default is all modules that decide about
access. --every N tries only each Nth mutant, in an order that the seed shuffles. --again reuses the
test data of the last run, which saves minutes; use it only if neither src nor tests have changed.
--survivors tries only the survivors of the last run: use it after writing tests against them.

Exits with 1 if less than 95 % are caught. Mutants in reviewed.txt are not counted.
"""

import argparse
import os
import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    Task,
    TextColumn,
    TimeRemainingColumn,
)

import at_import
from in_session import Session
from mutations import Mutant, mutants
from selection import FOLDER, ROOT, Selection, read, record
from trial import Run, Trial, Unmutated, in_parallel

DEFAULT_GLOBS = (
    *("tokens.*", "issuer.*", "gate.*", "accounts.*", "items.*", "db.*"),
    *("attempt_limits", "rate_limits"),
)
MIN_CAUGHT_SHARE = 0.95
FIRST_ROUND_SECONDS, SECOND_ROUND_SECONDS = 8.0, 40.0  # of tests per mutant, as first measured
REVIEWED = Path(__file__).parent / "reviewed.txt"
SURVIVORS = FOLDER / "survivors.txt"


@dataclass
class Outcome:
    """The results of all mutants."""

    selection: Selection
    workers: int
    caught: dict[str, list[Mutant]] = field(default_factory=dict)
    survivors: dict[Mutant, int] = field(default_factory=dict)  # with the number of tests run
    unusable_tests: set[str] = field(default_factory=set)

    def try_all(self, mutants: Sequence[Mutant], what: str, run: Run) -> None:
        """Run a few tests against each mutant, and all related tests against the survivors."""
        left = self._run_round(mutants, what, run, FIRST_ROUND_SECONDS)
        self._run_round(left, f"{what}, with more tests", run, SECOND_ROUND_SECONDS)

    def _run_round(
        self, mutants: Sequence[Mutant], what: str, run: Run, seconds: float
    ) -> list[Mutant]:
        """Run mutants in parallel; repeat those caught by a test that also fails alone."""
        left, survivors = list(mutants), list[Mutant]()
        description_column = TextColumn("{task.description}")
        with Progress(
            description_column, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
        ) as progress:
            bar = progress.add_task(what, total=len(left))
            while left:
                trials = [Trial(run, one, self.selection, seconds) for one in left]
                left = []
                for trial in in_parallel(trials, self.workers):
                    if not self._record(trial):
                        left.append(trial.mutant)
                        continue
                    if trial.mutant in self.survivors:
                        survivors.append(trial.mutant)
                    survive = f"{what}, {len(survivors)} survive so far"
                    progress.update(bar, advance=1, description=survive)
                    _print_progress(progress.tasks[bar], every=50)
        return survivors

    def _record(self, trial: Trial) -> bool:
        """Record the result of a trial; return whether it counts."""
        failed = trial.caught_by()
        self.survivors.pop(trial.mutant, None)
        if not failed:
            self.survivors[trial.mutant] = len(trial.tests)
            return True
        if not self._passes_alone(failed[0], trial.run):
            self.unusable_tests.add(failed[0])
            self.selection.drop(failed[0])
            return False
        self.caught.setdefault(failed[0], []).append(trial.mutant)
        self.selection.catches[trial.mutant.path][failed[0]] += 1
        return True

    def _passes_alone(self, test: str, run: Run) -> bool:
        """Return whether a test passes without a mutant; otherwise it cannot catch any."""
        if test in self.unusable_tests:
            return False
        if test in self.caught or test not in self.selection.seconds:
            return True
        (alone,) = in_parallel([Unmutated(run, test)], 1)
        return not alone.caught_by()


def main() -> int:
    """Run with the options of the command line; return the exit code."""
    options = _options()
    chosen = _selected_mutants(
        options.globs or DEFAULT_GLOBS, every=options.every, seed=options.seed
    )
    if options.survivors:
        survived = SURVIVORS.read_text().splitlines()
        chosen = [mutant for mutant in chosen if mutant.key in survived]
    if not chosen:
        print("No module has this name. Use the import name, as in tokens.jwt")
        return 2
    if not options.again:
        record(options.workers)
    selection = read({mutant.path for mutant in chosen})
    outcome = Outcome(selection, options.workers)
    import_time_mutants = [mutant for mutant in chosen if selection.at_import(mutant)]
    other_mutants = [mutant for mutant in chosen if not selection.at_import(mutant)]
    at_import.warm_up()
    outcome.try_all(import_time_mutants, "at import", at_import.run)

    Session(lambda run: outcome.try_all(other_mutants, "later", run)).open(list(selection.seconds))
    return _report(outcome, f"--every {options.every} --seed {options.seed}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="mutants", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("globs", nargs="*", metavar="GLOB", help="modules, as tokens.*")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="try each Nth only")
    parser.add_argument("--seed", type=int, default=0, help="which ones those are")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--again", action="store_true", help="tests and src have not changed")
    parser.add_argument("--survivors", action="store_true", help="only what survived last time")
    return parser.parse_args()


def _selected_mutants(globs: Sequence[str], *, every: int, seed: int) -> list[Mutant]:
    """Return the mutants of the modules that a glob names, or a sample of them."""
    found: list[Mutant] = []
    package = ROOT / "src" / "itemsapi"
    for path in sorted(package.rglob("*.py")):
        name = ".".join(path.relative_to(package).with_suffix("").parts)
        if any(fnmatch(name, glob) for glob in globs):
            found += mutants(f"itemsapi.{name}".removesuffix(".__init__"), path)
    random.Random(seed).shuffle(found)  # noqa: S311 - no secret
    return found[::every]


def _report(outcome: Outcome, sample: str) -> int:
    reviewed = {line.rsplit(" | ", 1)[0] for line in REVIEWED.read_text().splitlines()}
    SURVIVORS.write_text("".join(f"{mutant.key}\n" for mutant in outcome.survivors))
    left = [pair for pair in outcome.survivors.items() if pair[0].key not in reviewed]
    for mutant, ran in sorted(left, key=lambda pair: (pair[0].path, pair[0].line)):
        _say(f"{mutant.path.relative_to(ROOT)}:{mutant.line}  {mutant.key}  ({ran} tests)")
    for test in sorted(outcome.unusable_tests):
        _say(f"fails without a mutant, so it was not used: {test}")
    good = sum(map(len, outcome.caught.values()))
    share = good / ((good + len(left)) or 1)
    ended = sum(len(all_) for test, all_ in outcome.caught.items() if test.startswith("("))
    _say(
        f"{good} of {good + len(left)} caught, {share:.1%} ({ended} because the run was aborted); "
        f"{len(outcome.survivors) - len(left)} more survive as reviewed; {sample}"
    )
    return 0 if share >= MIN_CAUGHT_SHARE else 1


def _print_progress(task: Task, *, every: int) -> None:
    """Print the progress now and then, if there is no progress bar."""
    if not sys.stdout.isatty() and task.completed % every == 0:
        print(f"{task.description}: {task.completed:.0f} of {task.total:.0f}", flush=True)


def _say(line: str) -> None:
    Console().print(line, markup=False, highlight=False, soft_wrap=True)


if __name__ == "__main__":
    sys.exit(main())
