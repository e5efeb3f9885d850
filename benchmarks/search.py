"""Measure lists with every kind of search and filter, at a million items.

    python benchmarks/search.py                                    # SQLite, in a temporary folder
    python benchmarks/search.py --url postgresql://... --rows 10000000
    python benchmarks/search.py --url sqlite:////tmp/big.db        # filled once, then used again
    python benchmarks/search.py --against ../older/src             # two versions, in turns

One user owns nine items of ten, a thousand others the rest. A query is measured among the items of
that user and among all, newest first and by price. The output is a table of medians in
milliseconds, by the clock and of the processor, in this program and in its process of a PostgreSQL
server on this machine, and JSON in the last line. The target is 30 ms for each.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import psycopg
from rich.progress import track
from sqlalchemy import Connection, func, insert, select

from itemsapi import clock, db
from itemsapi.accounts.models import User
from itemsapi.clock import new_id
from itemsapi.db import Database
from itemsapi.items import search_index
from itemsapi.items.models import Item, ItemDraft, column_values
from itemsapi.items.query import ItemListQuery
from itemsapi.items.quota import Quota
from itemsapi.items.service import ItemService
from itemsapi.paging import Page
from itemsapi.problems import DatabaseUnavailable
from itemsapi.quota_usage import QuotaUsage

BATCH = 10_000
ROUNDS, MAX_SECONDS = 15, 1.5  # of each query; slow ones are repeated less often
MIN_ROUNDS = 3
OTHERS = 1000  # users who share the items that the first user does not own
SHARE_OF_ONE = 0.9
ZULUS = 20  # items with the rarest word
START = datetime(2025, 1, 1, tzinfo=UTC)
ORDERS = ("-created_at", "price")
WORDS = {"alpha": 0.5, "bravo": 0.4, "charlie": 0.3, "quebec": 0.05, "sierra": 0.002}
CURRENCIES = {"EUR": 0.98, "USD": 0.0195, "JPY": 0.0005}
QUERIES: dict[str, dict[str, Any]] = {
    "no filter": {},
    "q=alpha (half)": {"q": "alpha"},
    "q=alpha bravo charlie (6 %)": {"q": "alpha bravo charlie"},
    "q=item (all)": {"q": "item"},
    "q=a (prefix, half)": {"q": "a"},
    "q=quebec (5 %)": {"q": "quebec"},
    "q=sierra (0.2 %)": {"q": "sierra"},
    "q=zulu (20 items)": {"q": "zulu"},
    "q=zulu alpha": {"q": "zulu alpha"},
    "q=77 (prefix, 1 %)": {"q": "77"},
    "q=777 (prefix, 0.1 %)": {"q": "777"},
    "q=nothing": {"q": "nothinglikeit"},
    "q=alpha nothing": {"q": "alpha nothinglikeit"},
    "sku (one)": {"sku": "SKU-4321"},
    "currency=EUR (98 %)": {"currency": "EUR"},
    "currency=USD (2 %)": {"currency": "USD"},
    "currency=JPY (0.05 %)": {"currency": "JPY"},
    "price_min (1 %)": {"price_min": "9900"},
    "price_min (0.1 %)": {"price_min": "9990"},
    "price range (0.01 %)": {"price_min": "5000", "price_max": "5001"},
    "updated_from (0)": {"updated_from": START + timedelta(days=900)},
    "updated_from (few)": {"updated_from": START + timedelta(days=399, hours=23)},
    "created_to (early 1 %)": {"created_to": START + timedelta(days=4)},
    "tag (6 %)": {"tags": ("tag7",)},
    "2 tags (0.4 %)": {"tags": ("tag7", "tag8")},
    "3 tags": {"tags": ("tag7", "tag8", "tag9")},
    "tag, currency (0.1 %)": {"tags": ("tag7",), "currency": "USD"},
    "q, updated_from (0)": {"q": "alpha", "updated_from": START + timedelta(days=900)},
    "q, price_min (0.5 %)": {"q": "alpha", "price_min": "9900"},
    "q, tag, price_min": {"q": "quebec", "tags": ("tag1",), "price_min": "9990"},
    "tag, price_min (0.1 %)": {"tags": ("tag7",), "price_min": "9800"},
    "2 tags, price_min (0.04 %)": {"tags": ("tag7", "tag8"), "price_min": "9000"},
    "q, currency, times, price": {
        "q": "alpha quebec",
        "currency": "EUR",
        "price_max": "5000",
        "created_from": START + timedelta(days=100),
        "updated_to": START + timedelta(days=300),
    },
}


def main() -> None:
    """Fill the database if it is empty, measure, and print the results."""
    options = _options()
    if options.answer:
        _answer(options.url)
        return
    with tempfile.TemporaryDirectory() as folder:
        url = options.url or f"sqlite:///{folder}/items.db"
        fill(url, options.rows)
        sources = [str(Path(__file__).parents[1] / "src"), *options.against]
        cases = [
            (name, order, whose)
            for name in QUERIES
            for order in ORDERS
            for whose in ("one owner", "all")
            if options.only in name
        ]
        programs = [Program(source, url) for source in sources]
        results = [_measured(case, programs) for case in cases]
        for program in programs:
            program.close()
    print(json.dumps({"rows": options.rows, "url": url.split(":")[0], "results": results}))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--url", help="an empty database, or one that this program filled")
    parser.add_argument("--against", action="append", default=[], help="another version's src")
    parser.add_argument("--only", default="", help="queries whose name contains this")
    parser.add_argument("--answer", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


class Program:
    """A version of the code, in a process of its own that answers requests line by line."""

    def __init__(self, source: str, url: str) -> None:
        """Start the process."""
        self._process = subprocess.Popen(  # noqa: S603 - this program
            [sys.executable, __file__, "--answer", "--url", url],
            env=os.environ | {"PYTHONPATH": source},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def measure(self, case: Sequence[str]) -> dict[str, float]:
        """Return the milliseconds of one page, and the number of its items."""
        assert self._process.stdin  # noqa: S101 - narrows the type
        assert self._process.stdout  # noqa: S101 - narrows the type
        print(json.dumps(case), file=self._process.stdin, flush=True)
        answer: dict[str, float] = json.loads(self._process.stdout.readline())
        return answer

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


def _answer(url: str) -> None:
    """Read queries from standard input and answer with what each takes."""
    database = Database(url)
    items = ItemService(database, clock.now, Quota(10**9, 10**12, 10**9))
    with database.reading() as connection:
        owner = connection.scalar(select(User.core().c.id).where(User.core().c.username == "ada"))
        used_by_server = _server_clock(connection)
    for line in sys.stdin:
        name, order, whose = json.loads(line)
        query = ItemListQuery(sort=order, **QUERIES[name])
        began, used = time.perf_counter(), time.process_time() + used_by_server()
        try:
            page = items.get_page(query, owner=owner if whose == "one owner" else None)
        except DatabaseUnavailable:  # it took too long; the time counts
            page = Page([], None)
        elapsed = (time.perf_counter() - began) * 1000
        used = (time.process_time() + used_by_server() - used) * 1000
        answer = {
            "ms": elapsed,
            "cpu_ms": used,
            "items": len(page.items),
            "more": page.next_cursor is not None,
        }
        print(json.dumps(answer), flush=True)
    database.dispose()


def _server_clock(connection: Connection) -> Callable[[], float]:
    """Return what reads the seconds of the processor that the server used for a connection.

    The pool has no other one here. Without a server, or one of this machine, these are none.
    """
    if connection.dialect.name == "postgresql":
        process = connection.scalar(select(func.pg_backend_pid()))
        used = Path(f"/proc/{process}/schedstat")
        if used.exists():
            return lambda: int(used.read_text().split()[0]) / 1e9
    return lambda: 0.0


def _measured(case: tuple[str, str, str], programs: Sequence[Program]) -> dict[str, Any]:
    """Measure a query in all programs by turns; print and return the medians."""
    answers = [[program.measure(case)] for program in programs]  # not counted: it warms up
    until = time.monotonic() + MAX_SECONDS * len(programs)
    rounds = 0
    while rounds < MIN_ROUNDS or (rounds < ROUNDS and time.monotonic() < until):
        rounds += 1
        for program, own in zip(programs, answers, strict=True):
            own.append(program.measure(case))
    p50 = [_p50(own, figure) for own in answers for figure in ("ms", "cpu_ms")]
    last = answers[0][-1]
    name, order, whose = case
    shown = f"{last['items']:3} items{' and more' if last['more'] else ''}"
    columns = "".join(f"{value:9.2f}" for value in p50)
    print(f"{name:28}{order:13}{whose:10}{columns}  {shown}", flush=True)
    return {"query": name, "order": order, "of": whose, "p50_ms": p50} | last


def _p50(answers: Sequence[dict[str, float]], figure: str) -> float:
    return round(statistics.median(each[figure] for each in answers[1:]), 2)


def fill(url: str, rows: int) -> None:
    """Create the tables and insert the items, unless they are there."""
    database = Database(url)
    db.upgrade(database)
    with database.reading() as connection:
        is_filled = connection.scalar(select(func.count()).select_from(User.core()))
    if not is_filled:
        owners = _insert_users(database)
        items = _items(owners, rows)
        batches = iter(lambda: list(islice(items, BATCH)), [])
        shown = track(batches, "Filling", total=-(-rows // BATCH))
        (_insert if database.dialect == "sqlite" else _copy)(database, shown)
        _count_usage(database)
    database.dispose()


def _insert_users(database: Database) -> list[str]:
    ids, now = [new_id() for _ in range(1 + OTHERS)], clock.now()
    names = ["ada", *(f"user{at}" for at in range(OTHERS))]
    fields = {"password_hash": "-", "created_at": now, "updated_at": now}
    with database.transaction() as tx:
        tx.add_all(
            User(id=one, username=name, **fields) for one, name in zip(ids, names, strict=True)
        )
    return ids


def _items(owners: Sequence[str], rows: int) -> Iterator[tuple[dict[str, Any], list[str]]]:
    """Yield rows with their words; the same ones in each run, but for the ids."""
    chance = random.Random(1)  # noqa: S311 - not a secret
    for number in range(1, rows + 1):
        owner = owners[0] if chance.random() < SHARE_OF_ONE else chance.choice(owners[1:])
        draft = _draft(chance, number, rows)
        created = START + timedelta(days=400) * (number / rows)
        updated = created + (START + timedelta(days=400) - created) * chance.random() ** 8
        row = column_values(draft) | {
            "number": number,
            "id": new_id(),
            "owner_id": owner,
            "created_at": created,
            "updated_at": updated,
            "version": 1,
        }
        yield row, search_index.all_words(owner, draft)


def _draft(chance: random.Random, number: int, rows: int) -> ItemDraft:
    words = [word for word, share in WORDS.items() if chance.random() < share]
    if number % (rows // ZULUS) == 1:
        words.append("zulu")
    return ItemDraft(
        name=f"Item {number}",
        description=" ".join([*words, "made of brass, with a cable of two metres and a switch"]),
        sku=f"SKU-{number}",
        price=str(chance.randrange(10_000)),
        currency=chance.choices([*CURRENCIES], [*CURRENCIES.values()])[0],
        quantity=chance.randrange(100),
        tags=tuple(f"tag{at}" for at in chance.sample(range(48), 3)),
    )


Batches = Iterable[Sequence[tuple[dict[str, Any], list[str]]]]


def _insert(database: Database, batches: Batches) -> None:
    for batch in batches:
        with database.transaction() as tx:
            tx.execute(insert(Item.core()), [row for row, _ in batch])
            search_index.index_items(tx, [(row["number"], words) for row, words in batch])
    with database.transaction() as tx:
        tx.connection().exec_driver_sql("ANALYZE")


def _copy(database: Database, batches: Batches) -> None:
    """Copy the rows on a connection without time limits, and build the indexes afterwards."""
    url = database.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(url, autocommit=True) as connection:
        indexes = connection.execute(
            "SELECT indexname, indexdef FROM pg_indexes WHERE indexname LIKE 'ix_itemsapi_item%'"
        ).fetchall()
        for name, _ in indexes:
            connection.execute(f"DROP INDEX {name}")
        for batch in batches:
            _copy_rows(connection, "itemsapi_item", [row for row, _ in batch])
            words = [
                {"number": row["number"], "words": " ".join(f"'{word}'" for word in words)}
                for row, words in batch
            ]
            _copy_rows(connection, "itemsapi_item_text", words)
        for _, definition in track(indexes, "Indexes"):
            connection.execute(definition)
        connection.execute("VACUUM ANALYZE")


def _count_usage(database: Database) -> None:
    """Store how many items each user has, as the service does when it creates them."""
    with database.reading() as connection:
        counted = connection.execute(
            select(Item.core().c.owner_id, func.count()).group_by(Item.core().c.owner_id)
        ).all()
    usage = [{"owner_id": owner, "items": count, "bytes": 0, "keys": 0} for owner, count in counted]
    with database.transaction() as tx:
        tx.execute(insert(QuotaUsage.core()), usage)


def _copy_rows(
    connection: psycopg.Connection[Any], table: str, rows: Sequence[dict[str, Any]]
) -> None:
    with connection.cursor().copy(f"COPY {table} ({', '.join(rows[0])}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row([*row.values()])


if __name__ == "__main__":
    main()
