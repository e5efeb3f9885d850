"""The worker process: runs the application behind the bridge."""

import multiprocessing
import os
import signal
import threading

from itemsapi.server.bridge import Bridge
from itemsapi.server.host_application import AppFactory, behind_server
from itemsapi.services import EXTENSION


def load_application(create: AppFactory, threads: int, workers: int) -> Bridge:
    """Return the bridge to the application that `create` returns in this process."""
    threading.Thread(target=_stop_with_parent, daemon=True).start()
    app = create()
    settings = app.extensions[EXTENSION].settings
    return Bridge(
        behind_server(app),
        threads=threads,
        trusted_proxies=settings.trusted_proxies or 0,
        multiprocess=workers > 1,
    )


def _stop_with_parent() -> None:
    """Send SIGTERM to this process when its parent has ended: nothing else would stop it."""
    if parent := multiprocessing.parent_process():
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)
