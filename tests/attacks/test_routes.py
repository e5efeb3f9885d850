"""Routes that bypass the gate at run time."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import flask
import pytest
from flask.sansio.blueprints import BlueprintSetupState
from flask.testing import FlaskClient
from flask.views import MethodView

from itemsapi import Blueprint, public, requires, signed_in
from itemsapi.gate.caller import optional_caller
from support.app_factory import Backend
from support.forged_tokens import VAULT

pytestmark = pytest.mark.dialect("sqlite")  # routes do not depend on the database

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")


@dataclass
class EveryKindOfRoute:
    """Blueprints with every kind of route; each run of a handler is recorded."""

    ran: list[str] = field(default_factory=list)

    def view(self, name: str) -> Callable[..., str]:
        """Return a view that records that it ran."""

        def run(**_: object) -> str:
            self.ran.append(name)
            return name

        run.__name__ = name
        return run

    def blueprints(self) -> list[flask.Blueprint]:
        """Return blueprints of plain Flask, with rules."""
        plain, outer, inner = (flask.Blueprint(n, __name__) for n in ("plain", "outer", "inner"))
        plain.route("/plain", methods=METHODS)(signed_in(self.view("plain")))
        inner.route("/inner", methods=METHODS)(requires(VAULT)(self.view("inner")))
        outer.register_blueprint(inner, url_prefix="/outer")
        plain.add_url_rule("/class", view_func=self._class().as_view("class"))
        plain.record(self._extension)
        plain.url_value_preprocessor(lambda *_: self.ran.append("preprocessor"))
        plain.before_request(lambda: self.ran.append("before"))
        plain.before_app_request(lambda: self.ran.append("before app"))
        return [plain, outer]

    def _class(self) -> type[MethodView]:
        every_kind = self

        @signed_in
        class Page(MethodView):
            def get(self) -> str:
                return every_kind.view("class")()

            def post(self) -> str:
                return every_kind.view("class")()

        return Page

    def _extension(self, state: BlueprintSetupState) -> None:
        state.app.add_url_rule("/extension", "extension", signed_in(self.view("extension")))


@pytest.fixture
def every_kind() -> EveryKindOfRoute:
    """Blueprints with every kind of route."""
    return EveryKindOfRoute()


@pytest.fixture
def backend(make_backend: Callable[..., Backend], every_kind: EveryKindOfRoute) -> Backend:
    """A backend with all of them."""
    return make_backend(*every_kind.blueprints())


PATHS = ("/plain", "/outer/inner", "/class", "/extension")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", METHODS)
def test_every_kind_of_route_is_guarded(
    backend: Backend, every_kind: EveryKindOfRoute, path: str, method: str
) -> None:
    """Plain, nested, class, extension: 401 or 405, and no handler ran (S-001)."""
    response = backend.client().open(path, method=method)
    assert response.status_code in {401, 405}
    assert set(every_kind.ran) <= ({"before app"} if response.status_code == 405 else set())


@pytest.mark.parametrize("path", PATHS)
def test_every_kind_of_route_accepts_a_valid_token(backend: Backend, path: str) -> None:
    """The same rules apply to all of them."""
    assert backend.signed_in_client("ada", "admin").get(path).status_code == 200


@pytest.fixture
def ada(backend: Backend) -> FlaskClient:
    """A client with every scope."""
    return backend.signed_in_client("ada", "admin")


def add_late_route(backend: Backend, path: str, view: Callable[..., Any], **options: Any) -> None:
    """Add a route after boot, bypassing Flask's own check."""
    backend.app._got_first_request = False  # noqa: SLF001 - what Flask asks before it lets routes in
    backend.app.add_url_rule(path, path, view, **options)


@pytest.mark.parametrize(
    "rule", [lambda v: v, signed_in, public("late")], ids=["no", "own", "open"]
)
def test_a_route_added_after_boot_is_rejected(
    backend: Backend, every_kind: EveryKindOfRoute, ada: FlaskClient, rule: Callable[..., Any]
) -> None:
    """For every caller and with any rule (S-002)."""
    add_late_route(backend, "/late", rule(every_kind.view("late")))
    responses = [client.get("/late").get_json() for client in (ada, backend.client())]
    assert [response["code"] for response in responses] == ["route_unguarded"] * 2
    assert set(every_kind.ran) == {"before app"}  # of signing in


def test_options_of_a_late_route_runs_no_handler(
    backend: Backend, every_kind: EveryKindOfRoute
) -> None:
    """Not even a handler that is registered for OPTIONS (S-005)."""
    add_late_route(
        backend,
        "/late",
        every_kind.view("late"),
        methods=["OPTIONS"],
        provide_automatic_options=False,
    )
    assert backend.client().options("/late").status_code == 204
    assert every_kind.ran == []


