"""The change of a view from Flask-JWT-Extended to the layer, as docs/adopt.md shows it."""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask
from flask_jwt_extended import JWTManager, current_user, jwt_required

from itemsapi import AuthLayer, RulesInvalid, Scope, current_caller, requires
from itemsapi.services import EXTENSION
from itemsapi.settings import Settings
from itemsapi.testing import caller_client

pytestmark = pytest.mark.dialect("sqlite")  # the page does not depend on the database

SECTION = (Path(__file__).parents[2] / "docs" / "adopt.md").read_text("utf-8")
((DIFF),) = re.findall(r"```diff\n(.*?)```", SECTION.split("### Flask-JWT-Extended")[1], re.DOTALL)


def view(marks: str) -> str:
    """Return the lines of the diff that begin with one of these marks."""
    return "\n".join(line[1:] for line in DIFF.splitlines() if line[0] in marks)


def application(code: str, settings: Settings) -> Flask:
    """Return an application with a `JWTManager` of its own, users, and the view."""
    app = Flask("shop", static_folder=None)
    app.config["JWT_SECRET_KEY"] = "the secret of the application itself, 32+"
    JWTManager(app)
    AuthLayer(app, settings=settings)
    users = SimpleNamespace(session=SimpleNamespace(get=lambda _model, key: {7: "ada"}[key]))
    names: dict[str, Any] = {
        "app": app,
        "db": users,
        "User": object,
        "find_orders": lambda user: {"orders of": user},
        "Scope": Scope,
        "current_caller": current_caller,
        "current_user": current_user,
        "jwt_required": jwt_required,
        "requires": requires,
    }
    exec(code, names)  # noqa: S102 - the page itself
    return app


def test_the_view_finds_its_user_after_the_change(settings: Settings) -> None:
    """By the id of the caller."""
    app = application(view(" +"), settings)
    answer = caller_client(app, ["orders:read"], user_id="7").get("/orders").get_json()
    app.extensions[EXTENSION].database.dispose()
    assert answer == {"orders of": "ada"}


def test_the_view_with_both_guards_is_refused(settings: Settings) -> None:
    """As if only the line of the rule were added."""
    app = application(view(" +-"), settings)
    with pytest.raises(RulesInvalid, match="GET /orders is checked twice"):
        AuthLayer.seal(app)
