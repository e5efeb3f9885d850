"""A plain Flask application with the layer around it, for tests of what a host adds to the gate."""

from collections.abc import Callable
from typing import Any

from flask import Flask

from itemsapi.extension import AuthLayer
from itemsapi.services import EXTENSION
from itemsapi.settings import Settings
from itemsapi.testing import MovableClock
from support.app_factory import Backend
from support.manual_timer import ManualTimer

HostFactory = Callable[..., Backend]


def make_host(
    settings: Settings,
    clock: MovableClock,
    timer: ManualTimer,
    *add_routes: Callable[[Flask], object],
    claims: Any = None,
    **options: Any,
) -> Backend:
    """Return a host with these routes and options of the layer; `backend.app` is the host.

    `claims` is the function of `@auth.claims`.
    """
    app = Flask("host", static_folder=None)
    auth = AuthLayer(app, settings=settings, clock=clock, monotonic=timer, **options)
    if claims is not None:
        auth.claims(claims)
    for add in add_routes:
        add(app)
    return Backend(app, app.extensions[EXTENSION], clock)
