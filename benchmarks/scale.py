"""How speed and memory change with the number of items and of workers.

    python benchmarks/scale.py                               needs wrk
    python benchmarks/scale.py --items 1000,100000 --workers 1,2

Each size and number of workers is a service of its own, one after another, and each may use all
cores, which it shares with the load. The ratios compare each with the first. The memory is that of
the parent and of all workers, in proportional set sizes, before and after the load.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from bench.command import options, plan_of, ratio_table
from bench.contestants import SERVICE, Contestant
from bench.memory import Memory, memory_of
from bench.results import Measured, figure, markdown_table, ratio, write
from bench.rounds import Plan, loads_of, running
from bench.wrk import Speed, require_tools, run
from rich.console import Console
from rich.progress import track

CASES = ("list", "one", "login", "refresh")
USERS = 20


@dataclass
class Result:
    """What one size and number of workers measured: speeds by case, memory before and after."""

    items: int
    workers: int
    speeds: dict[str, list[Speed]]
    fresh: Memory
    used: Memory

    @property
    def name(self) -> str:
        """What it is called in the tables."""
        return f"{self.items:,} items, {self.workers} workers"


def with_workers(workers: int) -> Contestant:
    """Return the service with a number of workers."""
    return replace(SERVICE, server=(*SERVICE.server, "--workers", str(workers)))


def measure(items: int, workers: int, plan: Plan) -> Result:
    """Measure a service; a first round warms up and does not count."""
    plan = replace(
        plan, users=USERS, items_per_user=items // USERS, server_core=None, load_core=None
    )
    service = with_workers(workers)
    with running(service, plan) as (url, folder):
        loads = loads_of(service.client, url, folder, CASES, plan)
        process = int((folder / "server.pid").read_text())
        fresh = memory_of(process)
        speeds: dict[str, list[Speed]] = {case: [] for case in CASES}
        for number in range(plan.rounds + 1):
            for case in CASES:
                speed = run(url, loads[case](), plan.seconds, plan.load_core, refusals=True)
                speeds[case] += [speed] if number else []
        return Result(items, workers, speeds, fresh, memory_of(process))


def report(results: Sequence[Result]) -> Measured:
    """Print the tables; return the ratios to the first."""
    rows = []
    for one in results:
        cells = [f"{figure(_per_second(one, case)):,.0f}" for case in CASES]
        sizes = [*one.fresh, *one.used]
        rows.append([one.name, *cells, *(f"{size:.0f}" for size in sizes)])
    memory = ("parent, fresh MiB", "workers, fresh MiB", "parent, used MiB", "workers, used MiB")
    print(markdown_table(["", *CASES, *memory], rows), end="\n\n")
    first = results[0]
    ratios = {
        f"{case}: {one.name} / {first.name}": ratio(
            _per_second(one, case), _per_second(first, case)
        )
        for one in results[1:]
        for case in CASES
    }
    print(ratio_table(ratios))
    return Measured(ratios, {one.name: [one.speeds, one.fresh, one.used] for one in results})


def _per_second(result: Result, case: str) -> list[float]:
    return [speed.per_second for speed in result.speeds[case]]


def main() -> None:
    """Measure each size with each number of workers."""
    parser = options(__doc__)
    parser.add_argument("--items", default="1000,10000,100000,1000000")
    parser.add_argument("--workers", default="1,2")
    chosen = parser.parse_args()
    require_tools()
    sizes, workers = ([int(n) for n in text.split(",")] for text in (chosen.items, chosen.workers))
    pairs = [(size, count) for size in sizes for count in workers]
    plan = plan_of(chosen)
    progress = track(pairs, "measuring", console=Console(stderr=True))
    write(chosen.json, report([measure(size, count, plan) for size, count in progress]))


if __name__ == "__main__":
    main()
