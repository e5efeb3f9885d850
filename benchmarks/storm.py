"""What a storm of sign-ins costs the others, and how many of its good sign-ins succeed.

    python benchmarks/storm.py            needs wrk; --quick: half a minute

32 connections sign in as fast as they get answers, each time from another address and with the
right password, against one worker; four others read pages, with a pause before each request. All
may use every core. Each round measures calm reads, sign-ins on two connections (all that the hashes
allow), and both in the storm.
"""

import argparse
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

from bench.command import options, plan_of, ratio_table
from bench.contestants import SERVICE
from bench.results import Measured, figure, markdown_table, ratio, write
from bench.rounds import Plan, loads_of, running
from bench.wrk import Load, Speed, require_tools, run
from rich.console import Console
from rich.progress import track

READERS, STORM = 4, 32  # connections
PAUSE_MS = 20  # of a reader: they alone must not keep a core busy
Samples = dict[str, list[Speed]]
MEASURED = ("calm reads", "calm sign-ins", "reads in the storm", "sign-ins in the storm")


def one_round(url: str, reads: Load, sign_ins: Load, plan: Plan) -> list[Speed]:
    """Return the four speeds of a round, in the order of `MEASURED`."""
    send = partial(run, url, seconds=plan.seconds, core=plan.load_core, refusals=True)
    calm = [send(reads), send(sign_ins)]
    with ThreadPoolExecutor(2) as threads:
        both = threads.map(send, (reads, replace(sign_ins, connections=STORM)))
        return [*calm, *both]


def measure(plan: Plan) -> Samples:
    """Return the speeds of all rounds; the first warms up and does not count."""
    require_tools()
    samples: Samples = {name: [] for name in MEASURED}
    with running(SERVICE, plan) as (url, folder):
        loads = loads_of(SERVICE.client, url, folder, ("list", "login"), plan)
        reads = replace(loads["list"](), connections=READERS, pause_ms=PAUSE_MS)
        rounds = range(plan.rounds + 1)
        for number in track(rounds, "measuring", console=Console(stderr=True)):
            speeds = one_round(url, reads, loads["login"](), plan)
            for name, speed in zip(MEASURED, speeds, strict=True):
                samples[name] += [speed] if number else []
    return samples


def report(samples: Samples) -> Measured:
    """Print the tables; return the ratios."""
    rows = []
    for name, speeds in samples.items():
        row = [name, f"{figure([one.per_second for one in speeds]):,.1f}"]
        row += [f"{figure([one.p99 for one in speeds]):.1f}"]
        rows.append([*row, f"{figure([one.refused for one in speeds]).median:.0%}"])
    print(markdown_table(["", "good a second", "p99 ms", "refused"], rows), end="\n\n")
    p99 = [[one.p99 for one in samples[name]] for name in MEASURED]
    good = [[one.per_second for one in samples[name]] for name in MEASURED]
    ratios = {
        "p99 of reads: calm / storm": ratio(p99[0], p99[2]),
        "good sign-ins: storm / calm": ratio(good[3], good[1]),
    }
    print(ratio_table(ratios))
    return Measured(ratios, {"samples": samples})


def main(chosen: argparse.Namespace) -> None:
    """Measure, and report."""
    chosen.all_cores = True
    write(chosen.json, report(measure(plan_of(chosen))))


if __name__ == "__main__":
    main(options(__doc__).parse_args())
