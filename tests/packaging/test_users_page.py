"""The package of docs/users.md, with a factory and a module of extensions."""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from werkzeug.security import generate_password_hash

from itemsapi.services import EXTENSION
from itemsapi.testing import PASSWORD
from support.document_blocks import read_blocks

pytestmark = pytest.mark.dialect("sqlite")  # the page does not depend on the database

SIGN_IN = {"username": "ada@shop.example", "password": PASSWORD}


@pytest.fixture
def app(
    root: Path, tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Flask]:
    """The application, made as the second one of the process, with one user."""
    (tmp_path / "shop").mkdir()
    for block in read_blocks(root, "docs/users.md"):
        if (name := block.options.get("file", "")).startswith("shop/"):
            (tmp_path / name).write_text(block.text, "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("ITEMSAPI_SECRET_KEY", "t3st-only-0123456789-abcdefghijklmnopqrstuvwxyz")
    forget_shop()
    create_app = importlib.import_module("shop").create_app
    config = {"ITEMSAPI_DATABASE_URL": database_url}
    apps = [create_app(config), create_app(config)]
    add_user(apps[1])
    yield apps[1]
    for app in apps:
        app.extensions[EXTENSION].database.dispose()
        with app.app_context():
            sys.modules["shop.extensions"].db.engine.dispose()
    forget_shop()


def forget_shop() -> None:
    """Forget the package: other tests have one of that name too."""
    for name in [*sys.modules]:
        if name.partition(".")[0] == "shop":
            del sys.modules[name]


def add_user(app: Flask) -> None:
    """Create the tables of the application, and a user."""
    db, user = sys.modules["shop.extensions"].db, sys.modules["shop.models"].User
    with app.app_context():
        db.create_all()
        hashed = generate_password_hash(PASSWORD, "pbkdf2:sha256:1000")
        db.session.add(user(email=SIGN_IN["username"], password_hash=hashed))
        db.session.commit()
        db.engine.dispose()


def test_a_view_of_the_package_tells_the_layer_that_a_user_changed(app: Flask) -> None:
    """No module is imported in a circle, and the session of the user ends."""
    client = app.test_client()
    tokens = client.post("/auth/login", json=SIGN_IN).get_json()
    bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
    closed = client.delete("/account", headers=bearer)
    again = client.post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]})
    assert (closed.status_code, again.status_code) == (204, 401)
