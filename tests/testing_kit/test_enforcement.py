"""`assert_every_rule_is_enforced` on applications without a fault: what it attacks and reports."""

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, abort, request
from flask.testing import FlaskClient
from flask.typing import ResponseReturnValue
from flask.views import MethodView
from werkzeug.routing import BaseConverter

from itemsapi import Blueprint, public, requires, signed_in
from itemsapi.extension import AuthLayer
from itemsapi.gate.rulebook import RulesInvalid
from itemsapi.testing import (
    assert_every_rule_is_enforced,
    caller_client,
    close_database,
    create_tables,
    testing_settings,
)
from support.boot import make_view
from support.plain_host import GUARDED, ORDERS_READ, PlainHost


def test_every_guarded_route_is_attacked(app: Flask) -> None:
    """Those of the application, and those that the layer brings."""
    report = assert_every_rule_is_enforced(app)
    assert set(report.guarded) >= {*GUARDED, "GET /auth/sessions", "POST /me/password"}


def test_the_report_counts_attacks_and_admitted_callers(app: Flask) -> None:
    """So that nothing passes because nothing was tried."""
    report = assert_every_rule_is_enforced(app)
    assert report.admitted == len(report.guarded)
    assert report.attacks > 25 * len(report.guarded)


def test_the_report_lists_the_public_routes_with_their_reasons(app: Flask) -> None:
    """A reader sees what is open."""
    report = assert_every_rule_is_enforced(app)
    assert report.public["GET /status"] == "load balancers ask"
    assert "POST /auth/login" in report.public


def test_the_report_lists_the_routes_whose_view_checks_the_credential(app: Flask) -> None:
    """The gate has nothing to refuse there."""
    report = assert_every_rule_is_enforced(app)
    assert report.checked_by_view == (
        "POST /auth/logout",
        "POST /auth/refresh",
        "POST /oauth/token",
    )


def test_the_report_is_one_line_without_failures(app: Flask) -> None:
    """As `print` shows it."""
    report = assert_every_rule_is_enforced(app)
    counts = f"{len(report.guarded)} guarded routes, {report.attacks} attacks, "
    assert str(report).startswith(counts)
    assert str(report).endswith("public routes, 0 failures")


def test_no_view_runs(host: PlainHost) -> None:
    """An attack on DELETE deletes nothing, even if it gets through."""
    assert_every_rule_is_enforced(host.app)
    assert host.calls == []


def test_the_views_run_afterwards(host: PlainHost) -> None:
    """They are put back."""
    assert_every_rule_is_enforced(host.app)
    caller_client(host.app, ["orders:read"]).get("/orders")
    assert host.calls == ["list_orders"]


def test_the_views_are_put_back_after_a_failure(host: PlainHost) -> None:
    """The failure is found at the end."""
    with pytest.raises(AssertionError):
        assert_every_rule_is_enforced(host.app, public=[])
    assert caller_client(host.app, ["orders:read"]).get("/orders").status_code == 200


@pytest.mark.postgres
@pytest.mark.dialect("postgresql")
def test_the_attacks_work_on_postgresql(database_url: str, tmp_path: Path) -> None:
    """Any database of the application."""
    host = PlainHost(tmp_path, database_url=database_url)
    assert set(attacked(host.app)) >= GUARDED


@pytest.mark.parametrize("algorithm", ["ES256", "RS256", "HS256"])
def test_the_attacks_work_with_each_algorithm(tmp_path: Path, algorithm: str) -> None:
    """EdDSA is the default (S-020)."""
    host = PlainHost(tmp_path, signing_alg=algorithm)
    assert set(attacked(host.app)) >= GUARDED


def test_the_rate_limit_does_not_stop_the_attacks(tmp_path: Path) -> None:
    """Each request comes from an address of its own, each caller is another user."""
    host = PlainHost(tmp_path, rate_limit="2/minute")
    assert set(attacked(host.app)) >= GUARDED


