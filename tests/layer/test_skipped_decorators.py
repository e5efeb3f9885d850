"""Decorators of a stock `flask_smorest.Blueprint` above the route of a view stop the boot."""

import sys
from collections.abc import Callable
from types import ModuleType

import pytest
from flask import Flask

from itemsapi import AuthLayer
from itemsapi.gate.rulebook import RulesInvalid
from support.app_factory import Backend

pytestmark = pytest.mark.dialect("sqlite")  # rules do not depend on the database

Protect = Callable[..., Backend]
MODULE = """
import functools
import flask_smorest, marshmallow
from itemsapi import public

blueprint = flask_smorest.Blueprint("pets", __name__)

def traced(view):
    return functools.wraps(view)(lambda *args, **kwargs: view(*args, **kwargs))

{above}
@blueprint.post("/pets")
{below}
@public("a test")
def show(*args, **kwargs):
    return {{}}
"""
DECORATORS = {
    "arguments": "@blueprint.arguments(marshmallow.Schema)",
    "response": "@blueprint.response(200)",
    "alt_response": "@blueprint.alt_response(404)",
    "etag": "@blueprint.etag",
    "paginate": "@blueprint.paginate()",
    "doc": "@blueprint.doc(summary='Show')",
}


@pytest.fixture
def boot(protect: Protect, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Boot an application with a module that has these lines around the route of its view."""

    def run(*, above: str = "", below: str = "") -> None:
        module = ModuleType("pets_of_a_test")
        monkeypatch.setitem(sys.modules, module.__name__, module)
        exec(MODULE.format(above=above, below=below), vars(module))  # noqa: S102 - our own code
        app = Flask(__name__, static_folder=None)
        app.register_blueprint(vars(module)["blueprint"])
        protect(app)
        AuthLayer.seal(app)

    return run


@pytest.mark.parametrize("name", DECORATORS)
def test_a_decorator_above_the_route_stops_the_boot(boot: Callable[..., None], name: str) -> None:
    """S-001: it would check no input and hide no field; the line says where it belongs."""
    words = "stands above the route of show, where it has no effect; write it below"
    with pytest.raises(RulesInvalid, match=f"^@{name} {words}$"):
        boot(above=DECORATORS[name])


def test_a_decorator_is_found_behind_one_of_the_application(boot: Callable[..., None]) -> None:
    """Which may stand above the route: it is not one of Flask-Smorest."""
    with pytest.raises(RulesInvalid, match="@response stands above the route of show"):
        boot(above=f"@traced\n{DECORATORS['response']}")


@pytest.mark.parametrize(
    ("above", "below"), [("@traced", ""), ("", "\n".join(DECORATORS.values()))]
)
def test_decorators_where_they_have_an_effect_boot(
    boot: Callable[..., None], above: str, below: str
) -> None:
    """Nothing else is refused."""
    boot(above=above, below=below)
