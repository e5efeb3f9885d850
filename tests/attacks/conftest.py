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
from support.forged_tokens import Forge, Vault

SECRET = "t3st-only-0123456789-abcdefghijklmnopqrstuvwxyz"


def build(template: Path, folder: Path, vault: Vault, **changes: Any) -> Backend:
    """Build a backend on SQLite; what is attacked here does not depend on the database."""
    shutil.copy(template, folder / "itemsapi.db")
    settings = Settings(data_dir=folder, secret_key=SECRET, rate_limit=None, **changes)
    clock = MovingClock()
    app = create_app(settings, blueprints=[vault.page], clock=clock)
    return Backend(app, app.extensions[EXTENSION], clock)


@pytest.fixture(scope="session")
def standing_forge(
    sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Forge]:
    """A forge that tests share: none of them may change the backend."""
    vault = Vault()
    backend = build(sqlite_template, tmp_path_factory.mktemp("forge"), vault)
    yield Forge(backend, vault)
    backend.services.database.dispose()


@pytest.fixture
def forge(standing_forge: Forge) -> Forge:
    """The shared forge."""
    return standing_forge


@pytest.fixture(scope="session", params=["EdDSA", "ES256", "RS256", "HS256"])
def forge_of_each(
    request: pytest.FixtureRequest,
    sqlite_template: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Forge]:
    """A forge for each algorithm that a setting may choose."""
    vault = Vault()
    folder = tmp_path_factory.mktemp(request.param)
    backend = build(sqlite_template, folder, vault, signing_alg=request.param)
    yield Forge(backend, vault)
    backend.services.database.dispose()
