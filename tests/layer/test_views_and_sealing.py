"""Views before and after sealing: no request reaches one without the gate, on any application."""

import copy
import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any

import pytest
from flask import Flask, request, request_started
from flask.testing import FlaskClient

from itemsapi import AuthLayer, public, signed_in
from itemsapi.gate.responses import GateResponse
from itemsapi.problems import RouteUnguarded
from support.app_factory import Backend

Protect = Callable[..., Backend]

pytestmark = pytest.mark.dialect("sqlite")


@pytest.fixture
def app(protect: Protect) -> Flask:
    """An application that is not sealed, with a guarded route and a public one."""
    app = Flask("host", static_folder=None)
    app.add_url_rule("/vault", "vault", signed_in(lambda: "gold"))
    app.add_url_rule("/open", "open", public("a test")(lambda: "open"))
    protect(app)
    return app


@pytest.mark.parametrize("path", ["/vault", "/open"])
def test_no_view_runs_when_a_copy_of_the_application_is_served(app: Flask, path: str) -> None:
    """The gate receives the signal of the application only, not of its copy (S-003)."""
    assert FlaskClient(copy.copy(app), app.response_class).get(path).status_code == 503


def test_no_view_runs_on_a_copy_that_was_made_before_the_layer(protect: Protect) -> None:
    """It shares the extensions of the application, and so the gate of another one (S-003)."""
    app = Flask("host", static_folder=None)
    app.add_url_rule("/vault", "vault", signed_in(lambda: "gold"))
    copied = copy.copy(app)
    protect(app)
    assert FlaskClient(copied, app.response_class).get("/vault").status_code == 503


def test_no_view_runs_when_the_signal_is_muted(app: Flask) -> None:
    """The gate learns of no request, so it seals nothing (S-003)."""
    with request_started.muted():
        assert app.test_client().get("/vault").status_code == 503


def test_no_view_runs_when_a_request_is_dispatched_by_hand(app: Flask) -> None:
    """Flask sends no signal then (S-003)."""
    step: Any = app.dispatch_request
    with app.test_request_context("/vault") as context, pytest.raises(GateResponse):
        step(*[context][: len(inspect.signature(step).parameters)])


def test_the_application_may_wrap_its_views(app: Flask) -> None:
    """As extensions do, before and after the layer is put around it."""
    inner = app.view_functions["open"]
    app.view_functions["open"] = wraps(inner)(lambda: [inner()])
    assert app.test_client().get("/open").get_json() == ["open"]


def test_a_view_may_make_another_application(app: Flask, protect: Protect) -> None:
    """The request belongs to the one, and the views to the other."""
    with app.test_request_context("/open"):
        other = Flask("other", static_folder=None)
        other.add_url_rule("/", "home", public("a test")(lambda: "home"))
        protect(other)
        assert callable(other.view_functions["home"])
        AuthLayer.seal(other)


def redirect_to(app: Flask, endpoint: str) -> None:
    """Let a hook lead each request to another view."""

    def change_rule() -> None:
        request.url_rule = next(app.url_map.iter_rules(endpoint))

    app.before_request(change_rule)


def test_a_view_that_a_hook_leads_to_is_503_on_any_application(app: Flask) -> None:
    """An application of its own has no error handler for the problems of the layer (S-003)."""
    redirect_to(app, "vault")
    assert app.test_client().get("/open").status_code == 503


def test_a_view_that_is_replaced_after_sealing_is_403_on_any_application(app: Flask) -> None:
    """As on the Items API (S-002)."""
    app.before_request(lambda: app.view_functions.update(open=lambda: "new"))
    assert app.test_client().get("/open").status_code == 403


def test_a_late_view_is_an_error_for_a_program_that_reads_it(app: Flask) -> None:
    """There is no request to respond to (S-002)."""
    AuthLayer.seal(app)
    app.view_functions["late"] = lambda: "late"
    with pytest.raises(RouteUnguarded):
        app.view_functions["late"]
