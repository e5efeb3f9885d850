"""Measure what a purge of many sessions costs a concurrent writer.

 python benchmarks/purge.py [--rows 1000000] [--url postgresql://...]

Every third session has ended. A separate process writes continuously, first alone and then during
the purge. The output has the time per batch (the locks are not held longer) and the writer's times.
"""

import argparse
import json
import multiprocessing
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import timedelta
from multiprocessing.synchronize import Event
from pathlib import Path

from sqlalchemy import insert, update

from itemsapi import clock, db
from itemsapi.accounts.models import User
from itemsapi.clock import new_id
from itemsapi.db import Database
from itemsapi.issuer.retention import count_rows, purge, purge_targets
from itemsapi.services import build_services
from itemsapi.settings import Settings
from itemsapi.tokens.sessions import AuthSession

CHUNK = 10_000
SECRET = "benchmark-0123456789-abcdefghijklmnopqrstuvwxyz"
Seconds = list[float]


def main() -> None:
    """Fill a database, purge it, and print the timings as JSON."""
    options = _options()
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(
            data_dir=Path(folder), database_url=options.url or "", secret_key=SECRET
        )
        services = build_services(settings, clock.now)
        db.upgrade(services.database)
        user_id = _fill(services.database, options.rows)
        report = {"rows": options.rows, "database": services.database.dialect}
        writer_alone = _measure_writer(settings.database_url, user_id, lambda: time.sleep(3))
        batches: Seconds = []
        began = time.perf_counter()
        writer_during_purge = _measure_writer(
            settings.database_url, user_id, lambda: _purge(services.issuer, batches)
        )
        report["seconds"] = round(time.perf_counter() - began, 1)
        report |= {"batch": _summary(batches)}
        report |= {
            "writer_alone": _summary(writer_alone),
            "writer_beside": _summary(writer_during_purge),
        }
        print(json.dumps(report, indent=2))
        services.database.dispose()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--url", help="an empty database; SQLite in a temporary folder if absent")
    return parser.parse_args()


def _fill(database: Database, rows: int) -> str:
    """Insert sessions, every third of them ended; return the id of their user."""
    user_id, now = new_id(), clock.now()
    with database.transaction() as tx:
        tx.add(User(id=user_id, username="ada", password_hash="-", created_at=now, updated_at=now))
    for at in range(0, rows, CHUNK):
        print(f"\r{at} of {rows}", end="", file=sys.stderr)
        with database.transaction() as tx:
            tx.execute(
                insert(AuthSession.core()), [_row(user_id, n) for n in range(at, at + CHUNK)]
            )
    print(file=sys.stderr)
    return user_id


def _row(user_id: str, number: int) -> dict[str, object]:
    now = clock.now()
    ended_at = now - timedelta(days=2) if number % 3 == 0 else None
    return {
        "id": new_id(), "user_id": user_id, "gen": 1, "epoch": 0, "delivery": "body",
        "amr": "pwd", "auth_time": 1, "device": "d", "address": "a", "created_at": now,
        "rotated_at": now, "used_before": now, "checkpoint_at": now,
        "expires_at": now + timedelta(days=90), "ended_at": ended_at,
    }  # fmt: skip


def _purge(issuer: object, batches: Seconds) -> None:
    def record_and_sleep(seconds: float) -> None:
        batches.append(seconds)
        time.sleep(seconds)

    target = next(iter(purge_targets(issuer)))  # type: ignore[arg-type]
    began = time.perf_counter()
    print(
        f"{count_rows(issuer, target)} expired rows",
        f"{time.perf_counter() - began:.2f} s",
        file=sys.stderr,
    )  # type: ignore[arg-type]
    print(f"{purge(issuer, target, pause=record_and_sleep)} deleted", file=sys.stderr)  # type: ignore[arg-type]


def _measure_writer(url: str, user_id: str, work: object) -> Seconds:
    """Let another process write while `work` runs; return the time of each write."""
    context = multiprocessing.get_context("spawn")
    stop, queue = context.Event(), context.Queue()
    writer = context.Process(target=_write, args=(url, user_id, stop, queue))
    writer.start()
    queue.get()
    assert callable(work)  # noqa: S101 - narrows the type
    work()
    stop.set()
    times: Seconds = queue.get()
    writer.join()
    return times


def _write(url: str, user_id: str, stop: Event, queue: object) -> None:
    """Commit small changes one after another until stopped."""
    database, times = Database(url), []
    change = update(User.core()).where(User.core().c.id == user_id)
    queue.put("ready")  # type: ignore[attr-defined]
    while not stop.is_set():
        began = time.perf_counter()
        with database.transaction() as tx:
            tx.execute(change.values(updated_at=clock.now()))
        times.append(time.perf_counter() - began)
        time.sleep(0.005)
    queue.put(times)  # type: ignore[attr-defined]


def _summary(times: Sequence[float]) -> dict[str, float]:
    cuts = statistics.quantiles(times, n=100)
    report = {"count": len(times), "p50_ms": cuts[49], "p99_ms": cuts[98], "max_ms": max(times)}
    return {k: round(v * 1000, 1) if k.endswith("ms") else v for k, v in report.items()}


if __name__ == "__main__":
    main()