def test_the_client_of_the_project_is_not_used(app: Flask) -> None:
    """It may add a credential to each request."""

    class TokenClient(FlaskClient):
        """A client that is always signed in."""

        def open(self, *args: Any, **kwargs: Any) -> Any:
            """Fail."""
            raise NotImplementedError

    app.test_client_class = TokenClient
    assert assert_every_rule_is_enforced(app).attacks


def test_expected_public_routes_are_no_failure(app: Flask) -> None:
    """Those of the layer need not be listed."""
    assert assert_every_rule_is_enforced(app, public=["GET /status"]).failures == ()


@pytest.mark.parametrize(
    ("expected", "line"),
    [
        ([], "GET /status  -       is public, and not expected to be"),
        (
            ["GET /status", "GET /orders"],
            "GET /orders  -       is expected to be public, and is not",
        ),
    ],
    ids=["too many", "too few"],
)
def test_other_public_routes_are_failures(app: Flask, expected: list[str], line: str) -> None:
    """A rule that was changed to public by mistake is found by the list in the test."""
    with pytest.raises(AssertionError) as error:
        assert_every_rule_is_enforced(app, public=expected)
    assert line in str(error.value)


def test_an_unguarded_route_is_an_error(host: PlainHost) -> None:
    """The application is sealed first (S-002)."""
    host.app.get("/open")(host.view("open"))
    with pytest.raises(RulesInvalid, match="GET /open has no access rule"):
        assert_every_rule_is_enforced(host.app)


def attacked(app: Flask) -> Collection[str]:
    """Attack an application and close its database; return what was attacked."""
    try:
        return assert_every_rule_is_enforced(app).guarded
    finally:
        close_database(app)


def add_variables(host: PlainHost, rule: str, **options: Any) -> None:
    """Add a guarded route with these variables."""
    host.app.get(rule, **options)(signed_in(host.view("with_variables")))


@pytest.mark.parametrize(
    "rule",
    [
        "/a/<name>",
        "/a/<path:rest>/end",
        "/a/<int:number>/b/<uuid:key>",
        "/a/<float:price>",
        "/a/<any(red, 'blue'):color>",
        "/a/<string(length=7):code>",
        "/a/<string(minlength=3):code>/<int(min=500):number>",
        "/a/<int(fixed_digits=4):year>",
        "/a/<name>/",
        "/größe/<name>",
        "/a/<int(max=9):number>/<string(minlength=6):code>",
    ],
)
def test_an_address_is_found_for_each_kind_of_variable(host: PlainHost, rule: str) -> None:
    """By trying samples until the routing leads to the route."""
    add_variables(host, rule)
    assert f"GET {rule}" in assert_every_rule_is_enforced(host.app).guarded


class Month(BaseConverter):
    """A converter of the project."""

    regex = r"\d{4}-M\d\d"


def test_a_variable_that_no_sample_fits_is_a_failure(host: PlainHost) -> None:
    """A route that was not attacked is not passed over."""
    host.app.url_map.converters["month"] = Month
    add_variables(host, "/report/<month:month>")
    with pytest.raises(AssertionError, match=r"no address found; pass arguments=\{\.\.\.\}"):
        assert_every_rule_is_enforced(host.app)


def test_a_variable_has_the_value_of_the_test(host: PlainHost) -> None:
    """For converters whose values cannot be found by trying."""
    host.app.url_map.converters["month"] = Month
    add_variables(host, "/report/<month:month>")
    report = assert_every_rule_is_enforced(host.app, arguments={"month": "2026-M02"})
    assert "GET /report/<month:month>" in report.guarded


def test_a_route_with_defaults_is_attacked(host: PlainHost) -> None:
    """One of the two addresses redirects to the other."""
    view = signed_in(host.view("pages"))
    host.app.add_url_rule("/pages/", "pages", view, defaults={"page": 1})
    host.app.add_url_rule("/pages/<int:page>", "pages", view)
    report = assert_every_rule_is_enforced(host.app)
    assert {"GET /pages/", "GET /pages/<int:page>"} <= set(report.guarded)


