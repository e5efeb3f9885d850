"""Every route has exactly one access rule, or the application does not start (S-002)."""

import functools
import itertools
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import flask
import pytest
from hypothesis import given
from hypothesis import strategies as st

from itemsapi import Blueprint, Scope, create_app, public, requires, signed_in
from itemsapi.gate.decorators import declared_rules
from itemsapi.gate.rulebook import Rulebook, RulesInvalid
from itemsapi.gate.rules import Rule
from itemsapi.testing import testing_settings
from itemsapi.tokens.scopes import ITEMS_READ, USERS_WRITE
from support.boot import boot, boot_error, make_view, non_wrapping_decorator, wrapping_decorator

TEA = Scope("tea:pour", "Pour tea")


def test_a_route_without_a_rule_stops_the_boot_and_is_named() -> None:
    """One line, with method, path and what to do (S-002)."""
    line = boot_error(lambda app: app.add_url_rule("/tea", "tea", make_view()))
    assert line == (
        "route GET /tea has no access rule; give it exactly one of @requires, @signed_in, @public,"
        " or AuthLayer(app, rules={'tea': ...})"
    )


@pytest.mark.parametrize(
    "second",
    [signed_in, requires(ITEMS_READ), public("tea for all")],
    ids=["signed in", "requires", "public"],
)
def test_two_rules_stop_the_boot(second: Callable[..., Any]) -> None:
    """The order of decorators must not decide which rule applies (S-002)."""
    for view in (second(signed_in(make_view())), signed_in(second(make_view()))):
        line = boot_error(
            functools.partial(flask.Flask.add_url_rule, rule="/tea", endpoint="tea", view_func=view)
        )
        assert "has more than one access rule" in line


def test_an_unknown_scope_stops_the_boot() -> None:
    """An unknown scope would reject all callers, or is a typing error (S-002)."""
    line = boot_error(
        lambda app: app.add_url_rule("/tea", "tea", requires("tea:drink")(make_view()))
    )
    assert line == (
        "route GET /tea demands the unknown scope tea:drink;"
        " declare it, Scope('tea:drink', 'what it permits')"
    )


@pytest.mark.parametrize("odd", [("items:read items:write",), (["items:read"],), (None,), ("",)])
def test_a_scope_that_is_no_name_stops_the_boot(odd: tuple[Any, ...]) -> None:
    """No `Scope` can declare it (S-002, S-085)."""
    with pytest.raises((TypeError, ValueError), match=r"scope; write (a Scope|resource:action)"):
        requires(*odd)


def test_a_scope_with_two_meanings_stops_the_boot() -> None:
    """Two blueprints use one name for different permissions (S-002)."""
    other = Scope("tea:pour", "Pour it away")

    def build(app: flask.Flask) -> None:
        app.add_url_rule("/pour", "pour", requires(TEA)(make_view()))
        app.add_url_rule("/away", "away", requires(other)(make_view()))

    assert boot_error(build) == (
        f"scope tea:pour is declared as {TEA.description!r} and as 'Pour it away';"
        " declare it once, and use that object everywhere"
    )


def test_a_route_of_any_method_stops_the_boot() -> None:
    """Werkzeug accepts every method if `methods` is None (S-002)."""

    def build(app: flask.Flask) -> None:
        app.view_functions["tea"] = signed_in(make_view())
        app.url_map.add(app.url_rule_class("/tea", endpoint="tea", methods=None))

    assert boot_error(build) == "route /tea takes any method; name its methods"


def test_a_decorator_without_its_scopes_stops_the_boot() -> None:
    """`@requires` without parentheses would make a view that decorates (S-002)."""
    requires_untyped: Any = requires
    with pytest.raises(TypeError, match=r"function is no scope; .* @requires\(ORDERS_READ\)"):
        requires_untyped(make_view())


@pytest.mark.parametrize(
    "odd",
    [requires, lambda: public(""), lambda: public(" ")],
    ids=["no scope", "no reason", "blank reason"],
)
def test_an_empty_rule_is_rejected_at_once(odd: Callable[[], object]) -> None:
    """A rule without scope or reason is rejected where it is written."""
    with pytest.raises(ValueError, match=r"signed_in|reason"):
        odd()


def test_public_without_parentheses_is_rejected_at_once() -> None:
    """The reason is not optional."""
    public_untyped: Any = public
    with pytest.raises(ValueError, match="reason"):
        public_untyped(make_view())


