"""The fixtures for pytest, which finds them by the entry point of the installed package.

A project defines the fixture `app`, as for pytest-flask; `auth_app` builds on it. Pytest loads
this module in every project, so nothing else is imported before a fixture is used.
"""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from itemsapi import testing

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient

    from itemsapi.settings import Settings
    from itemsapi.testing.clock import MovableClock


@pytest.fixture
def auth_settings(tmp_path: Path) -> "Settings":
    """Settings for an application under test: `AuthLayer(app, settings=auth_settings)`."""
    return testing.testing_settings(tmp_path)


@pytest.fixture
def auth_clock() -> "MovableClock":
    """A clock that the test moves: `AuthLayer(app, clock=auth_clock)`."""
    return testing.MovableClock()


@pytest.fixture
def auth_app(app: "Flask", request: pytest.FixtureRequest) -> "Iterator[Flask]":
    """The application of the fixture `app`, with the tables of the layer in its database.

    Raise `RuntimeError` if the application does not have the settings of a test, or not the clock
    that the test moves.
    """
    from itemsapi.testing import application  # noqa: PLC0415 - imports Flask

    application.require_test_settings(app)
    if "auth_clock" in request.fixturenames:
        application.require_clock(app, request.getfixturevalue("auth_clock"))
    testing.create_tables(app)
    yield app
    testing.close_database(app)


@pytest.fixture
def caller_client(auth_app: "Flask") -> "Callable[..., FlaskClient]":
    """Return a function that makes clients: `caller_client(scopes=["orders:read"])`."""
    return partial(testing.caller_client, auth_app)
