"""Fixtures for attacks: a shared backend with protected endpoints, and a forger of tokens."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from itemsapi import create_app
from itemsapi.services import EXTENSION
from itemsapi.testing import MovableClock, testing_settings
from support.app_factory import Backend
from support.forged_tokens import ProtectedEndpoints, TokenForger


def build(template: Path, folder: Path, vault: ProtectedEndpoints, **changes: Any) -> Backend:
    """Build a backend on SQLite; these attacks do not depend on the database."""
    shutil.copy(template, folder / "itemsapi.db")
    clock = MovableClock()
    app = create_app(testing_settings(folder, **changes), blueprints=[vault.blueprint], clock=clock)
    return Backend(app, app.extensions[EXTENSION], clock)


@pytest.fixture(scope="session")
def shared_forge(
    sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TokenForger]:
    """A forger that tests share: none of them may change the backend."""
    vault = ProtectedEndpoints()
    backend = build(sqlite_template, tmp_path_factory.mktemp("forge"), vault)
    yield TokenForger(backend, vault)
    backend.services.database.dispose()


@pytest.fixture
def forge(shared_forge: TokenForger) -> TokenForger:
    """The shared forger."""
    return shared_forge


@pytest.fixture(scope="session", params=["EdDSA", "ES256", "RS256", "HS256"])
def each_forge(
    request: pytest.FixtureRequest,
    sqlite_template: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[TokenForger]:
    """A forger for each algorithm that the settings allow."""
    vault = ProtectedEndpoints()
    folder = tmp_path_factory.mktemp(request.param)
    backend = build(sqlite_template, folder, vault, signing_alg=request.param)
    yield TokenForger(backend, vault)
    backend.services.database.dispose()
