"""Routes that nobody reaches, because another route has the same path and method.

Flask takes the route that was registered first, and says nothing. If one of the two belongs to the
layer, such as `POST /auth/login` beside a blueprint `auth` of the application, either users cannot
sign in any more, or code of the application is dead.
"""

import itertools
import re
from collections.abc import Iterator

from flask import Flask
from werkzeug.routing import Rule as Route

from itemsapi.gate.routes import methods_with_views

LAYER_PREFIX = "itemsapi."  # of the endpoints of the layer, such as `itemsapi.auth.login`
VARIABLE_NAME = re.compile(r"(<(?:\w+(?:\([^<>]*\))?:)?)\w+>")


def shadowed_routes(app: Flask) -> Iterator[str]:
    """Yield a fault for each route and method that the layer takes from the application.

    Or the application from the layer. Two routes of the application itself may be intended.
    """
    routes = [route for route in app.url_map.iter_rules() if not route.build_only]
    by_place: dict[tuple[object, ...], list[Route]] = {}
    for route in routes:
        by_place.setdefault(_place(route), []).append(route)
    for same in by_place.values():
        for first, later in itertools.combinations(same, 2):
            if _is_own(first) != _is_own(later):
                yield from _faults(first, later)


def _faults(first: Route, later: Route) -> Iterator[str]:
    for method in sorted(_methods(first) & _methods(later)):
        yield (
            f"route {method} {later.rule} ({later.endpoint}) is reached by nobody: "
            f"{first.endpoint} has the same path; give AuthLayer a url_prefix"
        )


def _place(route: Route) -> tuple[object, ...]:
    """Return what the URL map compares: the path whatever its variables are called, the host."""
    path = VARIABLE_NAME.sub(r"\1>", route.rule)
    return path, route.host, route.subdomain, route.websocket


def _methods(route: Route) -> set[str]:
    """Return the methods that a view answers; HEAD follows GET."""
    methods = methods_with_views(route)
    return methods - ({"HEAD"} if "GET" in methods else set())


def _is_own(route: Route) -> bool:
    return str(route.endpoint).startswith(LAYER_PREFIX)
