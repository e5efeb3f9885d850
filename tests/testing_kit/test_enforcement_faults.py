"""`assert_every_rule_is_enforced` finds faults that were planted in an application or its gate."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, Request, Response, request, request_started

from itemsapi import public, signed_in
from itemsapi.extension import AuthLayer, gate_of
from itemsapi.gate.decorators import RULES
from itemsapi.gate.gate import Gate
from itemsapi.gate.guarded_views import mark_admitted
from itemsapi.gate.rules import Authenticated, Rule
from itemsapi.problems import ScopeMissing, TokenInvalid
from itemsapi.testing import (
    RulesNotEnforced,
    assert_every_rule_is_enforced,
    close_database,
    create_tables,
    testing_settings,
)
from itemsapi.testing.tokens import decode_part
from itemsapi.tokens.claims import Claims
from support.plain_host import PlainHost


def failures(app: Flask, route: str = "") -> dict[str, str]:
    """Attack an application with a fault; return the outcome of each failed attack.

    `route` limits them to those on one route.
    """
    with pytest.raises(RulesNotEnforced) as error:
        assert_every_rule_is_enforced(app)
    found = error.value.report.failures
    return {failure.attack: failure.outcome for failure in found if failure.route.startswith(route)}


Verify = Callable[[str], Claims]


def replace_verification(host: PlainHost, change: Callable[[Verify], Verify]) -> None:
    """Plant a fault where access tokens are verified."""
    codec = host.services.token_codec
    codec.verify_access_token = change(codec.verify_access_token)  # type: ignore[method-assign,assignment]


def ignore_revocations(host: PlainHost) -> None:
    """Accept revoked tokens."""
    feed = host.services.revocation_feed
    feed.check = lambda **_: None  # type: ignore[method-assign]


def believe_every_signature(host: PlainHost) -> None:
    """Accept each token that looks like one of ours."""

    def verify(token: str) -> Claims:
        try:
            payload = decode_part(token, 1)
            names = ("sub", "sid", "gen", "epoch", "jti", "iat", "exp", "auth_time")
            copied = {name: payload[name] for name in names}
        except (ValueError, KeyError, IndexError):
            raise TokenInvalid from None
        scopes = frozenset(payload["scope"].split())
        return Claims(**copied, amr=(), scopes=scopes, raw=payload, header={})

    replace_verification(host, lambda _: verify)


def ignore_the_clock(host: PlainHost) -> None:
    """Check each token at the time of its issue."""

    def around(verify: Verify) -> Verify:
        def verify_then(token: str) -> Claims:
            host.clock.current, now = issue_of(token), host.clock.current
            try:
                return verify(token)
            finally:
                host.clock.current = now

        return verify_then

    replace_verification(host, around)


def issue_of(token: str) -> datetime:
    """Return when a token was issued."""
    try:
        return datetime.fromtimestamp(decode_part(token, 1)["iat"], UTC)
    except (ValueError, KeyError, IndexError):
        raise TokenInvalid from None


def believe_nobody(host: PlainHost) -> None:
    """Refuse every token."""

    def verify(_: str) -> Claims:
        raise TokenInvalid

    replace_verification(host, lambda _: verify)


def add_scopes(host: PlainHost) -> None:
    """Take every user for an admin."""

    def around(verify: Verify) -> Verify:
        return lambda token: replace(verify(token), scopes=frozenset(host.services.scopes()))

    replace_verification(host, around)


FORGED = {
    "another key under the same kid",
    "a key that is not known",
    "alg none",
    "no signature",
    "changed payload",
    "HS256 with the public key",
}
REVOKED = {"revoked session", "tokens of the user revoked"}
TOO_FEW = {"no scopes", "without orders:read"}


@pytest.mark.parametrize(
    ("fault", "attacks"),
    [
        (believe_every_signature, {*FORGED, "of another issuer", "for another audience"}),
        (ignore_revocations, REVOKED),
        (ignore_the_clock, {"expired", "not valid yet"}),
        (believe_nobody, {"what the rule requires"}),
        (add_scopes, TOO_FEW),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_fault_of_the_verification_is_found(
    host: PlainHost, fault: Callable[[PlainHost], None], attacks: set[str]
) -> None:
    """By the attacks that it lets through."""
    fault(host)
    assert failures(host.app).keys() >= attacks


def test_a_view_that_would_have_run_is_named(host: PlainHost) -> None:
    """The row says which view."""
    add_scopes(host)
    found = failures(host.app, "GET /orders")["no scopes"]
    assert found == "reached the view GET list_orders, not 403 insufficient_scope"


def test_a_refusal_of_the_wrong_kind_is_found(host: PlainHost) -> None:
    """A client would not know that it has to refresh the token (RFC 6750 section 3.1)."""

    def verify(_: str) -> Claims:
        raise ScopeMissing("orders:read")

    replace_verification(host, lambda _: verify)
    found = failures(host.app, "GET /orders")["expired"]
    assert found == "403 insufficient_scope, not 401 invalid_token"


def test_a_refusal_without_a_challenge_is_found(host: PlainHost) -> None:
    """A hook of the application removes it; each 401 has one (RFC 9110 section 11.6.1)."""

    def remove(response: Response) -> Response:
        response.headers.pop("WWW-Authenticate", None)
        return response

    host.app.after_request(remove)
    found = failures(host.app, "GET /orders")["no credential"]
    assert found == "401 without the challenge of the gate, not 401"


def test_a_long_table_is_cut(host: PlainHost) -> None:
    """A gate that is broken altogether fails nearly all attacks."""
    believe_every_signature(host)
    with pytest.raises(
        AssertionError, match=r"[0-9]{3} failures(?s:.*)\n\.\.\. and [0-9]+ more$"
    ) as error:
        assert_every_rule_is_enforced(host.app)
    assert str(error.value).count("\n") == 102


def test_no_view_runs_although_the_gate_has_a_fault(host: PlainHost) -> None:
    """An attack that gets through changes nothing."""
    add_scopes(host)
    failures(host.app)
    assert host.calls == []


class LaxRule(Rule):
    """A rule that asks for fewer scopes than it declares."""

    def check(self, caller: Authenticated | None) -> None:
        """Accept every token."""
        Rule("signed in").check(caller)


def test_a_rule_that_checks_fewer_scopes_than_declared_is_found(host: PlainHost) -> None:
    """What is attacked is what the access matrix and the document show."""
    view = host.view("lax")
    setattr(view, RULES, (LaxRule("scopes", ("orders:read", "orders:write")),))
    host.app.get("/lax")(view)
    found = failures(host.app, "GET /lax")
    assert found.keys() == {"no scopes", "without orders:read", "without orders:write"}


def test_a_muted_gate_is_found(host: PlainHost) -> None:
    """The guard of each view stops the request, but it is no refusal of the gate."""
    gate = gate_of(host.app)
    request_started.disconnect(gate.check_request, sender=host.app)
    found = failures(host.app, "GET /orders")
    assert found["no credential"] == "503, not 401"
    assert found["what the rule requires"] == "503, and should get in"


def lead_to_another_view(app: Flask) -> None:
    """Add a hook that gives each request the route of another view."""

    def rewrite() -> None:
        (request.url_rule,) = app.url_map.iter_rules("show_caller")

    app.before_request(rewrite)


def test_a_hook_that_leads_to_another_view_is_found(host: PlainHost) -> None:
    """The guard stops it, so the caller gets an error."""
    lead_to_another_view(host.app)
    outcome = failures(host.app, "GET /orders")["what the rule requires"]
    assert outcome == "passed the gate, 503, and should get in"


def test_an_error_handler_does_not_hide_a_hook_that_leads_to_another_view(host: PlainHost) -> None:
    """The guard's response is not rendered by it."""
    lead_to_another_view(host.app)
    host.app.errorhandler(Exception)(lambda _: ("sorry", 500))
    outcome = failures(host.app, "GET /orders")["what the rule requires"]
    assert outcome == "passed the gate, 503, and should get in"


