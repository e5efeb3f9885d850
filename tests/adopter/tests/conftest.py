"""An application on a temporary database, and two users who are signed in."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from attachments.app import create_app
from attachments.models import Attachment
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from itemsapi import Settings, current_database

SECRET_KEY = "t3st-only-0123456789-abcdefghijklmnopqrstuvwxyz"


class BufferedClient(FlaskClient):
    """A client that reads each response to its end, so that what follows it is done at once."""

    def open(self, *args: Any, **kwargs: Any) -> TestResponse:
        """Send a request and read the whole response."""
        return super().open(*args, **{"buffered": True, **kwargs})


class Passwords(dict[str, str]):
    """The password of each user."""


def run(folder: Path, *words: str) -> str:
    """Run the command `itemsapi` on the database of a folder; return what it prints."""
    command = shutil.which("itemsapi")
    assert command is not None
    url = f"sqlite:///{folder}/app.db"
    environment = {"ITEMSAPI_DATABASE_URL": url, "ITEMSAPI_DATA_DIR": str(folder)}
    done = subprocess.run(
        [command, *words], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout + done.stderr


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Passwords]:
    """A database with two users, and their passwords."""
    folder = tmp_path_factory.mktemp("template")
    run(folder, "db", "upgrade")
    passwords = Passwords()
    for name in ("ada", "eve"):
        printed = run(folder, "users", "add", name, "--role", "admin")
        found = re.search(r"\b[0-9a-f]{32}\b", printed)
        assert found is not None, printed
        passwords[name] = found[0]
    return folder, passwords


@pytest.fixture
def app(template: tuple[Path, Passwords], tmp_path: Path) -> Iterator[Flask]:
    """The application on a copy of that database."""
    shutil.copy(template[0] / "app.db", tmp_path)
    url = f"sqlite:///{tmp_path}/app.db"
    app = create_app(
        Settings(database_url=url, data_dir=tmp_path, secret_key=SECRET_KEY, rate_limit=None)
    )
    with app.app_context():
        database = current_database()
    app.test_client_class = BufferedClient
    Attachment.metadata.create_all(database.engine)
    yield app
    database.dispose()


def sign_in(app: Flask, name: str, password: str) -> FlaskClient:
    """Return a client with the access token of a user."""
    client = app.test_client()
    response = client.post("/auth/login", json={"username": name, "password": password})
    assert response.json is not None
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {response.json['access_token']}"
    return client


@pytest.fixture
def ada(app: Flask, template: tuple[Path, Passwords]) -> FlaskClient:
    """A client of Ada."""
    return sign_in(app, "ada", template[1]["ada"])


@pytest.fixture
def eve(app: Flask, template: tuple[Path, Passwords]) -> FlaskClient:
    """A client of Eve."""
    return sign_in(app, "eve", template[1]["eve"])
