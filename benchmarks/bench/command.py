"""The command line of a measurement of servers: its options, its table, and its verdict."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench import expected
from bench.contestants import Contestant
from bench.environments import versions_of
from bench.results import Figure, figure, markdown_table, ratio, report, write
from bench.rounds import Plan, Samples, measure
from bench.wrk import Speed

FULL = Plan(rounds=9, seconds=5)
QUICK = Plan(rounds=5, seconds=2, users=20, items_per_user=500)


def options(description: str | None) -> argparse.ArgumentParser:
    """Return the options that every measurement has."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds, less data")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seconds", type=float, help="of each measurement")
    parser.add_argument("--json", type=Path, help="a file for the results")
    parser.add_argument("--check", action="store_true", help="fail if a ratio became worse")
    return parser


def plan_of(chosen: argparse.Namespace) -> Plan:
    """Return the plan that the options ask for."""
    plan = QUICK if chosen.quick else FULL
    rounds, seconds = chosen.rounds or plan.rounds, chosen.seconds or plan.seconds
    return Plan(rounds, seconds, plan.users, plan.items_per_user)


def compare(
    contestants: Mapping[str, Contestant], cases: Sequence[str], chosen: argparse.Namespace
) -> None:
    """Measure contestants, and compare the first with each of the others.

    Print a table; write the JSON file; end the program with 1 if a ratio became worse.
    """
    samples = measure(contestants, cases, plan_of(chosen))
    ratios = ratios_of(samples, [*contestants])
    print(table(samples, contestants, ratios))
    versions = {name: versions_of(contestant) for name, contestant in contestants.items()}
    for name, found in versions.items():
        print(f"\n{name}: {', '.join(f'{package} {one}' for package, one in found.items())}")
    write(chosen.json, report(ratios, {"samples": samples, "contestants": versions}))
    if chosen.check:
        verdict(ratios)


def ratios_of(samples: Samples, names: Sequence[str]) -> dict[str, Figure]:
    """Return how many times as many requests the first contestant answers as each of the others."""
    first, *others = names
    return {
        f"{case}: {first} / {other}": ratio(_speeds(found[first]), _speeds(found[other]))
        for case, found in samples.items()
        for other in others
        if other in found
    }


def table(
    samples: Samples, contestants: Mapping[str, Contestant], ratios: Mapping[str, Figure]
) -> str:
    """Return the table: requests per second, percentiles in milliseconds, and ratios."""
    first = next(iter(contestants))
    rows = []
    for case, found in samples.items():
        for name, speeds in found.items():
            compared = ratios.get(f"{case}: {first} / {name}")
            row = [case, contestants[name].title, f"{figure(_speeds(speeds)):,.0f}"]
            row += [f"{figure([getattr(one, key) for one in speeds]).median:.1f}" for key in MS]
            row += [f"{compared:.2f}" if compared else "", _user(contestants[name])]
            rows.append(row)
    head = ["request", "program", "per second", "p50 ms", "p99 ms"]
    return markdown_table([*head, f"{first} / this", "user read per request"], rows)


MS = ("p50", "p99")


def _user(contestant: Contestant) -> str:
    return "yes" if contestant.loads_user else "no"


def _speeds(speeds: Sequence[Speed]) -> list[float]:
    return [speed.per_second for speed in speeds]


def verdict(ratios: Mapping[str, Figure]) -> None:
    """End the program with 1 if a ratio is worse than the spread of the committed ones."""
    worse = [*expected.regressions(ratios, expected.read())]
    for line in worse:
        print(f"worse: {line}", file=sys.stderr)
    if worse:
        sys.exit(1)
