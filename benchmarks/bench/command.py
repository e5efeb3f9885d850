"""The command line of a measurement of servers: its options, its tables and its file."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from bench.contestants import Contestant
from bench.environments import versions_of
from bench.results import Figure, Measured, figure, markdown_table, ratio
from bench.rounds import Plan, Samples, measure
from bench.wrk import Speed

FULL = Plan(rounds=9, seconds=5)
MS = ("p50", "p99")
Pair = tuple[str, str]  # two contestants
QUICK = Plan(rounds=5, seconds=2, users=20, items_per_user=500)


def options(description: str | None) -> argparse.ArgumentParser:
    """Return the options that every measurement has."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds, less data")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seconds", type=float, help="of each measurement")
    parser.add_argument(
        "--all-cores", action="store_true", help="let the servers and wrk use every core"
    )
    parser.add_argument("--json", type=Path, help="a file for the results")
    parser.set_defaults(postgres="")
    return parser


def plan_of(chosen: argparse.Namespace) -> Plan:
    """Return the plan that the options ask for."""
    plan = QUICK if chosen.quick else FULL
    rounds, seconds = chosen.rounds or plan.rounds, chosen.seconds or plan.seconds
    plan = replace(plan, rounds=rounds, seconds=seconds, postgres=chosen.postgres)
    return replace(plan, server_core=None, load_core=None) if chosen.all_cores else plan


def compare(
    contestants: Mapping[str, Contestant],
    cases: Sequence[str],
    chosen: argparse.Namespace,
    pairs: Sequence[Pair] = (),
) -> Measured:
    """Measure contestants, and print their speeds and ratios.

    `pairs` are the compared ones, by default the first with each of the others.
    """
    samples = measure(contestants, cases, plan_of(chosen))
    first, *others = contestants
    ratios = ratios_of(samples, pairs or [(first, other) for other in others])
    print(speed_table(samples, contestants), ratio_table(ratios), sep="\n\n")
    versions = {name: versions_of(contestant) for name, contestant in contestants.items()}
    for name, found in versions.items():
        print(f"\n{name}: {', '.join(f'{package} {one}' for package, one in found.items())}")
    return Measured(ratios, {"samples": samples, "contestants": versions})


def ratios_of(samples: Samples, pairs: Sequence[Pair]) -> dict[str, Figure]:
    """Return how many times as many requests the first of a pair answers, by case and pair."""
    return {
        f"{case}: {one} / {other}": ratio(_speeds(found[one]), _speeds(found[other]))
        for case, found in samples.items()
        for one, other in pairs
        if one in found and other in found
    }


def speed_table(samples: Samples, contestants: Mapping[str, Contestant]) -> str:
    """Return the table of the requests per second, with percentiles in milliseconds."""
    rows = []
    for case, found in samples.items():
        for name, speeds in found.items():
            row = [case, contestants[name].title, f"{figure(_speeds(speeds)):,.0f}"]
            row += [f"{figure([getattr(one, key) for one in speeds]).median:.1f}" for key in MS]
            rows.append([*row, "yes" if contestants[name].loads_user else "no"])
    head = ["request", "program", "requests a second", "p50 ms", "p99 ms", "reads the user"]
    return markdown_table(head, rows)


def ratio_table(ratios: Mapping[str, Figure]) -> str:
    """Return the table of ratios."""
    return markdown_table(
        ["ratio", "median (spread)"], [[n, f"{r:.2f}"] for n, r in ratios.items()]
    )


def _speeds(speeds: Sequence[Speed]) -> list[float]:
    return [speed.per_second for speed in speeds]
