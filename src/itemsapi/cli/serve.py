"""`itemsapi serve`: the API on granian, set up on first start."""

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from tempfile import TemporaryDirectory

import click
import flask
from granian import Granian
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels

from itemsapi.app import create_app
from itemsapi.cli.first_start import first_admin, prepare
from itemsapi.cli.opening import opened
from itemsapi.rest.document import document_of
from itemsapi.settings import PREFIX, Settings

PORT = 8000
HEADERS_WITHIN = 10_000  # milliseconds a client may take to send its headers
STOP_WITHIN = 30  # seconds that requests in flight have to end after SIGTERM
LONGEST_HEADERS = 64 * 1024  # bytes; the application takes less and says so


@click.command
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(1, 65535), default=PORT, show_default=True)
@click.option("--workers", type=click.IntRange(1, 64), default=1, show_default=True)
@click.option(
    "--threads", type=click.IntRange(1, 128), default=8, show_default=True, help="Per worker."
)
@click.option("--admin", metavar="NAME", help="Create this admin if there is no user yet.")
def command(host: str, port: int, workers: int, threads: int, admin: str | None) -> None:
    """Serve the API. On first start, make the secret, the database and the first admin."""
    if port != PORT:  # the workers read it from here
        os.environ.setdefault(f"{PREFIX}PUBLIC_URL", f"http://localhost:{port}")
    _demand_free(host, port)
    with opened(schema=False) as services:
        prepare(services)
        app = create_app(services.settings)  # what is wrong with a page is said here, once
        document_of(app)
        account = first_admin(services.people, admin)
    _greet(services.settings, app, account, f"{host}:{port}")
    with _shared_metrics(workers):
        _serve(host, port, workers, threads)


def _demand_free(host: str, port: int) -> None:
    """Exit if nobody can listen there; granian would share the port with who has it."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen()
        except OSError as error:
            sys.exit(f"itemsapi: cannot listen on {host}:{port}: {error.strerror}")


def _greet(
    settings: Settings, app: flask.Flask, account: tuple[str, str] | None, listening: str
) -> None:
    lines = [f"itemsapi {version('itemsapi')} ({settings.profile}) listens on {listening}", ""]
    if account:
        lines += ["  User       {}\n  Password   {}   (shown this once)".format(*account), ""]
    lines.append(f"  API        {settings.public_url}")
    paths = {route.rule for route in app.url_map.iter_rules()}
    if "/docs" in paths:
        lines.append(f"  API docs   {settings.public_url}/docs")
    if "/console" in paths:
        lines.append(f"  Console    {settings.public_url}/console")
    click.echo("\n".join(lines))
    sys.stdout.flush()


@contextmanager
def _shared_metrics(workers: int) -> Iterator[None]:
    """Let several workers count into one folder, so that any of them tells of all."""
    if workers == 1:
        yield
        return
    with TemporaryDirectory(prefix="itemsapi-metrics-") as folder:
        os.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", folder)
        yield


def _serve(host: str, port: int, workers: int, threads: int) -> None:
    """Serve until SIGTERM or SIGINT; requests in flight end first."""
    Granian(
        "itemsapi.wsgi:application",
        address=host,
        port=port,
        interface=Interfaces.WSGI,
        http=HTTPModes.http1,
        workers=workers,
        blocking_threads=threads,
        respawn_failed_workers=True,
        workers_kill_timeout=STOP_WITHIN,
        http1_settings=HTTP1Settings(
            header_read_timeout=HEADERS_WITHIN, max_buffer_size=LONGEST_HEADERS
        ),
        log_level=LogLevels.error,
        websockets=False,
    ).serve()