def test_a_route_that_was_added_late_is_found(host: PlainHost) -> None:
    """The gate refuses it, so nobody can use it (S-002)."""
    AuthLayer.seal(host.app)
    host.app.get("/late")(signed_in(host.view("late")))
    (outcome,) = failures(host.app, "GET /late").values()
    assert outcome == "was added after the application was sealed; nobody can use it"


def test_a_view_that_was_replaced_late_is_found(host: PlainHost) -> None:
    """The gate refuses the caller."""
    AuthLayer.seal(host.app)
    host.app.view_functions["list_orders"] = host.view("another")
    assert "what the rule requires" in failures(host.app, "GET /orders")


def test_a_dictionary_in_place_of_the_guarded_views_is_found(host: PlainHost) -> None:
    """With the views as they were before the guard."""
    AuthLayer.seal(host.app)
    host.app.view_functions = {
        name: getattr(view, "__wrapped__", view) for name, view in host.app.view_functions.items()
    }
    assert "what the rule requires" in failures(host.app, "GET /orders")


Receiver = Callable[[Flask, Gate], None]
FaultyCheck = Callable[[Request], bool]


def replace_receiver(host: PlainHost, check: Receiver) -> None:
    """Let another function receive the signal of each request in place of the gate."""
    AuthLayer.seal(host.app)
    gate = gate_of(host.app)
    request_started.disconnect(gate.check_request, sender=host.app)

    def receive(app: Flask, **_: object) -> None:
        check(app, gate)

    host.app.extensions["faulty"] = receive  # the signal keeps a weak reference
    request_started.connect(receive, sender=host.app)


