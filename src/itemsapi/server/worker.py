"""What runs in a worker process: the application behind the bridge."""

from itemsapi.app import create_app
from itemsapi.server.bridge import Bridge
from itemsapi.services import EXTENSION


def load(threads: int, workers: int) -> Bridge:
    """Make the application with the settings of the environment, and its bridge."""
    app = create_app()
    settings = app.extensions[EXTENSION].settings
    return Bridge(
        app,
        threads=threads,
        trusted_proxies=settings.trusted_proxies or 0,
        multiprocess=workers > 1,
    )
