"""A fresh shop for each test, and a clock that a test can move, so that no test waits."""

import importlib
import os
import secrets
import time
from datetime import datetime, timedelta

import pytest

os.environ.setdefault("SHOP_SECRET", secrets.token_hex(32))  # from step 2 on
machine_time = time.time


class Clock(datetime):
    """The clock of this machine, moved ahead."""

    ahead = timedelta()

    @classmethod
    def now(cls, tz=None):
        return datetime.now(tz) + cls.ahead

    @classmethod
    def advance(cls, **duration):
        cls.ahead += timedelta(**duration)


@pytest.fixture
def clock(monkeypatch):
    monkeypatch.setattr(Clock, "ahead", timedelta())
    monkeypatch.setattr("jwt.api_jwt.datetime", Clock)  # PyJWT looks at this one
    monkeypatch.setattr(time, "time", lambda: machine_time() + Clock.ahead.total_seconds())
    return Clock


@pytest.fixture
def client():
    shop = importlib.import_module("app")
    return importlib.reload(shop).app.test_client()
