"""Processor time of the requests of this service, in process.

    python benchmarks/request_cost.py                       every kind of request
    python benchmarks/request_cost.py list one --profile    and where the time goes, by layer
    python benchmarks/request_cost.py --against OTHER/src   two versions take turns: their ratio

Every request reads another page or item, of another user. `first-use` is `one` with an access token
that no request had before, `after-refresh` with the first one after a refresh (which is recorded).
Each version runs in a process of its own and takes its turn in every round, so that a busy machine
slows down both. Only ratios of one run count.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from bench.layers import layer_shares, slowest
from bench.results import Figure, Measured, figure, markdown_table, ratio, write

REQUESTS = {  # in a round
    "list": 100,
    "one": 400,
    "first-use": 100,
    "after-refresh": 50,
    "login": 4,
    "refresh": 50,
}
FUNCTIONS = 15  # printed of a profile
WARM_UP, PROFILED = 1, 5  # rounds
SOURCE = Path(__file__).parents[1] / "src"


class Version:
    """A process with one version of the service; it measures when it is asked."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        """Wait until its database is filled."""
        self._process = process
        self.ask("hello")

    def ask(self, *command: str | int) -> Any:  # noqa: ANN401 - JSON
        """Return the answer to a command."""
        assert self._process.stdin  # noqa: S101 - both are pipes
        assert self._process.stdout  # noqa: S101
        print(json.dumps(command), file=self._process.stdin, flush=True)
        answer = self._process.stdout.readline()
        if not answer:
            sys.exit("the measured process ended; its error is above")
        return json.loads(answer)


@contextmanager
def running(source: Path) -> Iterator[Version]:
    """Run the version in a source folder."""
    paths = [str(source), str(Path(__file__).parent)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    command = [sys.executable, __file__, "--worker"]
    pipe = subprocess.PIPE
    with subprocess.Popen(  # noqa: S603 - ours
        command, env=environment, stdin=pipe, stdout=pipe, text=True
    ) as process:
        yield Version(process)  # then its input is closed, so it removes its folder and ends


def work() -> None:
    """Measure what each line of the standard input asks for."""
    from bench.workload import Workload  # noqa: PLC0415 - it imports the measured version

    answers, sys.stdout = sys.stdout, sys.stderr  # whatever else is printed is no answer
    with tempfile.TemporaryDirectory() as folder:
        workload = Workload(Path(folder))
        for line in sys.stdin:
            name, *arguments = json.loads(line)
            print(json.dumps(_answer(workload, name, arguments)), file=answers, flush=True)
        workload.close()


def _answer(workload: Any, name: str, arguments: list[Any]) -> object:  # noqa: ANN401 - imported late
    if name == "hello":
        return None
    if name == "measure":
        return workload.measure(*arguments)
    profile = workload.profile(*arguments)
    return {"layers": layer_shares(profile), "functions": slowest(profile, FUNCTIONS)}


def measure(
    versions: Sequence[Version], cases: Sequence[str], rounds: int
) -> dict[str, list[list[float]]]:
    """Return the microseconds of each case in each version, a list of its rounds."""
    samples: dict[str, list[list[float]]] = {case: [[] for _ in versions] for case in cases}
    for number in range(WARM_UP + rounds):
        for case in cases:
            for version, found in zip(versions, samples[case], strict=True):
                microseconds = version.ask("measure", case, REQUESTS[case])
                if number >= WARM_UP:
                    found.append(microseconds)
    return samples


def print_profile(case: str, microseconds: float, profile: dict[str, Any]) -> None:
    """Print the time of each layer, and the functions that take most."""
    layers = profile["layers"].items()
    rows = [[name, f"{share:.1%}", f"{share * microseconds:.0f}"] for name, share in layers]
    print(f"\n{case}: where the time goes\n")
    print(markdown_table(["layer", "share", "us"], rows[:20]))
    rows = [[f"`{name}`", f"{share:.1%}"] for name, share in profile["functions"]]
    print("\n" + markdown_table(["function", "own time"], rows))


def options() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"some of: {', '.join(REQUESTS)}")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--source", type=Path, default=SOURCE, help="the measured version")
    parser.add_argument("--against", type=Path, help="the source folder of another version")
    parser.add_argument("--profile", action="store_true", help="print where the time goes")
    parser.add_argument("--json", type=Path, help="a file for the results")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if unknown := set(chosen.cases) - REQUESTS.keys():
        parser.error(f"no such case: {', '.join(sorted(unknown))}; there are {', '.join(REQUESTS)}")
    return chosen


def main() -> None:
    """Measure, and print a table."""
    chosen = options()
    if chosen.worker:
        work()
        return
    cases = chosen.cases or [*REQUESTS]
    sources = [chosen.source, *([chosen.against] if chosen.against else [])]
    with ExitStack() as stack:
        versions = [stack.enter_context(running(source)) for source in sources]
        samples = measure(versions, cases, chosen.rounds)
        rows: list[list[str]] = []
        ratios: dict[str, Figure] = {}
        for case in cases:
            figures = [figure(series) for series in samples[case]]
            row = [case, *(f"{one:.1f}" for one in figures)]
            if chosen.against:
                ratios[case] = ratio(*samples[case])
                row.append(f"{ratios[case]:.3f}")
            rows.append(row)
        head = ["request", "processor us", *(["against, us", "ratio"] if chosen.against else [])]
        print(markdown_table(head, rows))
        write(chosen.json, Measured(ratios, {"microseconds": samples}))
        for case in cases if chosen.profile else ():
            profile = versions[0].ask("profile", case, REQUESTS[case] * PROFILED)
            print_profile(case, figure(samples[case][0]).median, profile)


if __name__ == "__main__":
    main()
