"""The role that the README makes, in both of its ways in; `test_documents.py` runs one of them."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from itemsapi import create_app
from itemsapi.services import EXTENSION
from itemsapi.settings import Settings
from itemsapi.testing import MovableClock
from support.app_factory import Backend
from support.document_blocks import read_blocks

pytestmark = pytest.mark.dialect("sqlite")  # the page does not depend on the database


def application(code: str, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Flask:
    """Return the application of a program of the README, with these settings."""
    monkeypatch.setenv("ITEMSAPI_DATABASE_URL", settings.database_url)
    monkeypatch.setenv("ITEMSAPI_SECRET_KEY", settings.secret_key)
    names: dict[str, Any] = {"__name__": "readme_page"}
    exec(code, names)  # noqa: S102 - the page itself
    return names.get("app") or create_app(settings, [names["orders"]])


@pytest.mark.parametrize("file", ["orders.py", "shop.py"])
def test_the_role_of_the_readme_can_be_made_in_both_ways(
    file: str, root: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the body that the README shows, by an admin (R-24)."""
    blocks = read_blocks(root, "README.md")
    (code,) = [block.text for block in blocks if block.options.get("file") == file]
    (body,) = re.findall(r"/roles/clerk .*\n +--json '(.*)'", "".join(b.text for b in blocks))
    app = application(code, settings, monkeypatch)
    backend = Backend(app, app.extensions[EXTENSION], MovableClock())
    client = backend.signed_in_client("admin", "admin")
    made = client.put("/roles/clerk", json=json.loads(body))
    backend.services.database.dispose()
    assert made.status_code in {200, 201}
