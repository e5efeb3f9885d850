"""The worker process: runs the application behind the bridge."""

import multiprocessing
import os
import signal
import threading

from itemsapi.app import create_app
from itemsapi.server.bridge import Bridge
from itemsapi.services import EXTENSION


def load_application(threads: int, workers: int) -> Bridge:
    """Return the bridge to an application with the settings from the environment."""
    threading.Thread(target=_stop_with_parent, daemon=True).start()
    app = create_app()
    settings = app.extensions[EXTENSION].settings
    return Bridge(
        app,
        threads=threads,
        trusted_proxies=settings.trusted_proxies or 0,
        multiprocess=workers > 1,
    )


def _stop_with_parent() -> None:
    """Send SIGTERM to this process when its parent has ended: nothing else would stop it."""
    if parent := multiprocessing.parent_process():
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)
