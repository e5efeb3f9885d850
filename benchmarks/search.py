"""How long the searches and filters of items take, for one owner and for all users.

    python benchmarks/search.py                       a million items of one owner, in SQLite
    python benchmarks/search.py --items 20000 --users 20

In process, by the clock: the median and the slowest of several requests for a first page. The first
run fills the database, which takes some minutes for a million items.
"""

import argparse
import logging
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from bench.contestants import SERVICE
from bench.dataset import FIRST, PAGE, items_of
from bench.environments import data_of
from bench.in_process import environ, send
from bench.results import Figure, Measured, markdown_table, write
from rich.console import Console
from rich.progress import track

from itemsapi import create_app
from itemsapi.observability.logging import set_log_level
from itemsapi.services import EXTENSION
from itemsapi.settings import Settings
from itemsapi.testing.tokens import access_token
from itemsapi.tokens.scopes import ITEMS_ADMIN, ITEMS_READ

ALLOWED_MS = 30.0  # p50 of any search
SORTS = ("-created_at", "price")


def queries(items: int) -> dict[str, str]:
    """Return the measured queries by name; rates are those of the data."""
    late = quote(FIRST.replace(year=FIRST.year + 5).isoformat())
    return {
        "no filter": "",
        "q, in nearly all": "q=lamp",
        "q, three words": "q=lamp brass oak",
        "q, a prefix of most": "q=la",
        "q, one item": f"q=S-0-{items // 2}",
        "q, in none": "q=nothinglikeit",
        "q, in nearly all and in none": "q=lamp nothinglikeit",
        "tag": "tag=lamp",
        "three tags, in none": "tag=lamp&tag=brass&tag=oak",
        "currency": "currency=EUR",
        "price_min, 1 in 10": "price_min=90000",
        "price_min, 1 in 1,000": "price_min=99900",
        "price_min, 1 in 100,000": "price_min=99999",
        "updated_from, none": f"updated_from={late}",
        "q and updated_from, none": f"q=lamp&updated_from={late}",
        "tag, q and price_min": "tag=lamp&q=brass&price_min=99900",
        "currency and price_min": "currency=EUR&price_min=99900",
    }


class Searches:
    """The application on the data, with a token of an owner and one of an operator."""

    def __init__(self, folder: Path) -> None:
        """Open the database."""
        self.app = create_app(Settings(data_dir=folder, rate_limit=None))
        set_log_level(level=logging.CRITICAL)
        services = self.app.extensions[EXTENSION]
        item = next(items_of(0, 1))
        admin = access_token(self.app, [ITEMS_READ, ITEMS_ADMIN])
        owner = services.items.get(item.id, owner=None).owner_id
        mine = access_token(self.app, [ITEMS_READ], user_id=owner)
        self.tokens = {"one owner": mine, "all": admin}

    def milliseconds(self, whose: str, query: str, repeats: int) -> list[float]:
        """Return the time of each repeat of a query."""
        address = f"/items?limit={PAGE}&{query.replace(' ', '%20')}"
        request = environ("GET", address, token=self.tokens[whose])
        spent = []
        for _ in range(repeats):
            start = time.perf_counter()
            send(self.app, request)
            spent.append((time.perf_counter() - start) * 1000)
        return spent

    def close(self) -> None:
        """Close the database."""
        self.app.extensions[EXTENSION].database.dispose()


def cases(items: int) -> Iterator[tuple[str, str, str, str]]:
    """Yield each case: the name of the query, whose items, the order and the query."""
    for name, query in queries(items).items():
        for whose in ("one owner", "all"):
            for sort in SORTS:
                yield name, whose, sort, f"{query}&sort={sort}"


def main() -> None:
    """Measure, and print a table; each ratio is the allowed time by that of a query."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--users", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--json", type=Path, help="a file for the results")
    chosen = parser.parse_args()
    per_user = chosen.items // chosen.users
    rows, ratios = [], {}
    with tempfile.TemporaryDirectory(prefix="itemsapi-bench-") as folder:
        shutil.copytree(data_of(SERVICE, chosen.users, per_user), folder, dirs_exist_ok=True)
        searches = Searches(Path(folder))
        measured = [*cases(per_user)]
        for name, whose, sort, query in track(measured, console=Console(stderr=True)):
            spent = searches.milliseconds(whose, query, chosen.repeats)
            middle, slowest = statistics.median(spent), max(spent)
            over = "over" if middle > ALLOWED_MS else ""
            rows.append([name, whose, sort, f"{middle:.1f}", f"{slowest:.1f}", over])
            allowed = [ALLOWED_MS / each for each in (middle, slowest, min(spent))]
            ratios[f"allowed / {name}, {whose}, {sort}"] = Figure(*allowed)
        searches.close()
    head = ["query", "items of", "sort", "p50 ms", "slowest ms", f"{ALLOWED_MS:.0f} ms"]
    print(markdown_table(head, rows))
    write(chosen.json, Measured(ratios, {"items": chosen.items, "users": chosen.users}))


if __name__ == "__main__":
    main()
