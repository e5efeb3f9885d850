"""The rule of a request is that of its route, not that of another route to the same endpoint."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from werkzeug.routing import Rule as Route

from itemsapi import AuthLayer, Scope, public, requires
from itemsapi.gate.rulebook import RulesInvalid
from support.app_factory import Backend

Protect = Callable[..., Backend]

pytestmark = pytest.mark.dialect("sqlite")

ADMIN = requires(Scope("shop:admin", "Manage the shop"))
ALL = public("all may")


def show_page(**_: object) -> str:
    """Respond with a word."""
    return "page"


def make_shop(*paths: str) -> Flask:
    """Return an application whose paths all lead to one endpoint."""
    app = Flask("shop", static_folder=None)
    for path in paths:
        app.add_url_rule(path, "page", show_page)
    return app


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    ("rules", "path"),
    [
        ({"/": ALL}, "/internal"),
        ({"/docs/*": ALL, "/*/secret": ADMIN}, "/docs/secret"),
        ({"/*": ALL, "/admin/*": ADMIN}, "/admin"),
    ],
)
def test_a_route_without_exactly_one_rule_is_refused_for_head_too(
    protect: Protect, rules: dict[str, Any], path: str, method: str
) -> None:
    """S-002: the first path has one rule, which is not that of the second."""
    app = make_shop("/", "/docs/first", path)
    app.add_url_rule("/admin/users", "users", show_page)
    app.add_url_rule("/other/secret", "secret", show_page)
    assert protect(app, rules=rules).client().open(path, method=method).status_code == 403


def test_a_route_that_is_added_later_is_refused_though_its_endpoint_has_a_rule(
    protect: Protect,
) -> None:
    """S-002: nobody has read its path."""
    app = make_shop("/")
    app.add_url_rule("/admin/users", "users", show_page)
    client = protect(app, rules={"/": ALL, "/admin/*": ADMIN}).client()
    AuthLayer.seal(app)
    app.add_url_rule("/admin/<section>", "page")
    assert [client.get(path).status_code for path in ("/", "/admin/salaries")] == [200, 403]


@pytest.fixture
def any_method() -> Flask:
    """An application with a route that names no methods, to an endpoint that another one has."""
    app = Flask("shop", static_folder=None)
    app.url_map.add(Route("/", endpoint="page", methods=["GET"]))
    app.url_map.add(Route("/internal/<name>", endpoint="page"))
    app.endpoint("page")(show_page)
    return app


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PROPFIND"])
def test_a_route_that_names_no_methods_is_refused(
    protect: Protect, any_method: Flask, method: str
) -> None:
    """S-002: no rule is for a method that nobody names."""
    client = protect(any_method, rules={"/": ALL}).client()
    assert client.open("/internal/salaries", method=method).status_code == 403


def test_a_developer_reads_that_a_route_names_no_methods(
    protect: Protect, any_method: Flask
) -> None:
    """In testing the request fails with the advice."""
    any_method.testing = True
    client = protect(any_method, rules={"/": ALL}).client()
    with pytest.raises(RulesInvalid, match="/internal/<name> takes any method; name its methods"):
        client.get("/internal/salaries")
