"""What sessions cost, from ten thousand of them to a million.

    python benchmarks/sessions.py                      SQLite, in a folder of its own
    python benchmarks/sessions.py --url postgresql://  an empty PostgreSQL database
    python benchmarks/sessions.py --sizes 10000,100000

Per size, in one process and through the real flows: check (the gate's verification of an access
token it has not seen, and of one it has), refresh, revoke (sign out), list (a user's sessions), and
the memory of a new process that has read its feed. The ratios of the largest to the smallest size
are what counts: R-18 demands 1.5 at most for the check and 3 for the rest.
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
from itemsapi.issuer.grants import Grant, GrantDetails, grant_tokens
from itemsapi.issuer.refresh import RefreshRequest, refresh
from itemsapi.issuer.sessions import list_open_sessions, logout
from itemsapi.observability.logging import set_log_level
from itemsapi.services import EXTENSION, Services
from itemsapi.settings import Settings
from itemsapi.tokens.revocation import NO_EPOCH
from itemsapi.tokens.sessions import AuthSession, find_session

SESSIONS_EACH = 10  # of a user: a million sessions belong to a hundred thousand users
SAMPLE = 400  # operations measured, on sessions spread over the whole table
BATCH = 5000
SECRET = "benchmark-0123456789-abcdefghijklmnopqrstuvwxyz"


def seed(services: Services, size: int) -> None:
    """Add users and sessions until there are `size` of them."""
    table = AuthSession.core()
    with services.database.reading() as connection:
        have = connection.scalar(select(func.count()).select_from(table)) or 0
    for start in track(range(have, size, BATCH), description=f"{size:>9,} sessions"):
        users = [new_id() for _ in range(min(BATCH, size - start) // SESSIONS_EACH)]
        with services.database.transaction() as tx:
            tx.execute(insert(User), [_user(one) for one in users])
            tx.execute(insert(UserRole), [{"user_id": one, "role": "member"} for one in users])
            rows = [_session(one, n) for one in users for n in range(SESSIONS_EACH)]
            tx.execute(insert(AuthSession), rows)
    with services.database.transaction() as tx:
        tx.execute(text("ANALYZE"))


def _user(user_id: str) -> dict[str, Any]:
    moment = now()
    return {
        "id": user_id,
        "username": user_id,
        "password_hash": "-",
        "created_at": moment,
        "updated_at": moment,
    }


def _session(user_id: str, number: int) -> dict[str, Any]:
    moment = now() - timedelta(hours=number)
    return {
        "id": new_id(),
        "user_id": user_id,
        "delivery": "body",
        "amr": "pwd",
        "auth_time": unix_seconds(moment),
        "epoch": NO_EPOCH,
        "device": "benchmark",
        "address": "127.0.0.1",
        "created_at": moment,
        "rotated_at": moment,
        "used_before": moment,
        "checkpoint_at": moment,
        "expires_at": moment + timedelta(days=90),
    }


def sample(services: Services, count: int) -> Iterator[Grant]:
    """Yield the tokens of open sessions spread over the whole table."""
    table = AuthSession.core()
    open_ones = select(table.c.id).where(table.c.ended_at.is_(None)).order_by(table.c.id)
    with services.database.reading() as connection:
        ids = list(connection.execute(open_ones).scalars())
    terms = GrantDetails(frozenset({"items:read"}), unix_seconds(now()), NO_EPOCH, fresh=False)
    for sid in ids[:: max(1, len(ids) // count)][:count]:
        with services.database.transaction() as tx:
            session = find_session(tx, sid)
        if session is not None:
            yield grant_tokens(services.issuer, session, terms)


def middle(work: Callable[[str], object], things: list[str]) -> float:
    """Do the work with each; return the median in microseconds."""
    taken = []
    for thing in things:
        begun = time.perf_counter()
        work(thing)
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken) * 1e6


def measure(app: Flask, services: Services, verify: Callable[[str], object]) -> dict[str, float]:
    """Measure every operation at the size that the table has now."""
    issuer = services.issuer
    with app.test_request_context():
        grants = list(sample(services, SAMPLE))
        users = [services.token_codec.verify_access_token(one.access_token).sub for one in grants]
        access = [one.access_token for one in grants]
        tokens = [one.refresh_token for one in grants if one.refresh_token]
        by_body = RefreshRequest("body")
        return {
            "check, new": middle(verify, access),
            "check, seen": middle(verify, access),
            "list": middle(partial(list_open_sessions, issuer), users),
            "refresh": middle(partial(refresh, issuer, request=by_body), tokens),
            "revoke": middle(partial(logout, issuer, delivery="body"), tokens),
        }


def memory(url: str, folder: Path) -> float:
    """Return the MiB of a new process that has verified a token against this database."""
    program = (
        "import sys; from pathlib import Path; from itemsapi import create_app;"
        "from itemsapi.settings import Settings; from itemsapi.services import EXTENSION;"
        "app = create_app(Settings(database_url=sys.argv[1], data_dir=Path(sys.argv[2]),"
        f"secret_key='{SECRET}'));"
        "app.extensions[EXTENSION].feed.ensure_fresh();"
        "print(next(l for l in open('/proc/self/status') if l.startswith('VmRSS')).split()[1])"
    )
    command = [sys.executable, "-c", program, url, str(folder)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603 - ours
    return int(done.stdout.split()[-1]) / 1024


def report(sizes: list[int], found: list[dict[str, float]]) -> None:
    """Print a table, and the ratio of the last size to the first."""
    print(f"\n{'':14}" + "".join(f"{size:>12,}" for size in sizes) + f"{'ratio':>9}")
    for name in found[0]:
        values = [one[name] for one in found]
        unit = "MiB" if name == "memory" else "us"
        cells = "".join(f"{value:>9.1f} {unit:2}" for value in values)
        print(f"{name:14}{cells}{values[-1] / values[0]:>8.2f}x")


def main() -> None:
    """Seed, measure, seed more, measure again."""
    reader = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    reader.add_argument("--url", default="", help="an empty database; SQLite by default")
    reader.add_argument("--sizes", default="10000,100000,1000000")
    given = reader.parse_args()
    sizes = [int(size) for size in given.sizes.split(",")]
    with tempfile.TemporaryDirectory(prefix="itemsapi-bench-") as place:
        folder = Path(place)
        url = given.url or f"sqlite:///{folder}/itemsapi.db"
        found = [_at(size, url, folder) for size in sizes]
    report(sizes, found)


def _at(size: int, url: str, folder: Path) -> dict[str, float]:
    """Bring a database to a size, and measure a fresh process on it."""
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
    """Return the gate's own way to verify, without the note after the answer."""
    return TokenVerifier(
        token_codec=services.token_codec,
        key_set=services.key_set,
        revocation_feed=services.revocation_feed,
        clock=services.clock,
        on_verified=lambda _: None,
    ).verify


if __name__ == "__main__":
    main()
