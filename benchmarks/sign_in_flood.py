"""Measure how often other clients are rejected while one address floods the sign-in.

 python benchmarks/sign_in_flood.py                 16 clients of one address, for 20 seconds
    python benchmarks/sign_in_flood.py --callers 64

One process, real parameters, SQLite, no network: clients of one address try unknown names as fast
as they get responses, and a client at another address signs in five times a second. The attempt
limits are raised, so that they do not end the flood.
"""

import argparse
import logging
import statistics
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

from flask import Flask

from itemsapi import create_app, db
from itemsapi.accounts.models import COMMAND_LINE
from itemsapi.composition import Services
from itemsapi.issuer import login_throttling
from itemsapi.services import EXTENSION
from itemsapi.settings import Settings

SECRET = "benchmark-0123456789-abcdefghijklmnopqrstuvwxyz"
PASSWORD = "plain horse battery staple"
FLOOD, OTHER = "198.51.100.7", "203.0.113.9"
PAUSE_SECONDS = 0.2  # between the sign-ins of the other address
LIMITS = (
    "MAX_ATTEMPTS_PER_USER_AND_CLIENT",
    "MAX_ATTEMPTS_PER_CLIENT",
    "MAX_ATTEMPTS_PER_USER",
)


def sign_in(app: Flask, name: str, address: str) -> tuple[int, float]:
    """Try to sign in; return the status and the seconds it took."""
    started = time.perf_counter()
    body = {"username": name, "password": PASSWORD}
    response = app.test_client().post(
        "/auth/login", json=body, environ_base={"REMOTE_ADDR": address}
    )
    return response.status_code, time.perf_counter() - started


def measure(app: Flask, callers: int, seconds: float) -> tuple[Counter[int], Counter[int], float]:
    """Return the statuses of the flood and of the other address, and the other's median time."""
    stop = threading.Event()
    flood, other, times = Counter[int](), Counter[int](), []

    def flood_sign_in(number: int) -> None:
        while not stop.is_set():
            flood[sign_in(app, f"nobody-{number}", FLOOD)[0]] += 1

    threads = [threading.Thread(target=flood_sign_in, args=(number,)) for number in range(callers)]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        status, seconds_taken = sign_in(app, "ada", OTHER)
        other[status] += 1
        times.append(seconds_taken)
        time.sleep(PAUSE_SECONDS)
    stop.set()
    for thread in threads:
        thread.join()
    return flood, other, statistics.median(times)


def print_share(client_name: str, statuses: Counter[int]) -> None:
    """Print the number of requests and the share that was rejected."""
    share = statuses[503] / max(1, statuses.total())
    print(f"{client_name}: {statuses.total()} requests, {share:.1%} rejected, {dict(statuses)}")


def main() -> None:
    """Run one measurement."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--callers", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=20)
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    for limit in LIMITS:
        setattr(login_throttling, limit, 10**9)
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(secret_key=SECRET, data_dir=Path(folder), rate_limit=None)
        app = create_app(settings)
        services: Services = app.extensions[EXTENSION]
        db.upgrade(services.database)
        services.users.create(COMMAND_LINE, "ada", PASSWORD, ["member"])
        flood, other, median_seconds = measure(app, options.callers, options.seconds)
        services.database.dispose()
    print_share("flood", flood)
    print_share("other address", other)
    print(f"other address: p50 {median_seconds * 1000:.0f} ms")


if __name__ == "__main__":
    main()
