"""Routes without a rule: refused at boot by `seal`, otherwise one by one."""

import logging
from collections.abc import Callable

import pytest
from flask import Flask

from itemsapi import AuthLayer, public, requires
from itemsapi.gate.rulebook import RulesInvalid
from support.app_factory import Backend

Protect = Callable[..., Backend]

pytestmark = pytest.mark.dialect("sqlite")


def make_host() -> Flask:
    """Return an application with one guarded route and two without a rule."""
    app = Flask("host", static_folder=None)
    app.add_url_rule("/good", view_func=public("all may")(lambda: "good"), endpoint="good")
    app.add_url_rule("/open", view_func=lambda: "open", endpoint="open")
    app.add_url_rule("/wide", view_func=lambda: "wide", endpoint="wide", methods=["POST"])
    return app


def test_sealing_names_every_route_without_a_rule(protect: Protect) -> None:
    """The factory fails with all of them at once (S-002)."""
    app = make_host()
    protect(app)
    with pytest.raises(RulesInvalid) as raised:
        AuthLayer.seal(app)
    assert [line.split()[1:3] for line in str(raised.value).splitlines()] == [
        ["GET", "/open"],
        ["POST", "/wide"],
    ]


def test_sealing_says_which_line_to_add(protect: Protect) -> None:
    """Both ways to give a rule."""
    app = make_host()
    protect(app)
    with pytest.raises(RuntimeError, match=r"@requires.*rules=\{'open': \.\.\.\}"):
        AuthLayer.seal(app)


def test_an_unsealed_application_refuses_only_routes_without_a_rule(protect: Protect) -> None:
    """The others work (S-002)."""
    client = protect(make_host()).client()
    codes = [client.get("/good").status_code, client.get("/open").status_code]
    assert [*codes, client.post("/wide").status_code] == [200, 403, 403]


def test_an_unsealed_application_logs_the_routes_without_a_rule(
    protect: Protect, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """The operator finds them at the first request."""
    caplog.set_level(logging.ERROR)
    protect(make_host()).client().get("/good")
    logged = capsys.readouterr().err + caplog.text
    assert "access_rule_fault" in logged
    assert "route GET /open has no access rule" in logged


@pytest.mark.parametrize("switch", ["testing", "debug"])
def test_a_route_without_a_rule_raises_for_its_developer(protect: Protect, switch: str) -> None:
    """In testing and debug mode the request fails with the advice."""
    app = make_host()
    setattr(app, switch, True)
    client = protect(app).client()
    with pytest.raises(RulesInvalid, match="GET /open has no access rule"):
        client.get("/open")
    assert client.get("/good").status_code == 200


def test_rules_are_given_by_endpoint_path_and_method(protect: Protect) -> None:
    """For routes whose code one does not own (S-002)."""
    rules = {"open": public("it is"), "POST,PUT /wi*": requires("items:read")}
    client = protect(make_host(), rules=rules).client()
    assert [client.get("/open").status_code, client.post("/wide").status_code] == [200, 401]


def test_an_exact_rule_wins_over_a_pattern(protect: Protect) -> None:
    """A pattern for everything closes what has no rule of its own."""
    rules = {"/*": requires("items:read"), "/open": public("it is")}
    client = protect(make_host(), rules=rules).client()
    assert [client.get("/open").status_code, client.post("/wide").status_code] == [200, 401]


def test_a_rule_that_matches_no_route_is_a_fault(protect: Protect) -> None:
    """It may be misspelled, and leave a route open to another pattern."""
    app = make_host()
    protect(app, rules={"/*": public("all"), "/opne": requires("items:read")})
    with pytest.raises(RulesInvalid, match="'/opne' matches no route"):
        AuthLayer.seal(app)


def test_two_rules_that_are_equally_close_are_a_fault(protect: Protect) -> None:
    """Neither may win by chance."""
    app = make_host()
    protect(app, rules={"/op*": public("all"), "*pen": requires("items:read"), "wide": public("x")})
    with pytest.raises(RulesInvalid, match="GET /open has more than one access rule"):
        AuthLayer.seal(app)


def test_a_decorator_and_an_exact_rule_are_two_rules(protect: Protect) -> None:
    """One of the two would silently have no effect."""
    app = make_host()
    protect(app, rules={"good": requires("items:read"), "open": public("x"), "wide": public("x")})
    with pytest.raises(RulesInvalid, match="GET /good has more than one access rule"):
        AuthLayer.seal(app)


@pytest.mark.parametrize("given", [{"/open": "public", "GET /open": "scope"}, {"GET /*": "scope"}])
def test_head_has_the_rule_of_get(protect: Protect, given: dict[str, str]) -> None:
    """Otherwise it would tell whether something exists (S-006)."""
    kinds = {"public": public("all"), "scope": requires("items:read")}
    rules = {key: kinds[kind] for key, kind in given.items()}
    assert protect(make_host(), rules=rules).client().head("/open").status_code == 401


def test_a_decorator_wins_over_a_pattern(protect: Protect) -> None:
    """A pattern is for the routes that have no rule."""
    client = protect(make_host(), rules={"/*": requires("items:read")}).client()
    assert client.get("/good").status_code == 200


def test_routes_of_an_application_without_the_layer_stay_open(protect: Protect) -> None:
    """A gate belongs to one application."""
    protect(make_host())
    assert make_host().test_client().get("/open").status_code == 200
