"""The shop behind the layer, with its two users; the clock comes from `itemsapi.testing`."""

import importlib

import pytest
from visitor import PASSWORDS

from itemsapi.testing import create_user


@pytest.fixture
def app(auth_settings, auth_clock):
    shop = importlib.reload(importlib.import_module("app"))
    return shop.create_app(settings=auth_settings, clock=auth_clock)


@pytest.fixture
def clock(auth_clock):
    return auth_clock


@pytest.fixture
def client(auth_app):
    rights = {"ada": ["items:read", "items:write"], "bob": ["items:read"]}
    for name, scopes in rights.items():
        create_user(auth_app, name, password=PASSWORDS[name], scopes=scopes)
    return auth_app.test_client()