def test_the_static_files_of_a_blueprint_stop_the_boot(tmp_path: Path) -> None:
    """Flask adds that route by itself, without an access rule (S-002)."""
    blp = flask.Blueprint("tea", __name__, static_folder=str(tmp_path), static_url_path="/leaves")
    assert "/leaves/<path:filename> has no access rule" in boot_error(
        lambda app: app.register_blueprint(blp)
    )


def test_the_static_folder_of_the_application_stops_the_boot() -> None:
    """`create_app` creates the application without one (S-001)."""
    app = flask.Flask("test", static_folder="static")
    with pytest.raises(RulesInvalid, match="/static/"):
        Rulebook(app).require_complete()


def test_head_follows_get_and_options_needs_no_rule() -> None:
    """RFC 9110 section 9.3.2 (S-005)."""
    found = boot(lambda app: app.add_url_rule("/tea", "tea", signed_in(make_view())))
    assert found == {"GET /tea": "signed in", "HEAD /tea": "signed in"}


def test_one_view_may_have_two_routes() -> None:
    """The rule belongs to the view."""

    def build(app: flask.Flask) -> None:
        guarded = requires(ITEMS_READ)(make_view())
        app.add_url_rule("/tea", "tea", guarded, methods=["GET"])
        app.add_url_rule("/chai", "chai", guarded, methods=["POST"])

    assert set(boot(build).values()) == {"items:read"}


def test_one_view_with_a_rule_for_each_route_stops_the_boot() -> None:
    """A rule is stored on the function, so its routes cannot have different rules (S-002)."""

    def build(app: flask.Flask) -> None:
        shared = make_view()
        app.add_url_rule("/open", "open", public("a test")(shared))
        app.add_url_rule("/shut", "shut", signed_in(shared))

    assert "more than one" in boot_error(build)


def test_a_public_variant_opens_no_other_route() -> None:
    """A wrapper may be public; the wrapped view is not, and has no rule of its own (S-002)."""

    def build(app: flask.Flask) -> None:
        secret = make_view()
        app.add_url_rule("/secret", "secret", secret)
        app.add_url_rule("/short", "short", public("a test")(wrapping_decorator(secret)))

    assert "GET /secret has no access rule" in boot_error(build)


def test_a_public_variant_of_a_guarded_view_stops_the_boot() -> None:
    """A view and its wrappers share one rule (S-002)."""

    def build(app: flask.Flask) -> None:
        guarded = signed_in(make_view())
        app.add_url_rule("/short", "short", public("a test")(wrapping_decorator(guarded)))

    assert "more than one" in boot_error(build)


def test_a_rule_above_a_wrapper_above_the_route_is_not_lost() -> None:
    """The second rule would have no effect, so the boot stops (S-002)."""

    def build(app: flask.Flask) -> None:
        requires(USERS_WRITE)(wrapping_decorator(app.get("/tea")(signed_in(make_view()))))

    assert "more than one" in boot_error(build)


def test_wrappers_that_wrap_each_other_end_the_search() -> None:
    """The search for rules terminates."""

    def build(app: flask.Flask) -> None:
        first, second = wrapping_decorator(make_view()), wrapping_decorator(make_view())
        vars(first)["__wrapped__"], vars(second)["__wrapped__"] = second, first
        app.add_url_rule("/tea", "tea", first)

    assert "no access rule" in boot_error(build)


def test_each_rule_is_found_once_in_the_layers_of_a_view() -> None:
    """A view, what it wraps, and what that wraps; a cycle of wrappers ends the search."""
    inner = make_view()
    middle = wrapping_decorator(inner)
    outer = signed_in(wrapping_decorator(middle))
    vars(inner)["__wrapped__"] = outer
    assert [str(rule) for rule in declared_rules(outer)] == ["signed in"]
    assert [str(rule) for rule in declared_rules(middle)] == ["signed in"]


def test_the_rule_of_a_wrapper_alone_is_not_enough() -> None:
    """The view that it wraps may be registered without it (S-002)."""
    inner = make_view()
    signed_in(wrapping_decorator(inner))
    assert declared_rules(inner) == ()


def test_the_rule_of_a_wrapper_counts_beside_that_of_the_view() -> None:
    """One of the two would have no effect (S-002)."""
    inner = signed_in(make_view())
    requires(USERS_WRITE)(wrapping_decorator(inner))
    assert [str(rule) for rule in declared_rules(inner)] == ["signed in", "users:write"]