def test_a_route_that_only_redirects_is_attacked(host: PlainHost) -> None:
    """It reaches no view, and is no failure."""
    view = signed_in(host.view("pages"))
    host.app.add_url_rule("/new", "new", view)
    host.app.add_url_rule("/old", "new", view, alias=True)
    assert "GET /old" in assert_every_rule_is_enforced(host.app).guarded


def test_the_methods_of_a_view_class_have_their_own_rules(host: PlainHost) -> None:
    """One is public; by a method override it must not lead to the other."""

    class Ledger(MethodView):
        @public("everybody may read")
        def post(self) -> str:
            raise NotImplementedError

        @requires(ORDERS_READ)
        def delete(self) -> str:
            raise NotImplementedError

    host.app.add_url_rule("/ledger", view_func=Ledger.as_view("ledger"))
    assert "DELETE /ledger" in assert_every_rule_is_enforced(host.app).guarded


def test_a_route_of_a_subdomain_is_attacked(tmp_path: Path) -> None:
    """At its own host name."""
    app = Flask("shop", static_folder=None, subdomain_matching=True)
    app.config["SERVER_NAME"] = "shop.example"
    AuthLayer(app, settings=testing_settings(tmp_path))
    app.add_url_rule("/admin", "admin", signed_in(make_view()), subdomain="office")
    create_tables(app)
    assert "GET /admin" in attacked(app)


def respond_instead() -> ResponseReturnValue:
    """Respond in a hook, as during maintenance."""
    return "closed", 402


def not_found() -> None:
    """Respond with 404 in a hook."""
    abort(404)


def override_method(app: Flask) -> None:
    """Let clients name another method, in front of the application."""
    inner = app.wsgi_app

    def outer(environ: dict[str, Any], start_response: Any) -> Any:
        environ["REQUEST_METHOD"] = environ.get(
            "HTTP_X_HTTP_METHOD_OVERRIDE", environ["REQUEST_METHOD"]
        )
        return inner(environ, start_response)

    app.wsgi_app = outer  # type: ignore[method-assign]  # as Flask's documentation does


def catch_everything(app: Flask) -> None:
    """Handle all errors, as many applications do."""
    app.errorhandler(Exception)(lambda error: (str(error), 500))
    app.errorhandler(401)(lambda _: ("log in, please", 401))


def slashes_do_not_count(app: Flask) -> None:
    """Route `/orders/` like `/orders`."""
    app.url_map.strict_slashes = False


@pytest.mark.parametrize(
    "habit",
    [
        lambda app: app.before_request(respond_instead),
        lambda app: app.before_request(not_found),
        override_method,
        catch_everything,
        slashes_do_not_count,
        lambda app: app.config.update(APPLICATION_ROOT="/shop"),
        lambda app: app.after_request(lambda response: response),
    ],
    ids=[
        "a hook responds", "a hook is not found", "method override", "error handlers",
        "slashes", "application root", "after request",
    ],
)  # fmt: skip
def test_habits_of_an_application_are_no_failures(
    host: PlainHost, habit: Callable[[Flask], object]
) -> None:
    """They do not get around the gate: no false alarm."""
    habit(host.app)
    assert set(assert_every_rule_is_enforced(host.app).guarded) >= GUARDED


def test_a_blueprint_of_ours_is_attacked(host: PlainHost) -> None:
    """Its views take arguments; no attack gets so far that they are read."""
    teas = Blueprint("teas", __name__, url_prefix="/teas")

    @teas.put("/<int:number>")
    @requires(ORDERS_READ)
    @teas.response(204)
    def put_tea(number: int) -> None:
        """Put a tea."""
        raise NotImplementedError(number, request.path)

    host.layer.api.register_blueprint(teas)
    assert "PUT /teas/<int:number>" in assert_every_rule_is_enforced(host.app).guarded
