"""Measure the cost of sessions, from ten thousand to a million.

 python benchmarks/sessions.py                      SQLite, in a temporary folder
    python benchmarks/sessions.py --url postgresql://  an empty PostgreSQL database
    python benchmarks/sessions.py --sizes 10000,100000

Per size, in one process and through the real functions: check (the gate verifies an access token,
new or seen before), refresh, revoke (sign out), list (a user's sessions), and the memory of a new
process that has read the revocation feed. The ratios of the largest to the smallest size count:
R-18 demands at most 1.5 for the check and 3 for the rest.
"""

import argparse
import logging
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from flask import Flask
from rich.progress import track
from sqlalchemy import func, insert, select, text

from itemsapi import create_app, db
from itemsapi.accounts.models import User, UserRole
from itemsapi.clock import new_id, now, unix_seconds
from itemsapi.gate.authenticate import TokenVerifier
from itemsapi.issuer.issuer import Grant, GrantDetails, grant_tokens
from itemsapi.issuer.refresh import RefreshRequest, refresh
from itemsapi.issuer.sessions import list_open_sessions, logout
from itemsapi.observability.logging import set_log_level
from itemsapi.services import EXTENSION, Services
from itemsapi.settings import Settings
from itemsapi.tokens.revocation import NO_EPOCH
from itemsapi.tokens.sessions import AuthSession, find_session

SESSIONS_PER_USER = 10  # per user: a million sessions belong to a hundred thousand users
SAMPLE = 400  # operations measured, on sessions spread over the whole table
BATCH = 5000
SECRET = "benchmark-0123456789-abcdefghijklmnopqrstuvwxyz"


