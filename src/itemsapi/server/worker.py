"""The worker process: runs the application behind the bridge."""

import asyncio
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from itemsapi.observability.logging import LOGGER, write_log_lines

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from flask import Flask

    from itemsapi.server.bridge import Bridge

AppFactory = Callable[[], "Flask"]  # a worker calls it in its own process

# ruff: noqa: PLC0415 - the supervisor imports this module, and no application


def load_application(
    create: AppFactory,
    threads: int,
    workers: int,
    number: int | None = None,
    loaded: "Connection | None" = None,
) -> "Bridge":
    """Return the bridge to the application that `create` returns in this process.

    With a `number` all threads share a core, which is counted with it (`itemsapi.cores`). `loaded`
    gets a message when this process can serve.
    """
    from itemsapi.cores import share_one_core
    from itemsapi.server.bridge import Bridge
    from itemsapi.server.host_application import behind_server
    from itemsapi.services import services_of

    threading.Thread(target=_stop_with_parent, daemon=True).start()
    app = create()
    settings = services_of(app).settings
    if settings.access_log and not LOGGER.hasHandlers():  # of an application without logging
        write_log_lines(as_json=settings.logs_json)
    hold_sigterm_until_the_loop_runs()
    if number is not None:
        share_one_core(number)
    bridge = Bridge(
        behind_server(app),
        threads=threads,
        trusted_proxies=settings.trusted_proxies or 0,
        multiprocess=workers > 1,
    )
    if loaded is not None:
        loaded.send_bytes(b"loaded")
        loaded.close()
    return bridge


def hold_sigterm_until_the_loop_runs() -> None:
    """Deliver a SIGTERM that comes from now on when the event loop runs.

    The server registers its handler before that, and uvloop drops signals that arrive in between:
    the worker would not stop, and be killed after half a minute. The system may give it
    to any thread that does not block it, so no other thread of ours takes it.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    loop = asyncio.get_event_loop()
    loop.call_soon(signal.pthread_sigmask, signal.SIG_UNBLOCK, {signal.SIGTERM})


def _stop_with_parent() -> None:
    """Send SIGTERM to this process when its parent has ended: nothing else would stop it."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    if parent := multiprocessing.parent_process():
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)
