"""Fixtures for applications that put the layer around themselves."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask

from conftest import with_cheap_hashing
from itemsapi import AuthLayer
from itemsapi.clock import Timer
from itemsapi.services import EXTENSION
from itemsapi.settings import Settings
from support.app_factory import Backend, MovingClock

Protect = Callable[..., Backend]


@pytest.fixture
def protect(settings: Settings, clock: MovingClock, timer: Timer) -> Iterator[Protect]:
    """Put the layer around an application: `protect(app, rules={...})`."""
    backends: list[Backend] = []

    def put_around(app: Flask, **options: Any) -> Backend:
        options = {"settings": with_cheap_hashing(settings)} | options
        AuthLayer(app, clock=clock, monotonic=timer, **options)
        backends.append(Backend(app, app.extensions[EXTENSION], clock))
        return backends[-1]

    yield put_around
    for backend in backends:
        backend.services.database.dispose()