def seed(services: Services, size: int) -> None:
    """Add users and sessions until there are `size` sessions."""
    table = AuthSession.core()
    with services.database.reading() as connection:
        existing = connection.scalar(select(func.count()).select_from(table)) or 0
    for start in track(range(existing, size, BATCH), description=f"{size:>9,} sessions"):
        users = [new_id() for _ in range(min(BATCH, size - start) // SESSIONS_PER_USER)]
        with services.database.transaction() as tx:
            tx.execute(insert(User), [_user(one) for one in users])
            tx.execute(insert(UserRole), [{"user_id": one, "role": "member"} for one in users])
            rows = [_session(one, n) for one in users for n in range(SESSIONS_PER_USER)]
            tx.execute(insert(AuthSession), rows)
    with services.database.transaction() as tx:
        tx.execute(text("ANALYZE"))


def _user(user_id: str) -> dict[str, Any]:
    time_of_session = now()
    return {
        "id": user_id,
        "username": user_id,
        "password_hash": "-",
        "created_at": time_of_session,
        "updated_at": time_of_session,
    }


def _session(user_id: str, number: int) -> dict[str, Any]:
    time_of_session = now() - timedelta(hours=number)
    return {
        "id": new_id(),
        "user_id": user_id,
        "delivery": "body",
        "amr": "pwd",
        "auth_time": unix_seconds(time_of_session),
        "epoch": NO_EPOCH,
        "device": "benchmark",
        "address": "127.0.0.1",
        "created_at": time_of_session,
        "rotated_at": time_of_session,
        "used_before": time_of_session,
        "checkpoint_at": time_of_session,
        "expires_at": time_of_session + timedelta(days=90),
    }


def sample(services: Services, count: int) -> Iterator[Grant]:
    """Yield grants of open sessions spread over the whole table."""
    table = AuthSession.core()
    open_sessions_query = select(table.c.id).where(table.c.ended_at.is_(None)).order_by(table.c.id)
    with services.database.reading() as connection:
        ids = list(connection.execute(open_sessions_query).scalars())
    details = GrantDetails(frozenset({"items:read"}), unix_seconds(now()), NO_EPOCH, fresh=False)
    for sid in ids[:: max(1, len(ids) // count)][:count]:
        with services.database.transaction() as tx:
            session = find_session(tx, sid)
        if session is not None:
            yield grant_tokens(services.issuer, session, details)


def median_microseconds(work: Callable[[str], object], things: list[str]) -> float:
    """Call `work` with each value; return the median time in microseconds."""
    durations = []
    for thing in things:
        started = time.perf_counter()
        work(thing)
        durations.append(time.perf_counter() - started)
    return statistics.median(durations) * 1e6


def measure(app: Flask, services: Services, verify: Callable[[str], object]) -> dict[str, float]:
    """Measure every operation at the current size of the table."""
    issuer = services.issuer
    with app.test_request_context():
        grants = list(sample(services, SAMPLE))
        users = [services.token_codec.verify_access_token(one.access_token).sub for one in grants]
        access = [one.access_token for one in grants]
        tokens = [one.refresh_token for one in grants if one.refresh_token]
        by_body = RefreshRequest("body")
        return {
            "check, new": median_microseconds(verify, access),
            "check, seen": median_microseconds(verify, access),
            "list": median_microseconds(partial(list_open_sessions, issuer), users),
            "refresh": median_microseconds(partial(refresh, issuer, request=by_body), tokens),
            "revoke": median_microseconds(partial(logout, issuer, delivery="body"), tokens),
        }


def memory(url: str, folder: Path) -> float:
    """Return the memory in MiB of a new process that has read the revocation feed."""
    program = (
        "import sys; from pathlib import Path; from itemsapi import create_app;"
        "from itemsapi.settings import Settings; from itemsapi.services import EXTENSION;"
        "app = create_app(Settings(database_url=sys.argv[1], data_dir=Path(sys.argv[2]),"
        f"secret_key='{SECRET}'));"
        "app.extensions[EXTENSION].revocation_feed.ensure_fresh();"
        "print(next(l for l in open('/proc/self/status') if l.startswith('VmRSS')).split()[1])"
    )
    command = [sys.executable, "-c", program, url, str(folder)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603 - ours
    return int(done.stdout.split()[-1]) / 1024


def report(sizes: list[int], found: list[dict[str, float]]) -> None:
    """Print a table with the ratio of the last size to the first."""
    print(f"\n{'':14}" + "".join(f"{size:>12,}" for size in sizes) + f"{'ratio':>9}")
    for name in found[0]:
        values = [one[name] for one in found]
        unit = "MiB" if name == "memory" else "us"
        cells = "".join(f"{value:>9.1f} {unit:2}" for value in values)
        print(f"{name:14}{cells}{values[-1] / values[0]:>8.2f}x")


def main() -> None:
    """Seed and measure each size."""
    reader = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    reader.add_argument("--url", default="", help="an empty database; SQLite by default")
    reader.add_argument("--sizes", default="10000,100000,1000000")
    options = reader.parse_args()
    sizes = [int(size) for size in options.sizes.split(",")]
    with tempfile.TemporaryDirectory(prefix="itemsapi-bench-") as temporary_folder:
        folder = Path(temporary_folder)
        url = options.url or f"sqlite:///{folder}/itemsapi.db"
        found = [_measure_size(size, url, folder) for size in sizes]
    report(sizes, found)


def _measure_size(size: int, url: str, folder: Path) -> dict[str, float]:
    """Grow a database to a size, and measure a new process on it."""
    settings = Settings(database_url=url, data_dir=folder, secret_key=SECRET, rate_limit=None)
    app = create_app(settings)
    services: Services = app.extensions[EXTENSION]
    set_log_level(level=logging.CRITICAL)
    db.upgrade(services.database)
    seed(services, size)
    verifier = _verifier(services)
    figures = measure(app, services, verifier)
    services.database.dispose()
    return figures | {"memory": memory(url, folder)}


def _verifier(services: Services) -> Callable[[str], object]:
    """Return the gate's token verification, without the callback after it."""
    return TokenVerifier(
        token_codec=services.token_codec,
        key_set=services.key_set,
        revocation_feed=services.revocation_feed,
        clock=services.clock,
        on_verified=lambda _: None,
    ).verify


if __name__ == "__main__":
    main()
