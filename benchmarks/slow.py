"""Whether two queries that never end stop what needs no database, or another table.

    python benchmarks/slow.py postgresql://USER@HOST/EMPTY_DATABASE     needs wrk

A session of PostgreSQL locks the table of items, and two clients ask for an item again and again:
each waits until the service gives up. Meanwhile, and calm before it, wrk asks for the liveness and
refreshes tokens (R-04).
"""

import argparse
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from http.client import HTTPException
from pathlib import Path

from bench.clients import send
from bench.command import options, plan_of, ratio_table
from bench.contestants import SERVICE
from bench.environments import python_of, variables_of
from bench.results import Measured, figure, markdown_table, ratio, write
from bench.rounds import Plan, loads_of
from bench.servers import serving
from bench.service_data import fill
from bench.wrk import Load, Request, Speed, require_tools, run
from sqlalchemy import create_engine, text

from itemsapi import create_app
from itemsapi.services import EXTENSION
from itemsapi.settings import Settings

USERS, ITEMS = 20, 50
STUCK_CLIENTS = 2
LOCK = text("LOCK TABLE itemsapi_item IN ACCESS EXCLUSIVE MODE")
ALIVE = Load((Request("GET", "/health/live"),), connections=4)
Samples = dict[str, list[Speed]]


@contextmanager
def service(url: str, folder: Path, plan: Plan) -> Iterator[str]:
    """Run the service on a PostgreSQL database; yield its address."""
    services = create_app(Settings(data_dir=folder, database_url=url)).extensions[EXTENSION]
    fill(services, USERS, ITEMS)
    services.database.dispose()
    variables = variables_of(SERVICE, folder, url)
    command = [python_of(SERVICE), *SERVICE.server]
    with serving(command, variables, folder, plan.server_core) as address:
        yield address


@contextmanager
def stuck(url: str, address: str, item: Request) -> Iterator[None]:
    """Lock the table of items, and let clients wait for an item of it."""
    stop, engine = threading.Event(), create_engine(_driver(url))

    def ask() -> None:
        while not stop.is_set():
            with suppress(RuntimeError, OSError, HTTPException):  # the service gave up
                send(address, item)

    threads = [threading.Thread(target=ask) for _ in range(STUCK_CLIENTS)]
    try:
        with engine.connect() as connection:
            connection.execute(LOCK)
            for thread in threads:
                thread.start()
            yield
            stop.set()
            connection.rollback()
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        engine.dispose()


def _driver(url: str) -> str:
    return url.replace("postgresql://", "postgresql+psycopg://", 1)


def measure(url: str, folder: Path, plan: Plan) -> Samples:
    """Return the speeds of all rounds; the first warms up and does not count."""
    samples: Samples = {}
    with service(url, folder, plan) as address:
        plan = replace(plan, users=USERS, items_per_user=ITEMS)
        loads = loads_of(SERVICE.client, address, folder, ("one", "refresh"), plan)
        item = loads["one"]().requests[0]
        for number in range(plan.rounds + 1):
            for state in ("calm", "two stuck"):
                sent = {"liveness": ALIVE, "refresh": loads["refresh"]()}
                with ExitStack() as stack:
                    if state != "calm":
                        stack.enter_context(stuck(url, address, item))
                    for name, load in sent.items():
                        speed = run(address, load, plan.seconds, plan.load_core, refusals=True)
                        if number:
                            samples.setdefault(f"{name}, {state}", []).append(speed)
    return samples


def report(samples: Samples) -> Measured:
    """Print the tables; return the ratios."""
    rows = []
    for name, speeds in samples.items():
        row = [name, f"{figure([one.per_second for one in speeds]):,.0f}"]
        row += [f"{figure([one.p99 for one in speeds]):.1f}"]
        rows.append([*row, f"{figure([one.refused for one in speeds]).median:.0%}"])
    print(markdown_table(["", "good a second", "p99 ms", "refused"], rows), end="\n\n")
    ratios = {
        f"p99 of {name}: calm / two stuck": ratio(
            [one.p99 for one in samples[f"{name}, calm"]],
            [one.p99 for one in samples[f"{name}, two stuck"]],
        )
        for name in ("liveness", "refresh")
    }
    print(ratio_table(ratios))
    return Measured(ratios, {"samples": samples})


def main() -> None:
    """Measure, and report."""
    parser: argparse.ArgumentParser = options(__doc__)
    parser.add_argument("url", help="an empty PostgreSQL database")
    chosen = parser.parse_args()
    require_tools()
    with tempfile.TemporaryDirectory(prefix="itemsapi-bench-") as folder:
        write(chosen.json, report(measure(chosen.url, Path(folder), plan_of(chosen))))


if __name__ == "__main__":
    main()