def test_a_replaced_view_function_is_rejected(
    backend: Backend, every_kind: EveryKindOfRoute, ada: FlaskClient
) -> None:
    """The rule belongs to the original function (S-002)."""
    backend.app.view_functions["plain.plain"] = every_kind.view("other")
    assert ada.get("/plain").get_json()["code"] == "route_unguarded"
    assert set(every_kind.ran) == {"before app"}  # of signing in


def test_a_view_function_wrapped_after_boot_is_rejected(backend: Backend, ada: FlaskClient) -> None:
    """For example by an extension (S-002)."""
    inner = backend.app.view_functions["plain.plain"]
    backend.app.view_functions["plain.plain"] = public("late")(partial(inner))
    assert ada.get("/plain").status_code == 403


def test_a_new_method_of_a_known_view_is_rejected(backend: Backend, ada: FlaskClient) -> None:
    """A late route to a known endpoint has no rule for its new method (S-002)."""
    backend.app._got_first_request = False  # noqa: SLF001 - as above
    backend.app.add_url_rule("/class2", "plain.class", methods=["PUT"])
    assert ada.put("/class2").get_json()["code"] == "route_unguarded"


def test_a_late_path_of_a_known_view_is_refused(backend: Backend, ada: FlaskClient) -> None:
    """The rule of the view may be one by path, for other paths (S-002)."""
    backend.app._got_first_request = False  # noqa: SLF001 - as above
    backend.app.add_url_rule("/class2", "plain.class", methods=["GET"])
    assert ada.get("/class2").get_json()["code"] == "route_unguarded"


def test_a_rule_declared_after_boot_is_ignored(backend: Backend) -> None:
    """Rules are collected at boot (S-002)."""
    view = backend.app.view_functions["plain.plain"]
    vars(view)["__itemsapi_rules__"] = ()
    public("late")(view)
    assert backend.client().get("/plain").status_code == 401


def test_the_gate_runs_before_all_hooks(backend: Backend, every_kind: EveryKindOfRoute) -> None:
    """Even before a hook that an extension put first (S-001)."""
    hooks = backend.app.before_request_funcs.setdefault(None, [])
    hooks.insert(0, lambda: flask.Response(every_kind.view("hook")()))
    assert backend.client().get("/plain").status_code == 401
    assert every_kind.ran == []


def test_a_caller_does_not_stay_in_an_outer_application_context(
    backend: Backend, ada: FlaskClient
) -> None:
    """Requests in one application context share `g`."""
    with backend.app.app_context():
        assert ada.get("/plain").status_code == 200
        backend.client().get("/health/live")
        assert flask.g.get("_jwt_extended_jwt") is None


def nesting_blueprint(backends_built: list[Backend]) -> Blueprint:
    """Return a blueprint that makes a request to the same application as another user."""
    blueprint = Blueprint("nesting", __name__)

    @blueprint.get("/nesting")
    @public("a test")
    def nest() -> dict[str, object]:
        backends_built[0].signed_in_client("eve", "admin").get("/plain")
        return {"caller": optional_caller() is not None}

    return blueprint


def test_a_nested_request_has_its_own_caller(
    make_backend: Callable[..., Backend], every_kind: EveryKindOfRoute
) -> None:
    """Flask gives both requests one `g`, so the caller is not stored there."""
    backends: list[Backend] = []
    backends.append(make_backend(*every_kind.blueprints(), nesting_blueprint(backends)))
    assert backends[0].client().get("/nesting").get_json() == {"caller": False}


def test_debug_is_off_with_flask_debug(
    make_backend: Callable[..., Backend], monkeypatch: pytest.MonkeyPatch
) -> None:
    """FLASK_DEBUG is not a setting of ours (S-103)."""
    monkeypatch.setenv("FLASK_DEBUG", "1")
    assert make_backend().app.debug is False


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "BREW", "PROPFIND", "M-SEARCH", "GET2"])
@pytest.mark.parametrize("path", ["/plain", "/auth/login", "/health/live"])
def test_unknown_methods_get_405_with_allow(backend: Backend, method: str, path: str) -> None:
    """The request is not echoed (S-005, S-103)."""
    response = backend.client().open(path, method=method, headers={"X-Canary": "canary"})
    assert response.status_code == 405
    assert "OPTIONS" in response.headers["Allow"]


def test_options_runs_no_handler(backend: Backend, every_kind: EveryKindOfRoute) -> None:
    """With a preflight and without (S-005)."""
    responses = [backend.client().options(path) for path in PATHS]
    assert {response.status_code for response in responses} == {204}
    assert every_kind.ran == []


def test_head_has_the_rule_of_get(backend: Backend, ada: FlaskClient) -> None:
    """And no body (S-005)."""
    rejected, accepted = backend.client().head("/plain"), ada.head("/plain")
    assert (rejected.status_code, rejected.data) == (401, b"")
    assert (accepted.status_code, accepted.data) == (200, b"")
