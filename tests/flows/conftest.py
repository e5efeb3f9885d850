"""Fixtures of several modules here: two processes on one database, users, and a store of items."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from itemsapi.db import Database
from itemsapi.testing import MovableClock
from support.app_factory import Backend
from support.item_store import ItemStore
from support.tokens import look

Build = Callable[..., Backend]


@pytest.fixture
def here(make_backend: Build) -> Backend:
    """A process that reads the revocation feed at every request."""
    return make_backend(look, revocation_lag=timedelta(0))


@pytest.fixture
def there(make_backend: Build, here: Backend) -> Backend:
    """Another process on the same database."""
    return make_backend(look, revocation_lag=timedelta(0))


@pytest.fixture
def build(make_backend: Build) -> Build:
    """Return a function that builds an application with the endpoint `/look`, and the user ada."""

    def make(**changes: Any) -> Backend:
        backend = make_backend(look, **changes)
        backend.create_user("ada", "member")
        return backend

    return make


@pytest.fixture
def store(database: Database, clock: MovableClock) -> ItemStore:
    """An empty store of items."""
    return ItemStore(database, clock)
