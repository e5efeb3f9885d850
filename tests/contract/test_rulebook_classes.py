"""Class-based views need rules too, on the class or on each method (S-002)."""

from flask import Flask
from flask.views import MethodView, View

from itemsapi import public, requires, signed_in
from itemsapi.tokens.scopes import ITEMS_READ, ITEMS_WRITE
from support.boot import Build, boot, boot_error, non_wrapping_decorator, wrapping_decorator


def register(view_class: type[View]) -> Build:
    """Return a function that registers a class-based view."""
    return lambda app: app.add_url_rule("/tea", view_func=view_class.as_view("tea"))


def test_each_method_of_a_class_may_have_its_rule() -> None:
    """MethodView: GET and HEAD by one rule, POST by another."""

    class Tea(MethodView):
        @requires(ITEMS_READ)
        def get(self) -> str:
            return ""

        @requires(ITEMS_WRITE)
        def post(self) -> str:
            return ""

    found = boot(register(Tea))
    assert found == {
        "GET /tea": "items:read", "HEAD /tea": "items:read", "POST /tea": "items:write"
    }  # fmt: skip


def test_a_method_without_a_rule_stops_the_boot() -> None:
    """MethodView: the rule of GET does not cover POST (S-002)."""

    class Tea(MethodView):
        @signed_in
        def get(self) -> str:
            return ""

        def post(self) -> str:
            return ""

    fault = boot_error(register(Tea))
    assert "route POST /tea has no access rule" in fault
    assert "rules={'POST tea': ...}" in fault  # the key 'tea' would be a second rule of GET


def test_a_method_that_a_class_does_not_have_stops_the_boot() -> None:
    """S-002: the rule of GET applies to HEAD only, whatever methods the route has."""

    class Tea(MethodView):
        @signed_in
        def get(self) -> str:
            return ""

    def build(app: Flask) -> None:
        app.add_url_rule("/tea", view_func=Tea.as_view("tea"), methods=["GET", "PUT"])

    assert "route PUT /tea has no access rule" in boot_error(build)


def test_a_class_may_have_one_rule_for_all_methods() -> None:
    """MethodView: on the class, or among its `decorators`."""

    @signed_in
    class Tea(MethodView):
        def get(self) -> str:
            return ""

    class Chai(MethodView):
        decorators = [signed_in, wrapping_decorator]  # noqa: RUF012 - Flask declares it so

        def get(self) -> str:
            return ""

    assert [set(boot(register(one)).values()) for one in (Tea, Chai)] == [{"signed in"}] * 2


def test_a_rule_of_the_class_and_one_of_the_method_stop_the_boot() -> None:
    """It must be clear which rule applies (S-002)."""

    @public("a test")
    class Tea(MethodView):
        @signed_in
        def get(self) -> str:
            return ""

    assert "more than one" in boot_error(register(Tea))


def test_a_rule_among_hiding_decorators_stops_the_boot() -> None:
    """A decorator that hides the wrapped view hides its rule (S-002)."""

    class Tea(MethodView):
        decorators = [signed_in, non_wrapping_decorator]  # noqa: RUF012 - Flask declares it so

        def get(self) -> str:
            return ""

    assert "no access rule" in boot_error(register(Tea))


def test_a_rule_is_inherited() -> None:
    """MethodView: from the base class."""

    @signed_in
    class Guarded(MethodView):
        pass

    class Tea(Guarded):
        def get(self) -> str:
            return ""

    assert set(boot(register(Tea)).values()) == {"signed in"}


def test_two_inherited_rules_stop_the_boot() -> None:
    """Otherwise a public base class before a guarded one would make the route public (S-002)."""

    @public("a test")
    class Open:
        pass

    @signed_in
    class Guarded(MethodView):
        def get(self) -> str:
            return ""

    class Tea(Open, Guarded):
        pass

    assert "more than one" in boot_error(register(Tea))


def test_a_rule_on_a_subclass_does_not_apply_to_its_base() -> None:
    """A rule on a class does not change the base class."""

    class Base(MethodView):
        def get(self) -> str:
            return ""

    signed_in(type("Tea", (Base,), {}))
    assert "no access rule" in boot_error(register(Base))


def test_an_overridden_method_needs_its_own_rule() -> None:
    """The rule of the replaced method does not apply (S-002)."""

    class Guarded(MethodView):
        @signed_in
        def get(self) -> str:
            return ""

    class Tea(Guarded):
        def get(self) -> str:
            return "more"

    assert "no access rule" in boot_error(register(Tea))


def test_a_plain_view_class_needs_a_rule() -> None:
    """A rule on `dispatch_request` is ignored, so the boot stops (S-002)."""

    class Tea(View):
        @signed_in
        def dispatch_request(self) -> str:
            return ""

    assert "no access rule" in boot_error(register(Tea))
