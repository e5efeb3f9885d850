"""`assert_every_rule_is_enforced` finds faults of `on=` and `within=`."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from itemsapi import current_caller, requires
from itemsapi.gate.decorators import RULES
from itemsapi.gate.rules import Authenticated, Rule
from itemsapi.testing import RulesNotEnforced, assert_every_rule_is_enforced
from support.plain_host import ORDERS_READ, PlainHost

OWNERS = {1: "somebody else"}
ROUTE = "GET /orders/<int:number>"


def owns(number: int) -> bool:
    """Return whether the order is the caller's."""
    return OWNERS.get(number) == current_caller().user_id


def add_route(host: PlainHost, check: Callable[..., Any]) -> Flask:
    """Add a route whose rule checks the object."""
    host.app.get("/orders/<int:number>")(requires(ORDERS_READ, on=check)(host.view("show")))
    return host.app


def failures(app: Flask, **options: Any) -> set[tuple[str, str, str]]:
    """Attack an application with a fault; return the failures."""
    with pytest.raises(RulesNotEnforced) as error:
        assert_every_rule_is_enforced(app, **options)
    return {(one.route, one.attack, one.outcome) for one in error.value.report.failures}


def test_an_object_check_that_refuses_strangers_is_no_failure(host: PlainHost) -> None:
    """The caller of the kit is new and owns nothing; the 404 is what should come (S-081)."""
    app = add_route(host, owns)
    assert ROUTE in assert_every_rule_is_enforced(app, arguments={"number": 1}).guarded


@pytest.mark.parametrize(
    "check",
    [lambda number: number > 0, lambda number: number in OWNERS],
    ids=["always true", "exists"],
)
def test_an_object_check_that_admits_strangers_is_found(
    host: PlainHost, check: Callable[..., Any]
) -> None:
    """For GET and for HEAD."""
    found = failures(add_route(host, check), arguments={"number": 1})
    reached = "reached the view GET show, not 404"
    assert (ROUTE, "another user's object", reached) in found
    assert len(found) == 2


def test_an_object_of_everybody_is_no_failure(host: PlainHost) -> None:
    """The test says that strangers may reach it."""
    app = add_route(host, lambda number: number > 0)
    assert assert_every_rule_is_enforced(app, shared=[ROUTE]).failures == ()


@pytest.mark.parametrize("route", ["GET /orders", "GET /nowhere"])
def test_a_shared_route_without_a_check_is_found(host: PlainHost, route: str) -> None:
    """A line that is left over would hide the next route of that name."""
    app = add_route(host, owns)
    expected = "is expected to be shared, and has no on=, or does not exist"
    assert failures(app, shared=[route]) == {(route, "-", expected)}


def test_an_object_check_that_fails_is_found(host: PlainHost) -> None:
    """With an argument that the kit found, it raises: the response would be a 503."""
    found = failures(add_route(host, lambda number: OWNERS[number + 1]))
    assert (ROUTE, "another user's object", "passed the gate, 503, not 404") in found


def test_an_object_check_gets_no_more_scopes_than_the_rule_names(host: PlainHost) -> None:
    """One that lets operators in is no failure: the stranger is none."""
    app = add_route(host, lambda number: owns(number) or current_caller().may("orders:write"))
    assert ROUTE in assert_every_rule_is_enforced(app).guarded


class ForgetsTheSignIn(Rule):
    """A rule that does not look at the age of the sign-in."""

    def check_sign_in(self, caller: Authenticated | None, now: int) -> None:
        """Accept any age."""


class CountsInMinutes(Rule):
    """A rule whose limit has the wrong unit."""

    def check_sign_in(self, caller: Authenticated | None, now: int) -> None:
        """Take the seconds for minutes."""
        super().check_sign_in(caller, now // 60)


@pytest.mark.parametrize("kind", [ForgetsTheSignIn, CountsInMinutes])
def test_a_rule_that_ignores_the_sign_in_is_found(host: PlainHost, kind: type[Rule]) -> None:
    """`within=` is declared and not checked (RFC 9470)."""
    view = host.view("close_account")
    setattr(view, RULES, (kind("signed in", within_seconds=300),))
    host.app.delete("/account")(view)
    outcome = "reached the view DELETE close_account, not 401 insufficient_user_authentication"
    assert failures(host.app) == {("DELETE /account", "signed in too long ago", outcome)}
