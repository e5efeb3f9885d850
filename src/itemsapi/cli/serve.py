"""`itemsapi serve`: serve the API with granian; set up everything on first start.

The process lives as long as the service, and needs neither the application nor the database for
that: once all is set up it replaces itself by the supervisor alone (`run_again`).
"""

import os
from importlib.util import find_spec

import click

from itemsapi.cli import run_again
from itemsapi.extras import ExtraMissing, missing
from itemsapi.settings import ENV_PREFIX

DEFAULT_PORT = 8000
DEFAULT_THREADS = 4  # more threads only compete for the same core (measured: benchmarks/server.py)


@click.command
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(1, 65535), default=DEFAULT_PORT, show_default=True)
@click.option("--workers", type=click.IntRange(1, 64), default=1, show_default=True)
@click.option(
    "--threads",
    type=click.IntRange(1, 128),
    default=DEFAULT_THREADS,
    show_default=True,
    help="Per worker.",
)
@click.option(
    "--pin/--no-pin",
    default=True,
    show_default=True,
    help="Keep the threads of a worker on one core.",
)
@click.option("--admin", metavar="NAME", help="Create this admin if there is no user yet.")
def command(  # noqa: PLR0913 - the options
    *, host: str, port: int, workers: int, threads: int, pin: bool, admin: str | None
) -> None:
    """Serve the API. On first start, create the secret key, the database and the first admin."""
    if given := run_again.received():
        _supervise(given, workers=workers, threads=threads, pin=pin)
        return
    if find_spec("granian") is None:
        raise ExtraMissing(missing("server", "`itemsapi serve`", "granian"))
    if port != DEFAULT_PORT:  # the workers read it from the environment
        os.environ.setdefault(f"{ENV_PREFIX}PUBLIC_URL", f"http://localhost:{port}")
    from itemsapi.cli.set_up import set_up  # noqa: PLC0415 - not in the supervisor

    listener, logs_json = set_up(host, port, admin)
    run_again.run_again(run_again.Given(listener, logs_json))


def _supervise(given: run_again.Given, *, workers: int, threads: int, pin: bool) -> None:
    from itemsapi.cli.context import app_factory  # noqa: PLC0415 - not for the help
    from itemsapi.observability.logging import write_log_lines  # noqa: PLC0415
    from itemsapi.server.metrics_folder import shared_folder  # noqa: PLC0415
    from itemsapi.server.supervisor import serve  # noqa: PLC0415 - an extra

    write_log_lines(as_json=given.logs_json)
    with given.listener, shared_folder(workers):
        serve(given.listener, app_factory(), workers=workers, threads=threads, pin=pin)
