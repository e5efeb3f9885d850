"""Attackers' tools: a backend that stands for the whole run, with a vault in it and a forge."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from itemsapi import create_app
from itemsapi.services import EXTENSION
from itemsapi.settings import Settings
from support.app_factory import Backend, MovingClock
from support.forged_tokens import ProtectedEndpoints, TokenForger

SECRET = "t3st-only-0123456789-abcdefghijklmnopqrstuvwxyz"


def build(template: Path, folder: Path, vault: ProtectedEndpoints, **changes: Any) -> Backend:
    """Build a backend on SQLite; what is attacked here does not depend on the database."""
    shutil.copy(template, folder / "itemsapi.db")
    settings = Settings(data_dir=folder, secret_key=SECRET, rate_limit=None, **changes)
    clock = MovingClock()
    app = create_app(settings, blueprints=[vault.blueprint], clock=clock)
    return Backend(app, app.extensions[EXTENSION], clock)


@pytest.fixture(scope="session")
def standing_forge(
    sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TokenForger]:
    """A forge that tests share: none of them may change the backend."""
    vault = ProtectedEndpoints()
    backend = build(sqlite_template, tmp_path_factory.mktemp("forge"), vault)
    yield TokenForger(backend, vault)
    backend.services.database.dispose()


@pytest.fixture
def forge(standing_forge: TokenForger) -> TokenForger:
    """The shared forge."""
    return standing_forge


@pytest.fixture(scope="session", params=["EdDSA", "ES256", "RS256", "HS256"])
def forge_of_each(
    request: pytest.FixtureRequest,
    sqlite_template: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[TokenForger]:
    """A forge for each algorithm that a setting may choose."""
    vault = ProtectedEndpoints()
    folder = tmp_path_factory.mktemp(request.param)
    backend = build(sqlite_template, folder, vault, signing_alg=request.param)
    yield TokenForger(backend, vault)
    backend.services.database.dispose()
