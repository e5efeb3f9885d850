"""How an endpoint gets the services of its application: `services()`."""

from datetime import datetime
from typing import cast

from flask import Flask, current_app

from itemsapi.composition import Services
from itemsapi.db import Database

EXTENSION = "itemsapi"  # the services, in `app.extensions`


def services() -> Services:
    """Return the services of the current application. Raise `RuntimeError` if it has none."""
    return services_of(current_app)


def services_of(app: Flask) -> Services:
    """Return the services of an application. Raise `RuntimeError` if it has no layer."""
    found = app.extensions.get(EXTENSION)
    if found is None:
        raise RuntimeError(f"{app.name} has no AuthLayer; write AuthLayer(app)")
    return cast("Services", found)


def current_database() -> Database:
    """Return the database of the current application, for the tables of your own blueprints.

    `with current_database().transaction() as tx:` yields a SQLAlchemy `Session`, and commits at the
    end of the block. `.reading()` yields a Core `Connection` for look-ups. If the database fails,
    the response is a 503.
    """
    return services().database


def current_time() -> datetime:
    """Return the time in UTC by the clock of the current application, which tests can move."""
    return services().clock()
