"""What the layer adds to a request of an application: processor time, in process, in one run.

Two applications with the same JSON view, one of them behind the gate, take turns. The token is
remembered, as for all but the first request of a client.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from flask import Flask
from werkzeug.test import create_environ

from itemsapi import AuthLayer, db, public, requires
from itemsapi.accounts.models import COMMAND_LINE
from itemsapi.composition import Services
from itemsapi.services import EXTENSION
from itemsapi.settings import Settings
from itemsapi.tokens.scopes import ITEMS_READ

PASSWORD = "plain horse battery staple"


def make_host() -> Flask:
    """Return an application with two views, without rules."""
    app = Flask("host", static_folder=None)

    @app.get("/orders")
    def list_orders() -> dict[str, list[int]]:
        return {"orders": [1, 2, 3]}

    @app.get("/open")
    def show() -> dict[str, list[int]]:
        return {"orders": [1, 2, 3]}

    return app


def caller(app: Flask, path: str, token: str | None = None) -> Callable[[], None]:
    """Return a function that sends one request to the WSGI application."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    environ = create_environ(path, headers=headers)

    def start(status: str, _headers: object, _exc: object = None) -> None:
        if not status.startswith("200"):
            raise RuntimeError(status)

    def call() -> None:
        body = app.wsgi_app(dict(environ), start)  # type: ignore[arg-type]
        b"".join(body)
        if hasattr(body, "close"):
            body.close()

    return call


def microseconds(call: Callable[[], None], count: int) -> float:
    """Return the processor time of one call."""
    start = time.process_time()
    for _ in range(count):
        call()
    return (time.process_time() - start) / count * 1e6


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--requests", type=int, default=500)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        host, guarded = make_host(), make_host()
        settings = Settings(data_dir=Path(folder), rate_limit="100000000/minute")
        rules = {"/orders": requires(ITEMS_READ), "/open": public("for comparison")}
        AuthLayer(guarded, rules=rules, settings=settings).seal(guarded)
        services: Services = guarded.extensions[EXTENSION]
        db.upgrade(services.database)
        services.users.create(COMMAND_LINE, "ada", PASSWORD, ["admin"])
        credentials = {"username": "ada", "password": PASSWORD}
        token = guarded.test_client().post("/auth/login", json=credentials).get_json()
        calls = {
            "bare Flask": caller(host, "/orders"),
            "public route": caller(guarded, "/open"),
            "scope, remembered token": caller(guarded, "/orders", token["access_token"]),
        }
        samples: dict[str, list[float]] = {name: [] for name in calls}
        for _ in range(options.rounds):
            for name, call in calls.items():
                samples[name].append(microseconds(call, options.requests))
        services.database.dispose()
    base = min(samples["bare Flask"])
    print("| request | us, best | us, median | the layer adds |\n|---|---|---|---|")
    for name, values in samples.items():
        added = f"{min(values) - base:.1f} us"
        print(f"| {name} | {min(values):.1f} | {statistics.median(values):.1f} | {added} |")


if __name__ == "__main__":
    main()
