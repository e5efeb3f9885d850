"""A decorator above the route of its view stops the boot: it would have no effect."""

# mypy: disable-error-code="untyped-decorator"

import functools
from collections.abc import Callable
from typing import Any

import pytest
from flask.views import MethodView

from itemsapi import Blueprint, Schema
from itemsapi.problems import Conflict

Decorator = Callable[[Any], Any]
MISPLACED = "stands above the route of [sS]how"


def traced(view: Any) -> Any:
    """Wrap a view, as applications do with decorators of their own."""

    @functools.wraps(view)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return view(*args, **kwargs)

    return wrapper


def decorators(blueprint: Any) -> dict[str, Decorator]:
    """Return every decorator of a blueprint."""
    return {
        "arguments": blueprint.arguments(Schema),
        "response": blueprint.response(200),
        "alt_response": blueprint.alt_response(404),
        "a problem": blueprint.alt_response(Conflict),
        "etag": blueprint.etag,
        "idempotent": blueprint.idempotent,
        "paginate": blueprint.paginate(),
        "doc": blueprint.doc(summary="Show"),
    }


NAMES = list(decorators(Blueprint("orders", __name__)))


def registered(blueprint: Any) -> Any:
    """Return a view that has a route."""

    @blueprint.get("/orders")
    def show() -> None: ...

    return show


@pytest.mark.parametrize("name", NAMES)
def test_a_decorator_directly_above_the_route_is_rejected(name: str) -> None:
    """Flask would call the view without it."""
    blueprint = Blueprint("orders", __name__)
    with pytest.raises(TypeError, match=MISPLACED):
        decorators(blueprint)[name](registered(blueprint))


@pytest.mark.parametrize("name", NAMES)
def test_a_decorator_is_rejected_when_another_stands_between_it_and_the_route(name: str) -> None:
    """The wrapper in between is not the registered function, but it wraps it."""
    blueprint = Blueprint("orders", __name__)
    with pytest.raises(TypeError, match=MISPLACED):
        decorators(blueprint)[name](traced(traced(registered(blueprint))))


def test_a_decorator_of_another_blueprint_is_rejected() -> None:
    """It has as little effect as one of the same blueprint."""
    view = registered(Blueprint("orders", __name__))
    with pytest.raises(TypeError, match=MISPLACED):
        Blueprint("others", __name__).response(200)(view)


@pytest.mark.parametrize("as_view", [False, True])
def test_etag_above_the_route_of_a_method_view_is_rejected(*, as_view: bool) -> None:
    """It would be enforced, but the document would not say so."""
    blueprint: Any = Blueprint("orders", __name__)

    class Show(MethodView):
        def get(self) -> None: ...

    blueprint.add_url_rule("/orders", view_func=Show.as_view("show") if as_view else Show)
    with pytest.raises(TypeError, match=MISPLACED):
        blueprint.etag(Show)


def test_decorators_below_the_route_are_accepted() -> None:
    """Between each other they have any order."""
    blueprint = Blueprint("orders", __name__)

    def show() -> None: ...

    view = functools.reduce(lambda inner, add: add(inner), decorators(blueprint).values(), show)
    assert blueprint.get("/orders")(view) is view
