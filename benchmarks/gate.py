"""What the gate costs: this service with it and without it, and an application around a view.

    python benchmarks/gate.py                 in the server (needs wrk) and in process
    python benchmarks/gate.py --in-process    in process only

In the server: tokens that are remembered, tokens that each request has for the first time, and the
same views with the gate taken out. In process: the processor time of the same requests, and that of
a view of an application with and without the layer.
"""

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from apps.service_without_gate import create_open_app
from bench.command import compare, options, ratio_table
from bench.contestants import FIRST_USE, SERVICE, WITHOUT_GATE
from bench.in_process import Environ, environ, microseconds
from bench.results import Measured, figure, markdown_table, ratio, write
from bench.workload import NO_LIMIT, Workload
from flask import Flask
from rich.console import Console
from rich.progress import track

from itemsapi import AuthLayer, db, public, requires
from itemsapi.services import EXTENSION
from itemsapi.settings import Settings
from itemsapi.testing.tokens import access_token, decode_part
from itemsapi.tokens.scopes import ITEMS_READ

SERVERS = {"itemsapi": SERVICE, "first-use": FIRST_USE, "without-gate": WITHOUT_GATE}
PAIRS = (("itemsapi", "without-gate"), ("first-use", "itemsapi"))
IN_PROCESS = {"list": 40, "one": 200, "first-use": 100}  # requests in a round
VIEW_REQUESTS = 500
Turn = tuple[str, Flask, list[Environ]]  # what is measured


def service_turns(folder: Path) -> Iterator[list[Turn]]:
    """Yield the turns of each round: the same requests with and without the gate."""
    workload = Workload(folder)
    without_gate = create_open_app(Settings(data_dir=folder, rate_limit=NO_LIMIT))
    try:
        while True:
            turns: list[Turn] = []
            for case, count in IN_PROCESS.items():
                requests = workload.requests(case, count)
                turns.append((case, workload.app, requests))
                if case != "first-use":
                    known = [_with_user_id(request) for request in requests]
                    turns.append((f"{case}, without the gate", without_gate, known))
            yield turns
    finally:
        workload.close()
        without_gate.extensions[EXTENSION].database.dispose()


def _with_user_id(request: Environ) -> Environ:
    """Return a request that tells its user, as the service without its gate wants it."""
    token = request["HTTP_AUTHORIZATION"].removeprefix("Bearer ")
    return request | {"HTTP_AUTHORIZATION": decode_part(token, 1)["sub"]}


def view_turns(folder: Path) -> Iterator[list[Turn]]:
    """Yield the turns of each round: a view of an application with and without the layer."""
    bare, guarded = _application(), _application()
    rules = {"/orders": requires(ITEMS_READ), "/open": public("for comparison")}
    settings = Settings(data_dir=folder, rate_limit=NO_LIMIT)
    AuthLayer(guarded, rules=rules, settings=settings).seal(guarded)
    database = guarded.extensions[EXTENSION].database
    db.upgrade(database)
    token = access_token(guarded, [ITEMS_READ])
    try:
        while True:
            yield [
                ("a view of Flask", bare, [environ("GET", "/orders")] * VIEW_REQUESTS),
                ("a public view", guarded, [environ("GET", "/open")] * VIEW_REQUESTS),
                ("a view", guarded, [environ("GET", "/orders", token=token)] * VIEW_REQUESTS),
            ]
    finally:
        database.dispose()


def _application() -> Flask:
    app = Flask("host", static_folder=None)
    app.add_url_rule("/orders", "orders", lambda: {"orders": [1, 2, 3]})
    app.add_url_rule("/open", "open", lambda: {"orders": [1, 2, 3]})
    return app


def measure(rounds: Iterator[list[Turn]], count: int) -> dict[str, list[float]]:
    """Return the processor time of a request of each turn; a first round warms up."""
    samples: dict[str, list[float]] = {}
    numbers = track(range(count + 1), "in process", console=Console(stderr=True))
    for number, turns in zip(numbers, rounds, strict=False):
        for name, app, requests in turns:
            spent = microseconds(app, requests)
            if number:
                samples.setdefault(name, []).append(spent)
    return samples


def in_process(count: int) -> Measured:
    """Measure in process, and print a table; each ratio is larger for a cheaper gate."""
    samples: dict[str, list[float]] = {}
    for source in (service_turns, view_turns):
        with tempfile.TemporaryDirectory() as folder:
            turns = source(Path(folder))
            samples |= measure(turns, count)
            turns.close()  # type: ignore[attr-defined]
    rows = [[name, f"{figure(spent):.1f}"] for name, spent in samples.items()]
    print("\n" + markdown_table(["request, in process", "processor us"], rows) + "\n")
    cheaper: Sequence[tuple[str, str]] = (
        ("list, without the gate", "list"),
        ("one, without the gate", "one"),
        ("one", "first-use"),
        ("a view of Flask", "a view"),
    )
    ratios = {f"us: {one} / {two}": ratio(samples[one], samples[two]) for one, two in cheaper}
    print(ratio_table(ratios))
    return Measured(ratios, {"microseconds": samples})


def run(chosen: argparse.Namespace) -> Measured:
    """Measure in process, and in the server unless the options exclude it."""
    inside = in_process(chosen.rounds or (10 if chosen.quick else 30))
    if chosen.in_process:
        return inside
    print()
    return compare(SERVERS, ("list", "one"), chosen, PAIRS) | inside


if __name__ == "__main__":
    parser = options(__doc__)
    parser.add_argument("--in-process", action="store_true", help="no servers")
    chosen = parser.parse_args()
    write(chosen.json, run(chosen))
