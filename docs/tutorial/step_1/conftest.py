"""A fresh shop for each test, and a clock that stands still until a test moves it."""

import importlib
import os
import secrets
import time
from datetime import UTC, datetime, timedelta

import pytest

os.environ.setdefault("SHOP_SECRET", secrets.token_hex(32))  # from step 2 on


class Clock(datetime):
    """The clock of the tests: no test waits."""

    at = datetime.now(UTC)

    @classmethod
    def now(cls, tz=None):
        return cls.at

    @classmethod
    def advance(cls, **duration):
        cls.at += timedelta(**duration)


@pytest.fixture
def clock(monkeypatch):
    monkeypatch.setattr(Clock, "at", datetime.now(UTC))
    monkeypatch.setattr(time, "time", lambda: Clock.at.timestamp())
    monkeypatch.setattr("jwt.api_jwt.datetime", Clock)  # PyJWT looks at this one
    return Clock


@pytest.fixture
def client(clock):
    shop = importlib.import_module("app")
    return importlib.reload(shop).app.test_client()
