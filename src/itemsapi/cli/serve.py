"""`itemsapi serve`: the API on granian, set up on first start."""

import os
import sys
from importlib.metadata import version

import click
import flask

from itemsapi.app import create_app
from itemsapi.cli.context import opened
from itemsapi.cli.first_start import first_admin, prepare
from itemsapi.cli.terminal import say
from itemsapi.cli.users import ONE_TIME
from itemsapi.rest.openapi.document import document_of
from itemsapi.server.listening import listen
from itemsapi.server.metrics_folder import shared_folder
from itemsapi.server.supervisor import serve
from itemsapi.settings import PREFIX, Settings

PORT = 8000
THREADS = 4  # more take turns at the same core (measured: benchmarks/server.py)


@click.command
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(1, 65535), default=PORT, show_default=True)
@click.option("--workers", type=click.IntRange(1, 64), default=1, show_default=True)
@click.option(
    "--threads", type=click.IntRange(1, 128), default=THREADS, show_default=True, help="Per worker."
)
@click.option("--admin", metavar="NAME", help="Create this admin if there is no user yet.")
def command(host: str, port: int, workers: int, threads: int, admin: str | None) -> None:
    """Serve the API. On first start, make the secret, the database and the first admin."""
    if port != PORT:  # the workers read it from here
        os.environ.setdefault(f"{PREFIX}PUBLIC_URL", f"http://localhost:{port}")
    with listen(host, port) as listener, shared_folder(workers):
        with opened(schema=False) as services:
            prepare(services)
            app = create_app(services.settings)  # what is wrong with a page is said here, once
            document_of(app)
            account = first_admin(services.users, admin)
        where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        _greet(services.settings, app, account, where)
        serve(listener, workers=workers, threads=threads)


def _greet(
    settings: Settings, app: flask.Flask, account: tuple[str, str] | None, listening: str
) -> None:
    lines = [f"itemsapi {version('itemsapi')} ({settings.profile}) listens on {listening}", ""]
    if account:
        lines += _account(*account, one_time=settings.production)
    lines.append(f"  API        {settings.public_url}")
    paths = {route.rule for route in app.url_map.iter_rules()}
    if "/docs" in paths:
        lines.append(f"  API docs   {settings.public_url}/docs")
    if "/console" in paths:
        lines.append(f"  Console    {settings.public_url}/console")
    say(*lines)
    sys.stdout.flush()


def _account(name: str, password: str, *, one_time: bool) -> list[str]:
    lines = [f"  User       {name}", f"  Password   {password}   (shown this once)"]
    return [*lines, *[f"  {ONE_TIME}"] * one_time, ""]