def test_builtins_and_partials_may_be_views() -> None:
    """A function that cannot have attributes is wrapped by one that can."""

    def build(app: flask.Flask) -> None:
        app.add_url_rule("/tea", "tea", signed_in(wrapping_decorator(len)))
        app.add_url_rule("/chai", "chai", signed_in(functools.partial(make_view())))

    assert set(boot(build).values()) == {"signed in"}


def apply_step(
    step: str, blueprint: flask.Blueprint, view: Callable[..., Any]
) -> Callable[..., Any]:
    """Apply one decorator to a view."""
    steps: dict[str, Callable[..., Callable[..., Any]]] = {
        "rule": requires(ITEMS_READ),
        "wrapping": wrapping_decorator,
        "again": wrapping_decorator,
        "hiding": non_wrapping_decorator,
        "route": blueprint.route("/tea"),
    }
    return steps[step](view)


@given(
    order=st.permutations(["rule", "wrapping", "again", "hiding"]),
    length=st.integers(0, 4),
    at=st.integers(0, 4),
    kind=st.sampled_from([flask.Blueprint, Blueprint]),
)
def test_no_order_of_decorators_opens_a_route(
    order: list[str], length: int, at: int, kind: type[flask.Blueprint]
) -> None:
    """Either the route has its rule, or the boot stops (S-002)."""
    steps = order[:length]
    steps.insert(at, "route")
    found = boot(lambda app: app.register_blueprint(decorated(kind("page", __name__), steps)))
    guarded = {"GET /tea": "items:read", "HEAD /tea": "items:read"}
    assert found == guarded or "no access rule" in found.get("stopped", "")


def decorated(blueprint: flask.Blueprint, steps: Iterable[str]) -> flask.Blueprint:
    """Register a view with decorators in this order, from the inside out."""
    view: Callable[..., Any] = make_view()
    for step in steps:
        view = apply_step(step, blueprint, view)
    return blueprint


@pytest.mark.parametrize("order", list(itertools.permutations(["rule", "route", "wrapping"])))
def test_wrappers_beneath_the_route_change_nothing(order: tuple[str, ...]) -> None:
    """Only a rule on a wrapper above the route does not belong to the route (S-002)."""
    line = boot_error(
        lambda app: app.register_blueprint(decorated(flask.Blueprint("p", "p"), order))
    )
    assert bool(line) == (order == ("route", "wrapping", "rule"))


def test_nested_blueprints_are_read() -> None:
    """A route needs a rule at any depth of nesting (S-002)."""

    def build(app: flask.Flask) -> None:
        outer, inner = flask.Blueprint("outer", __name__), flask.Blueprint("inner", __name__)
        inner.get("/tea")(make_view())
        outer.register_blueprint(inner, url_prefix="/deep")
        app.register_blueprint(outer, url_prefix="/very")

    assert "route GET /very/deep/tea has no access rule" in boot_error(build)


def test_a_blueprint_that_is_registered_twice_has_its_rule_at_both_paths() -> None:
    """It has two names and two URL prefixes."""

    def build(app: flask.Flask) -> None:
        blueprint = flask.Blueprint("page", __name__)
        blueprint.get("/tea")(signed_in(make_view()))
        app.register_blueprint(blueprint, url_prefix="/a", name="a")
        app.register_blueprint(blueprint, url_prefix="/b", name="b")

    assert boot(build).keys() == {"GET /a/tea", "HEAD /a/tea", "GET /b/tea", "HEAD /b/tea"}


def test_routes_that_an_extension_adds_are_read() -> None:
    """A blueprint can add routes to the application when it is registered (S-002)."""

    def build(app: flask.Flask) -> None:
        blueprint = flask.Blueprint("page", __name__)
        blueprint.record(lambda state: state.app.add_url_rule("/admin", "admin", make_view()))
        app.register_blueprint(blueprint)

    assert "route GET /admin has no access rule" in boot_error(build)


def test_an_unknown_kind_of_rule_rejects_all_requests() -> None:
    """For example a rule that is created by hand and misspelt (S-002)."""
    odd: Any = "sigend in"
    assert Rule(odd).accepts_access_token is False
    with pytest.raises(Exception, match="Authorization"):
        Rule(odd).check(None)


def test_create_app_raises_for_a_blueprint_without_rules(tmp_path: Path) -> None:
    """The application does not start (S-002, R-24)."""
    blueprint = flask.Blueprint("tea", __name__)
    blueprint.get("/tea")(make_view())
    with pytest.raises(RulesInvalid, match="GET /tea"):
        create_app(testing_settings(tmp_path), blueprints=[blueprint])
