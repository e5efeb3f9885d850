"""Plain Flask applications with users of their own, behind the layer."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.orm import scoped_session, sessionmaker

from itemsapi import Scope, SqlUsers, current_caller, requires
from itemsapi.clock import Timer
from itemsapi.extension import AuthLayer
from itemsapi.services import EXTENSION
from itemsapi.settings import Settings
from itemsapi.testing import MovableClock
from support.app_factory import Backend
from support.host_app import Host, HostUser, MakeHost

ORDERS_READ = Scope("orders:read", "See orders")


Protect = Callable[..., Backend]


@pytest.fixture
def protect(settings: Settings, clock: MovableClock, timer: Timer) -> Iterator[Protect]:
    """Put the layer around an application: `protect(app, rules={...})`."""
    backends: list[Backend] = []

    def put_around(app: Flask, **options: Any) -> Backend:
        options = {"settings": settings} | options
        AuthLayer(app, clock=clock, monotonic=timer, **options)
        backends.append(Backend(app, app.extensions[EXTENSION], clock))
        return backends[-1]

    yield put_around
    for backend in backends:
        backend.services.database.dispose()


@pytest.fixture
def host_url(database_url: str) -> str:
    """The URL of the layer's database, in which the application has its tables too."""
    url = make_url(database_url)
    if url.get_backend_name() == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    return url.render_as_string(hide_password=False)


@pytest.fixture
def make_host(
    settings: Settings, host_url: str, clock: MovableClock, timer: Timer
) -> Iterator[MakeHost]:
    """Build applications with users of their own; the options are those of `SqlUsers`."""
    cheap = replace(settings, session_limit=3)
    for name, value in (("argon2_memory", 64), ("argon2_time", 1)):
        object.__setattr__(cheap, name, value)  # no setting that an operator can write allows this
    with ExitStack() as stack:

        def make(model: type[Any] = HostUser, include: Any = (), **options: Any) -> Host:
            engine = create_engine(host_url)
            stack.callback(engine.dispose)
            model.metadata.create_all(engine)
            stack.callback(model.metadata.drop_all, engine)
            session = scoped_session(sessionmaker(engine))
            stack.callback(session.remove)
            defaults: dict[str, Any] = {"enabled": "active", "scopes": _scopes_of}
            app = Flask("host")
            by = {"access_token", *(["api_key"] if include else [])}
            app.add_url_rule("/orders", "orders", requires(ORDERS_READ, by=by)(_new_view()))
            users = SqlUsers(session, model, **defaults | options)
            auth = AuthLayer(
                app, users=users, settings=cheap, include=include, clock=clock, monotonic=timer
            )
            host = Host(app, auth, engine, session, clock, model)
            stack.callback(host.services.database.dispose)
            return host

        yield make


@pytest.fixture
def host(make_host: MakeHost) -> Host:
    """An application whose users have numbers as ids."""
    return make_host()


def _scopes_of(user: Any) -> list[str]:
    scopes: str = user.scopes
    return scopes.split()


def _new_view() -> Callable[[], str]:
    def show_orders() -> str:
        """Return the id of the caller."""
        return current_caller().user_id

    return show_orders
