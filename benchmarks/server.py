"""Measure the throughput of the server, and what stalled clients cost the others.

    python benchmarks/server.py             all parts (needs wrk)
    python benchmarks/server.py --speed     requests per second against granian's WSGI mode
    python benchmarks/server.py --pin       with and without a core that all threads share
    python benchmarks/server.py --stalled   sign-ins while clients stall or read nothing

S-110, S-111. Only ratios within one run are comparable between machines. `--speed` is that of one
core, with several numbers of threads; for `--pin` the service and wrk may use every core.
"""

import argparse
import json
import socket
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from urllib.parse import urlsplit

from bench.clients import SERVICE as CLIENT
from bench.clients import Session, send
from bench.command import QUICK, compare, options
from bench.contestants import GRANIAN, SERVICE, Contestant
from bench.results import Measured, write
from bench.rounds import running
from bench.wrk import Request

THREADS = (2, 4, 8)
ITEM = {"name": "Lamp", "description": "Made of brass.", "price": "12.50", "currency": "EUR"}
STALLED = ((4, 2), (60, 1), (400, 100), (1500, 100))  # clients, and addresses that they come from
HEADERS = b"POST /auth/login HTTP/1.1\r\nHost: x\r\nX-Slow: "
BODY = b"POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: 60\r\n\r\n{"
NEVER_READ = 200
LARGE_ITEMS = 30
SIGN_INS, READS = 40, 300  # measured beside each kind of clients


def with_threads(threads: int) -> Contestant:
    """Return the service with a number of threads."""
    server = (*SERVICE.server, "--threads", str(threads))
    return replace(SERVICE, title=f"{threads} threads", server=server)


def wsgi_mode() -> Contestant:
    """Return the service in granian's WSGI mode, with eight threads."""
    wsgi = ("--interface", "wsgi", "--blocking-threads", "8", "itemsapi.wsgi:application")
    return replace(SERVICE, title="WSGI mode, 8 threads", server=(*GRANIAN, *wsgi))


def measure_speed(chosen: argparse.Namespace) -> Measured:
    """Compare our server with granian's WSGI mode."""
    contestants = {f"{threads} threads": with_threads(threads) for threads in THREADS}
    pairs = [(name, "WSGI") for name in contestants]
    contestants["WSGI"] = wsgi_mode()
    return compare(contestants, ("list", "one"), chosen, pairs)


def measure_pin(chosen: argparse.Namespace) -> Measured:
    """Compare a worker on one core with one whose threads use every core."""
    free = replace(SERVICE, title="--no-pin", server=(*SERVICE.server, "--no-pin"))
    contestants = {"--pin": replace(SERVICE, title="--pin"), "--no-pin": free}
    chosen.all_cores = True
    return compare(contestants, ("list", "one"), chosen)


class Victim:
    """A client that signs in and reads an item while others stall."""

    def __init__(self, url: str) -> None:
        """Sign in, and create an item."""
        self.url, self.address = url, urlsplit(url)
        self.session: Session = CLIENT.sign_in(url, 0, "user-0000")
        self.item = self.create(ITEM)

    def create(self, item: dict[str, str]) -> str:
        """Create an item; return its id."""
        body = json.dumps(item)
        created = send(self.url, Request("POST", "/items", self.session.authorization, body))
        return str(created["id"])

    def sign_in(self) -> None:
        """Sign in."""
        CLIENT.sign_in(self.url, 0, "user-0000")

    def read_item(self) -> None:
        """Read an item."""
        send(self.url, Request("GET", f"/items/{self.item}", self.session.authorization))

    def connect(self, number: int, addresses: int, sent: bytes) -> socket.socket:
        """Return a connection of another client that has sent something."""
        source = (f"127.0.2.{number % addresses + 1}", 0)
        there = (self.address.hostname or "", self.address.port or 0)
        connection = socket.create_connection(there, source_address=source)
        connection.sendall(sent)
        return connection


@contextmanager
def stalled(victim: Victim, count: int, addresses: int, sent: bytes) -> Iterator[None]:
    """Keep connections open that have sent a part of a request."""
    with ExitStack() as connections:
        for number in range(count):
            connections.enter_context(victim.connect(number, addresses, sent))
        yield


@contextmanager
def never_reading(victim: Victim) -> Iterator[None]:
    """Keep connections open that have requested the largest page and read nothing."""
    authorization = victim.session.authorization
    page = f"GET /items?limit=200 HTTP/1.1\r\nHost: x\r\nAuthorization: {authorization}\r\n\r\n"
    with ExitStack() as connections:
        for _ in range(NEVER_READ):
            connection = connections.enter_context(socket.socket())
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.bind(("127.0.3.1", 0))
            connection.connect((victim.address.hostname, victim.address.port))
            connection.sendall(page.encode())
        yield


def quantiles(measured: Callable[[], None], times: int) -> tuple[float, float]:
    """Return the median and the 99th percentile in milliseconds."""
    found = []
    for _ in range(times):
        start = time.perf_counter()
        measured()
        found.append((time.perf_counter() - start) * 1000)
    return statistics.median(found), sorted(found)[int(times * 0.99)]


def measure_stalled() -> None:
    """Print how long sign-ins and reads take while other clients stall or do not read."""
    print("| other clients | sign-in, p50 ms | ratio | one item, p99 ms | ratio |")
    print("|---|---|---|---|---|")
    with running(SERVICE, replace(QUICK, server_core=None)) as (url, _):
        victim = Victim(url)
        unloaded = _line("none", victim, None)
        for kind, sent in (("bodies", BODY), ("headers", HEADERS)):
            for count, addresses in STALLED:
                with stalled(victim, count, addresses, sent):
                    _line(f"{count:,} {kind}, {addresses} addresses", victim, unloaded)
        for _ in range(LARGE_ITEMS):
            victim.create(ITEM | {"description": "\N{BANANA}" * 10_000})
        with never_reading(victim):
            _line(f"{NEVER_READ} that never read", victim, unloaded)


def _line(name: str, victim: Victim, unloaded: tuple[float, float] | None) -> tuple[float, float]:
    sign_in, _ = quantiles(victim.sign_in, SIGN_INS)
    _, read = quantiles(victim.read_item, READS)
    ratios = [f"{sign_in / unloaded[0]:.2f}", f"{read / unloaded[1]:.2f}"] if unloaded else ["", ""]
    print(f"| {name} | {sign_in:.1f} | {ratios[0]} | {read:.1f} | {ratios[1]} |", flush=True)
    return sign_in, read


def main() -> None:
    """Run the selected measurements."""
    parser = options(__doc__)
    parts = {"speed": measure_speed, "pin": measure_pin}
    for part in (*parts, "stalled"):
        parser.add_argument(f"--{part}", action="store_true")
    chosen = parser.parse_args()
    everything = not (chosen.speed or chosen.pin or chosen.stalled)
    found: Measured = Measured({}, {})
    for part, measure in parts.items():
        if everything or getattr(chosen, part):
            measured = measure(argparse.Namespace(**vars(chosen)))
            found |= Measured(measured.ratios, {part: measured.details})
            print()
    write(chosen.json, found)  # not the stalled clients, which have no rounds
    if everything or chosen.stalled:
        measure_stalled()


if __name__ == "__main__":
    main()