def open_gate_if(host: PlainHost, condition: FaultyCheck) -> None:
    """Let the gate admit each request for which a condition is true, without a check."""

    def check(app: Flask, gate: Gate) -> None:
        if request.url_rule is not None and condition(request):
            view = app.view_functions[request.url_rule.endpoint]
            mark_admitted(request, view, request.method, Rule("public"))
        else:
            gate.check_request(app)

    replace_receiver(host, check)


def test_a_gate_that_leads_to_another_view_is_found(host: PlainHost) -> None:
    """And admits the request to that one."""

    def check(app: Flask, gate: Gate) -> None:
        gate.check_request(app)
        if request.path == "/orders":
            (request.url_rule,) = app.url_map.iter_rules("show_caller")
            view = app.view_functions["show_caller"]
            mark_admitted(request, view, request.method, Rule("public"))

    replace_receiver(host, check)
    outcome = failures(host.app, "GET /orders")["what the rule requires"]
    assert outcome == "reached the view GET show_caller, and should get in"


@pytest.mark.parametrize(
    ("condition", "attack"),
    [
        (lambda r: r.method == "HEAD", "HEAD instead"),
        (lambda r: "X-HTTP-Method-Override" in r.headers, "POST with X-HTTP-Method-Override"),
        (lambda r: "_method" in r.args, "POST with ?_method"),
        (lambda r: r.path == "/slash", "path '/slash'"),
        (lambda r: "access_token" in r.args, "token in the query"),
        (lambda r: "access_token" in r.cookies, "token in the cookie access_token"),
        (
            lambda r: r.headers.get("Authorization", "").startswith("Basic"),
            "Basic instead of Bearer",
        ),
        (lambda r: r.headers.get("Authorization") == "Bearer", "no token"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_way_around_the_rule_is_found(
    host: PlainHost, condition: FaultyCheck, attack: str
) -> None:
    """A gate that looks away for some requests."""
    options: dict[str, Any] = {"methods": ["GET", "POST"], "strict_slashes": False}
    host.app.add_url_rule("/slash/", "slash", signed_in(host.view("slash")), **options)
    open_gate_if(host, condition)
    assert attack in failures(host.app, "GET /slash/")


def test_a_public_twin_of_a_guarded_route_is_found(host: PlainHost) -> None:
    """By the list of public routes in the test."""
    host.app.get("/orders/")(public("a mistake")(host.view("twin")))
    with pytest.raises(AssertionError, match=r"GET /orders/ +- +is public"):
        assert_every_rule_is_enforced(host.app, public=["GET /status"])


def test_an_application_without_a_guarded_route_of_its_own_is_found(tmp_path: Path) -> None:
    """A blueprint may be missing: that only the layer was attacked is no success."""
    app = Flask("shop", static_folder=None)
    AuthLayer(app, settings=testing_settings(tmp_path))
    create_tables(app)
    with pytest.raises(AssertionError, match=r"No route of shop needs a token"):
        assert_every_rule_is_enforced(app)
    close_database(app)
