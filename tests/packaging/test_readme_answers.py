"""The answers that the README shows are those of the service."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from itemsapi import create_app
from itemsapi.services import EXTENSION
from itemsapi.settings import Settings
from itemsapi.testing import MovableClock
from support.app_factory import Backend

pytestmark = pytest.mark.dialect("sqlite")  # the page does not depend on the database

README = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
SHOWN = [json.loads(text) for text in re.findall(r'^\{"type":.*"\}$', README, re.MULTILINE)]
MEMBERS = ("title", "status", "detail", "code")
LAMP = {"name": "Desk lamp", "price": "39.90", "currency": "EUR"}


def told(problem: dict[str, Any]) -> list[object]:
    """Return what a problem says, without what differs between two requests."""
    return [problem[member] for member in MEMBERS]


def test_the_refusals_are_those_that_the_readme_shows(backend: Backend) -> None:
    """Without a token, with an invalid one, and with one that lacks the scope."""
    reader = backend.signed_in_client("ada", "admin", scope="items:read")
    answers = [
        backend.client().get("/items"),
        backend.bearer_client("nonsense").get("/items"),
        reader.post("/items", json=LAMP),
    ]
    assert [told(answer.get_json()) for answer in answers] == [told(each) for each in SHOWN]


def test_the_challenge_is_the_one_that_the_readme_shows(backend: Backend) -> None:
    """Of the scope that the token lacks."""
    reader = backend.signed_in_client("ada", "admin", scope="items:read")
    challenge = reader.post("/items", json=LAMP).headers["WWW-Authenticate"]
    assert f"www-authenticate: {challenge}\n" in README


def first_members(text: str) -> list[str]:
    """Return the names of the members of a JSON object that is shortened with dots."""
    return re.findall(r'[{,]"(\w+)":', text)


def test_the_answer_to_a_sign_in_has_the_members_that_the_readme_shows(backend: Backend) -> None:
    """In the same order."""
    backend.create_user("ada", "admin")
    shown = re.findall(r'^\{"access_token":.*\}$', README, re.MULTILINE)
    assert {tuple(json.loads(text)) for text in shown} == {tuple(backend.login("ada"))}


def test_the_answer_to_a_new_item_has_the_members_that_the_readme_shows(backend: Backend) -> None:
    """In the same order."""
    client: FlaskClient = backend.signed_in_client("ada", "admin")
    (shown,) = re.findall(r'^\{"id":.*\}$', README, re.MULTILINE)
    assert first_members(shown) == [*client.post("/items", json=LAMP).get_json()]


def application(code: str, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Flask:
    """Return the application of a program of the README, with these settings."""
    monkeypatch.setenv("ITEMSAPI_DATABASE_URL", settings.database_url)
    monkeypatch.setenv("ITEMSAPI_SECRET_KEY", settings.secret_key)
    names: dict[str, Any] = {"__name__": "readme_page"}
    exec(code, names)  # noqa: S102 - the page itself
    return names.get("app") or create_app(settings, [names["orders"]])


@pytest.mark.parametrize("way", [0, 1], ids=["blueprint", "application"])
def test_the_role_of_the_readme_can_be_made_in_both_ways(
    way: int, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the body that the README shows, by an admin (R-24)."""
    code = re.findall(r"```python\n(.*?)```", README, re.DOTALL)[way]
    (body,) = re.findall(r"/roles/clerk .*\n +--json '(.*)'", README)
    app = application(code, settings, monkeypatch)
    backend = Backend(app, app.extensions[EXTENSION], MovableClock())
    client = backend.signed_in_client("admin", "admin")
    made = client.put("/roles/clerk", json=json.loads(body))
    backend.services.database.dispose()
    assert made.status_code in {200, 201}
