"""The targets: an address for every route, so that each can be requested."""

import itertools
import re
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from flask import Flask, request
from werkzeug.exceptions import HTTPException
from werkzeug.routing import BuildError, RequestRedirect
from werkzeug.routing import Rule as Route

HOST = "localhost"
MAX_SAMPLES = 400  # combinations of sample values that are tried for one route
SAMPLES: tuple[Any, ...] = (
    1,
    "x",
    uuid.UUID("01890a5d-ac96-774b-bcce-b302099a8057"),
    1.5,
    "2026-01-31",
    True,
    *(10**digits for digits in range(1, 12)),
    *("x" * length for length in range(2, 40)),
)


@dataclass(frozen=True, slots=True)
class Target:
    """A route, with an address that leads to it: `path` below `base_url`.

    `redirects`: no address was found that leads to it, only such that lead to a redirect, as for
    the longer spelling of a route with `defaults`.
    """

    endpoint: str
    base_url: str
    path: str
    redirects: bool = False


def find_target(app: Flask, route: Route, arguments: Mapping[str, object]) -> Target | None:
    """Return a target for a route, or None if no address was found.

    `arguments` are values for the variables of the routes, by name. For the others sample values
    are tried until one leads to the route.
    """
    redirect, base_url = None, _base_url(app, route)
    for values in itertools.islice(_combinations(route, arguments), MAX_SAMPLES):
        path = _build(route, values)
        found = "nothing" if path is None else _match(app, route, base_url, path)
        if found == "route":
            return Target(route.endpoint, base_url, str(path))
        if found == "redirect" and redirect is None:
            redirect = Target(route.endpoint, base_url, str(path), redirects=True)
    return redirect


def _base_url(app: Flask, route: Route) -> str:
    """Return the scheme, the host and the root below which a route is found."""
    host = app.config["SERVER_NAME"] or HOST
    if route.subdomain:
        host = f"{route.subdomain}.{host}"
    root = str(app.config["APPLICATION_ROOT"] or "/")
    return f"{app.config['PREFERRED_URL_SCHEME']}://{host}{root}"


def _combinations(route: Route, arguments: Mapping[str, object]) -> Iterator[dict[str, Any]]:
    """Yield values for the variables of a route; the same sample for all of them first."""
    defaults = route.defaults or {}
    names = sorted(route.arguments - defaults.keys() - arguments.keys())
    fixed = {name: arguments[name] for name in route.arguments & arguments.keys()} | {**defaults}
    choices = [_choices(route, name) for name in names]
    alike = ([listed[0] if listed else sample for listed in choices] for sample in SAMPLES)
    mixed = itertools.product(*(listed or SAMPLES for listed in choices))
    for values in itertools.chain(alike, mixed):
        yield dict(zip(names, values, strict=True)) | fixed


def _choices(route: Route, name: str) -> list[str]:
    """Return a value that the converter `any` of a variable lists, if it has that one."""
    listed = re.search(rf"<any\(([^)]*)\):{re.escape(name)}>", route.rule)
    return [listed[1].split(",")[0].strip().strip("\"'")] if listed else []


def _build(route: Route, values: Mapping[str, Any]) -> str | None:
    try:
        built = route.build(values, append_unknown=False)
    except (BuildError, ValueError, TypeError, AttributeError, HTTPException):
        return None  # the converter does not take such a value
    return built[1] if built else None


def _match(app: Flask, route: Route, base_url: str, path: str) -> str:
    """Return where the application routes a path: to the `route`, to a `redirect`, or nowhere."""
    method = min((route.methods or set()) - {"HEAD", "OPTIONS"}, default="OPTIONS")
    with app.test_request_context(path, method=method, base_url=base_url):
        if request.url_rule is route:
            return "route"
        is_redirect = isinstance(request.routing_exception, RequestRedirect)
    return "redirect" if is_redirect else "nothing"
