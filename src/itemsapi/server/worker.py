"""What runs in a worker process: the application behind the bridge."""

import multiprocessing
import os
import signal
import threading

from itemsapi.app import create_app
from itemsapi.server.bridge import Bridge
from itemsapi.services import EXTENSION


def load_application(threads: int, workers: int) -> Bridge:
    """Make the application with the settings of the environment, and its bridge."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    app = create_app()
    settings = app.extensions[EXTENSION].settings
    return Bridge(
        app,
        threads=threads,
        trusted_proxies=settings.trusted_proxies or 0,
        multiprocess=workers > 1,
    )


def _end_with_parent() -> None:
    """End as at SIGTERM when the parent is gone: nobody else could stop this process."""
    if parent := multiprocessing.parent_process():
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)
