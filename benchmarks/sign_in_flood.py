"""How often others are turned away while one address floods the sign-in.

    python benchmarks/sign_in_flood.py                 16 callers of one address, for 20 seconds
    python benchmarks/sign_in_flood.py --callers 64

One process, real parameters, SQLite, no network: callers of one address guess at names that are not
there, as fast as they are answered, and somebody at another address signs in five times a second.
The limits of guessing are put out of the way, so that the flood does not end by itself.
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
from itemsapi.accounts.permissions import COMMAND_LINE
from itemsapi.issuer import login_throttling
from itemsapi.services import EXTENSION, Services
from itemsapi.settings import Settings

SECRET = "benchmark-0123456789-abcdefghijklmnopqrstuvwxyz"
PASSWORD = "plain horse battery staple"
FLOOD, OTHER = "198.51.100.7", "203.0.113.9"
PAUSE = 0.2  # seconds between the sign-ins of the other address


def sign_in(app: Flask, name: str, address: str) -> tuple[int, float]:
    """Try to sign in; return the status and after how many seconds it came."""
    begun = time.perf_counter()
    body = {"username": name, "password": PASSWORD}
    answer = app.test_client().post("/auth/login", json=body, environ_base={"REMOTE_ADDR": address})
    return answer.status_code, time.perf_counter() - begun


def measure(app: Flask, callers: int, seconds: float) -> tuple[Counter[int], Counter[int], float]:
    """Return the answers to the flood and to the other address, and the other's middle time."""
    over = threading.Event()
    flood, other, times = Counter[int](), Counter[int](), []

    def guess(number: int) -> None:
        while not over.is_set():
            flood[sign_in(app, f"nobody-{number}", FLOOD)[0]] += 1

    threads = [threading.Thread(target=guess, args=(number,)) for number in range(callers)]
    for thread in threads:
        thread.start()
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        status, took = sign_in(app, "ada", OTHER)
        other[status] += 1
        times.append(took)
        time.sleep(PAUSE)
    over.set()
    for thread in threads:
        thread.join()
    return flood, other, statistics.median(times)


def told(who: str, answers: Counter[int]) -> None:
    """Print what somebody was answered."""
    share = answers[503] / max(1, answers.total())
    print(f"{who}: {answers.total()} asked, {share:.1%} turned away, {dict(answers)}")


def main() -> None:
    """Measure once."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--callers", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=20)
    wish = parser.parse_args()
    logging.disable(logging.CRITICAL)
    for limit in ("TRIES_HERE", "TRIES_CLIENT", "TRIES_ACCOUNT"):
        setattr(login_throttling, limit, 10**9)
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(secret_key=SECRET, data_dir=Path(folder), rate_limit=None)
        app = create_app(settings)
        services: Services = app.extensions[EXTENSION]
        db.upgrade(services.database)
        services.users.create(COMMAND_LINE, "ada", PASSWORD, ["member"])
        flood, other, middle = measure(app, wish.callers, wish.seconds)
        services.database.dispose()
    told("flood", flood)
    told("other address", other)
    print(f"other address: p50 {middle * 1000:.0f} ms")


if __name__ == "__main__":
    main()
