"""Measure what a purge of many sessions costs those who write meanwhile.

    python benchmarks/purge.py [--rows 1000000] [--url postgresql://...]

Every third session is over. A process of its own writes as fast as it can, first alone and then
beside the purge. Printed are the time per batch (the locks are held no longer) and the writer's.
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
Times = list[float]


def main() -> None:
    """Fill a database, purge it, and print what that took as JSON."""
    options = _options()
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(
            data_dir=Path(folder), database_url=options.url or "", secret_key=SECRET
        )
        services = build_services(settings, clock.now)
        db.upgrade(services.database)
        account = _fill(services.database, options.rows)
        found = {"rows": options.rows, "database": services.database.dialect}
        alone = _while(settings.database_url, account, lambda: time.sleep(3))
        batches: Times = []
        began = time.perf_counter()
        beside = _while(settings.database_url, account, lambda: _purge(services.issuer, batches))
        found["seconds"] = round(time.perf_counter() - began, 1)
        found |= {"batch": _spread(batches)}
        found |= {"writer_alone": _spread(alone), "writer_beside": _spread(beside)}
        print(json.dumps(found, indent=2))
        services.database.dispose()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--url", help="an empty database; SQLite in a temporary folder if absent")
    return parser.parse_args()


def _fill(database: Database, rows: int) -> str:
    """Write sessions, every third of them over; return the account that has them all."""
    account, now = new_id(), clock.now()
    with database.transaction() as tx:
        tx.add(User(id=account, username="ada", password_hash="-", created_at=now, updated_at=now))
    for at in range(0, rows, CHUNK):
        print(f"\r{at} of {rows}", end="", file=sys.stderr)
        with database.transaction() as tx:
            tx.execute(
                insert(AuthSession.core()), [_row(account, n) for n in range(at, at + CHUNK)]
            )
    print(file=sys.stderr)
    return account


def _row(account: str, number: int) -> dict[str, object]:
    now = clock.now()
    over = now - timedelta(days=2) if number % 3 == 0 else None
    return {
        "id": new_id(), "user_id": account, "gen": 1, "epoch": 0, "delivery": "body",
        "amr": "pwd", "auth_time": 1, "device": "d", "address": "a", "created_at": now,
        "rotated_at": now, "used_before": now, "checkpoint_at": now,
        "expires_at": now + timedelta(days=90), "ended_at": over,
    }  # fmt: skip


def _purge(issuer: object, batches: Times) -> None:
    def rest(seconds: float) -> None:
        batches.append(seconds)
        time.sleep(seconds)

    heap = next(iter(purge_targets(issuer)))  # type: ignore[arg-type]
    began = time.perf_counter()
    print(
        f"{count_rows(issuer, heap)} found", f"{time.perf_counter() - began:.2f} s", file=sys.stderr
    )  # type: ignore[arg-type]
    print(f"{purge(issuer, heap, pause=rest)} gone", file=sys.stderr)  # type: ignore[arg-type]


def _while(url: str, account: str, work: object) -> Times:
    """Let another process write while work is done here; return how long each write took."""
    context = multiprocessing.get_context("spawn")
    stop, queue = context.Event(), context.Queue()
    writer = context.Process(target=_write, args=(url, account, stop, queue))
    writer.start()
    queue.get()
    assert callable(work)  # noqa: S101 - narrows the type
    work()
    stop.set()
    times: Times = queue.get()
    writer.join()
    return times


def _write(url: str, account: str, stop: Event, queue: object) -> None:
    """Commit one small change after another until told to stop."""
    database, times = Database(url), []
    change = update(User.core()).where(User.core().c.id == account)
    queue.put("ready")  # type: ignore[attr-defined]
    while not stop.is_set():
        began = time.perf_counter()
        with database.transaction() as tx:
            tx.execute(change.values(updated_at=clock.now()))
        times.append(time.perf_counter() - began)
        time.sleep(0.005)
    queue.put(times)  # type: ignore[attr-defined]


def _spread(times: Sequence[float]) -> dict[str, float]:
    cuts = statistics.quantiles(times, n=100)
    found = {"count": len(times), "p50_ms": cuts[49], "p99_ms": cuts[98], "max_ms": max(times)}
    return {k: round(v * 1000, 1) if k.endswith("ms") else v for k, v in found.items()}


if __name__ == "__main__":
    main()
