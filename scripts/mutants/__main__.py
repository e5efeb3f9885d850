"""Breaks the code in small ways, one at a time, and tells which breaks no test notices.

    python scripts/mutants [GLOB ...] [--every N] [--seed S] [--workers N] [--again]

GLOB names modules, as `tokens.*` or `gate.verify`; without one, all that decide who gets in. With
--every N only each Nth mutant is tried, in an order that the seed shuffles. --again uses what the
last run found out about the tests, to save the minutes: right while neither src nor tests moved.

Ends with 1 if less than 95 % are caught. What is in reviewed.txt counts neither way.
"""

import argparse
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from mutations import Mutant, mutants
from selection import ROOT, Selection, read, record
from trial import Trial, begin, warm_up

DEFAULT = ("tokens.*", "issuer.*", "gate.*", "accounts.*", "items.*", "throttle", "db")
GOAL = 0.95
FOLDER = ROOT / ".cache" / "mutants"
REVIEWED = Path(__file__).parent / "reviewed.txt"
MEMORY = Path("/dev/shm")  # noqa: S108 - where the kernel keeps files in memory


@dataclass
class Outcome:
    """What became of the mutants."""

    caught: dict[str, list[Mutant]] = field(default_factory=dict)
    survivors: list[tuple[Mutant, int]] = field(default_factory=list)

    def add(self, trial: Trial, selection: Selection) -> None:
        """Note how a trial ended."""
        mutant = trial.mutant
        failed = trial.caught_by()
        if mutant is None:
            return
        if not failed:
            self.survivors.append((mutant, len(trial.tests)))
            return
        self.caught.setdefault(failed[0], []).append(mutant)
        selection.catches[mutant.path, failed[0]] += 1


def main() -> int:
    """Run what the command line asks for; return the exit code."""
    options = _options()
    console = Console()
    chosen = _chosen(options.globs or DEFAULT, every=options.every, seed=options.seed)
    if not chosen:
        console.print("No module is called that. Name one as it is imported: tokens.codec")
        return 2
    if not options.again:
        record(FOLDER, options.workers)
    selection = read(FOLDER, {mutant.path for mutant in chosen})
    warm_up()
    place = Path(tempfile.mkdtemp(prefix="mutants-", dir=MEMORY if MEMORY.is_dir() else None))
    try:
        outcome = _try_all(chosen, selection, options.workers, place, console)
        unfit = _fail_unbroken(list(outcome.caught), selection, place)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    return _report(console, outcome, unfit, f"--every {options.every} --seed {options.seed}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="mutants", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("globs", nargs="*", metavar="GLOB", help="modules, as tokens.*")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="try each Nth only")
    parser.add_argument("--seed", type=int, default=0, help="which ones those are")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--again", action="store_true", help="tests and src have not moved")
    return parser.parse_args()


def _chosen(globs: Sequence[str], *, every: int, seed: int) -> list[Mutant]:
    """Return the mutants of the modules that a glob names, or the sample of them."""
    found: list[Mutant] = []
    package = ROOT / "src" / "itemsapi"
    for path in sorted(package.rglob("*.py")):
        name = ".".join(path.relative_to(package).with_suffix("").parts)
        if any(fnmatch(name, glob) for glob in globs):
            found += mutants(f"itemsapi.{name}".removesuffix(".__init__"), path)
    random.Random(seed).shuffle(found)  # noqa: S311 - no secret
    return found[::every]


def _try_all(
    chosen: list[Mutant], selection: Selection, workers: int, place: Path, console: Console
) -> Outcome:
    outcome, waiting = Outcome(), list(reversed(chosen))
    running: dict[int, Trial] = {}
    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("", total=len(chosen))
        while waiting or running:
            for slot in set(range(workers)) - running.keys():
                if waiting:
                    running[slot] = _begun(waiting.pop(), selection, place / str(slot))
            for slot in [slot for slot, trial in running.items() if trial.over()]:
                outcome.add(running.pop(slot), selection)
                progress.update(bar, advance=1, description=f"{len(outcome.survivors)} survive")
            time.sleep(0.02)
    return outcome


def _begun(mutant: Mutant, selection: Selection, place: Path) -> Trial:
    place.mkdir(exist_ok=True)
    tests = selection.tests(mutant)
    return begin(mutant, tests, sum(map(selection.seconds.__getitem__, tests)), place)


def _fail_unbroken(catchers: list[str], selection: Selection, place: Path) -> set[str]:
    """Run what caught mutants without any: who fails then has caught nothing."""
    tests = [test for test in catchers if test in selection.seconds]
    if not tests:
        return set()
    trial = begin(None, tests, sum(map(selection.seconds.__getitem__, tests)), place)
    while not trial.over():
        time.sleep(0.02)
    return set(trial.caught_by())


def _report(console: Console, outcome: Outcome, unfit: set[str], sample: str) -> int:
    reviewed = {line.rsplit(" | ", 1)[0] for line in REVIEWED.read_text().splitlines()}
    left = [pair for pair in outcome.survivors if pair[0].key not in reviewed]
    for mutant, ran in sorted(left, key=lambda pair: (pair[0].path, pair[0].line)):
        _say(console, f"{mutant.path.relative_to(ROOT)}:{mutant.line}  {mutant.key}  ({ran} tests)")
    for test in sorted(unfit):
        _say(console, f"fails without a mutant, so it caught none: {test}")
    caught = {test: len(found) for test, found in outcome.caught.items() if test not in unfit}
    good = sum(caught.values())
    share = good / ((good + len(left)) or 1)
    ended = sum(count for test, count in caught.items() if test.startswith("("))
    _say(
        console,
        f"{good} of {good + len(left)} caught, {share:.1%} ({ended} because the run broke off); "
        f"{len(outcome.survivors) - len(left)} more survive as reviewed; {sample}",
    )
    return 0 if share >= GOAL and not unfit else 1


def _say(console: Console, line: str) -> None:
    console.print(line, markup=False, highlight=False, soft_wrap=True)


if __name__ == "__main__":
    sys.exit(main())
