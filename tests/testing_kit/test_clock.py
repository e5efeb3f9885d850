"""The clock of a test, and the timer that moves with it."""

from pathlib import Path

import pytest
from flask import Flask

from itemsapi import AuthLayer, Scope, requires
from itemsapi.testing import (
    MovableClock,
    caller_client,
    close_database,
    create_tables,
    testing_settings,
)

pytestmark = pytest.mark.dialect("sqlite")


def test_the_limit_of_requests_follows_the_clock_when_it_has_its_timer(tmp_path: Path) -> None:
    """As docs/testing.md promises; nothing sleeps."""
    app, clock = Flask("shop", static_folder=None), MovableClock()
    settings = testing_settings(tmp_path, rate_limit="1/minute")
    AuthLayer(app, settings=settings, clock=clock, monotonic=clock.monotonic)
    app.add_url_rule("/", "home", requires(Scope("orders:read", "See orders"))(lambda: "home"))
    create_tables(app)
    ada = caller_client(app, scopes=["orders:read"])
    assert [ada.get("/").status_code for _ in range(2)] == [200, 429]
    clock.advance(minutes=1)
    assert ada.get("/").status_code == 200
    close_database(app)


def test_the_timer_stands_still_when_the_clock_goes_back() -> None:
    """What ages by it never grows younger."""
    clock = MovableClock()
    before = clock.monotonic()
    clock.advance(hours=-1)
    assert clock.monotonic() == before
