"""Show which of our files a request passes, in order, and how often it changes file.

    python scripts/path_of_request.py                  all four requests
    python scripts/path_of_request.py "POST /items"    one of them

The application runs in this process on a temporary SQLite database. Each request is sent once
before it is traced, so that imports and the creation of keys do not count. Only calls of functions
in src/itemsapi are traced; a change of file is a call into another file than that of the previous
call.
"""

import argparse
import logging
import sys
import tempfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from types import FrameType

from flask import Flask
from flask.testing import FlaskClient

import itemsapi
from itemsapi import create_app, db
from itemsapi.accounts.models import COMMAND_LINE
from itemsapi.composition import Services
from itemsapi.observability.logging import set_log_level
from itemsapi.services import EXTENSION
from itemsapi.settings import Settings

PACKAGE = Path(itemsapi.__file__).parent
SECRET_KEY = "trace-only-0123456789-abcdefghijklmnopqrstuvwxyz"  # noqa: S105 - of a temporary database
PASSWORD = "plain horse battery staple"  # noqa: S105 - of a temporary database
CREDENTIALS = {"username": "ada", "password": PASSWORD}
ITEM = {"name": "Lamp", "price": "12.50", "currency": "EUR"}
Send = Callable[[], object]


class Session:
    """A signed-in user who sends the requests."""

    def __init__(self, app: Flask) -> None:
        """Sign in."""
        self._client: FlaskClient = app.test_client()
        self._refresh_token = ""
        self.login()

    def login(self) -> None:
        """Send POST /auth/login."""
        self._store_tokens("/auth/login", CREDENTIALS)

    def refresh(self) -> None:
        """Send POST /auth/refresh."""
        self._store_tokens("/auth/refresh", {"refresh_token": self._refresh_token})

    def list_items(self) -> None:
        """Send GET /items."""
        self._require_success(self._client.get("/items").status)

    def create_item(self) -> None:
        """Send POST /items."""
        self._require_success(self._client.post("/items", json=ITEM).status)

    def _store_tokens(self, path: str, body: dict[str, str]) -> None:
        response = self._client.post(path, json=body)
        self._require_success(response.status)
        tokens = response.get_json()
        self._refresh_token = tokens["refresh_token"]
        self._client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {tokens['access_token']}"

    @staticmethod
    def _require_success(status: str) -> None:
        if not status.startswith("2"):
            raise SystemExit(f"the request failed: {status}")


def main() -> None:
    """Trace the requests named on the command line, or all."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(secret_key=SECRET_KEY, data_dir=Path(folder), rate_limit=None)
        app = create_app(settings)
        services: Services = app.extensions[EXTENSION]
        db.upgrade(services.database)
        services.users.create(COMMAND_LINE, "ada", PASSWORD, ["member"])
        set_log_level(level=logging.CRITICAL)
        session = Session(app)
        requests: dict[str, Send] = {
            "GET /items": session.list_items,
            "POST /items": session.create_item,
            "POST /auth/login": session.login,
            "POST /auth/refresh": session.refresh,
        }
        for name in _selected(list(requests)):
            requests[name]()  # not traced: see above
            report(name, trace(requests[name]))
        services.database.dispose()


def _selected(names: list[str]) -> list[str]:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("requests", nargs="*", metavar="REQUEST", help=", ".join(names))
    selected: list[str] = parser.parse_args().requests
    if unknown := set(selected).difference(names):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; choose from {', '.join(names)}")
    return selected or names


def trace(send: Send) -> list[str]:
    """Send a request; return the file of each call of a function of ours, in order."""
    files: list[str] = []
    prefix = f"{PACKAGE}/"

    def record(frame: FrameType, event: str, _argument: object) -> None:
        file = frame.f_code.co_filename
        if event == "call" and file.startswith(prefix):
            files.append(file.removeprefix(prefix))

    previous = sys.gettrace()
    sys.settrace(record)
    try:
        send()
    finally:
        sys.settrace(previous)
    return files


def report(name: str, files: list[str]) -> None:
    """Print the numbers of a request, and its files in the order of their first call."""
    changes = sum(before != after for before, after in pairwise(files))
    distinct = list(dict.fromkeys(files))
    print(f"{name}: {len(distinct)} files, {changes} changes of file, {len(files)} calls")
    for file in distinct:
        print(f"  {file}  ({files.count(file)} calls)")


if __name__ == "__main__":
    main()
