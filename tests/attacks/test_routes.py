"""Routes that try to come in around the gate, at run time."""

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

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")


@dataclass
class Halls:
    """Pages of every kind that Flask knows; each run of a handler is noted."""

    ran: list[str] = field(default_factory=list)

    def view(self, name: str) -> Callable[..., str]:
        """Return a view that notes that it ran."""

        def run(**_: object) -> str:
            self.ran.append(name)
            return name

        run.__name__ = name
        return run

    def pages(self) -> list[flask.Blueprint]:
        """Return pages that come from Flask alone, behind rules."""
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
        halls = self

        @signed_in
        class Page(MethodView):
            def get(self) -> str:
                return halls.view("class")()

            def post(self) -> str:
                return halls.view("class")()

        return Page

    def _extension(self, state: BlueprintSetupState) -> None:
        state.app.add_url_rule("/extension", "extension", signed_in(self.view("extension")))


@pytest.fixture
def dialect() -> str:
    """Routes do not depend on the database."""
    return "sqlite"


@pytest.fixture
def halls() -> Halls:
    """Pages of every kind."""
    return Halls()


@pytest.fixture
def backend(make_backend: Callable[..., Backend], halls: Halls) -> Backend:
    """A backend with all of them."""
    return make_backend(*halls.pages())


PATHS = ("/plain", "/outer/inner", "/class", "/extension")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", METHODS)
def test_no_kind_of_route_lets_anybody_in(
    backend: Backend, halls: Halls, path: str, method: str
) -> None:
    """Plain, nested, class, extension: 401 or 405, and nothing of theirs ran (S-001)."""
    answer = backend.client().open(path, method=method)
    assert answer.status_code in {401, 405}
    assert set(halls.ran) <= ({"before app"} if answer.status_code == 405 else set())


@pytest.mark.parametrize("path", PATHS)
def test_every_kind_of_route_opens_to_the_right_token(backend: Backend, path: str) -> None:
    """The same rules for all of them."""
    assert backend.signed_in_client("ada", "admin").get(path).status_code == 200


@pytest.fixture
def ada(backend: Backend) -> FlaskClient:
    """A client with every scope."""
    return backend.signed_in_client("ada", "admin")


def late(backend: Backend, path: str, view: Callable[..., Any], **more: Any) -> None:
    """Add a route after boot, past Flask's own check that it is too late."""
    backend.app._got_first_request = False  # noqa: SLF001 - what Flask asks before it lets routes in
    backend.app.add_url_rule(path, path, view, **more)


@pytest.mark.parametrize(
    "rule", [lambda v: v, signed_in, public("late")], ids=["no", "own", "open"]
)
def test_a_route_added_after_boot_is_refused(
    backend: Backend, halls: Halls, ada: FlaskClient, rule: Callable[..., Any]
) -> None:
    """To everybody, whatever rule it brings (S-002)."""
    late(backend, "/late", rule(halls.view("late")))
    answers = [client.get("/late").get_json() for client in (ada, backend.client())]
    assert [answer["code"] for answer in answers] == ["route_unguarded"] * 2
    assert set(halls.ran) == {"before app"}  # of signing in


def test_options_of_a_late_route_runs_no_handler(backend: Backend, halls: Halls) -> None:
    """Not even where the handler says that it takes OPTIONS (S-005)."""
    late(backend, "/late", halls.view("late"), methods=["OPTIONS"], provide_automatic_options=False)
    assert backend.client().options("/late").status_code == 204
    assert halls.ran == []


def test_a_replaced_view_function_is_refused(
    backend: Backend, halls: Halls, ada: FlaskClient
) -> None:
    """The rule was read from another function (S-002)."""
    backend.app.view_functions["plain.plain"] = halls.view("other")
    assert ada.get("/plain").get_json()["code"] == "route_unguarded"
    assert set(halls.ran) == {"before app"}  # of signing in


def test_a_wrapped_view_function_is_refused(backend: Backend, ada: FlaskClient) -> None:
    """So is one that an extension wrapped after boot, however politely (S-002)."""
    inner = backend.app.view_functions["plain.plain"]
    backend.app.view_functions["plain.plain"] = public("late")(partial(inner))
    assert ada.get("/plain").status_code == 403


def test_a_new_method_of_a_known_view_is_refused(backend: Backend, ada: FlaskClient) -> None:
    """A late route to a known endpoint has no rule for its new method (S-002)."""
    backend.app._got_first_request = False  # noqa: SLF001 - as above
    backend.app.add_url_rule("/class2", "plain.class", methods=["PUT"])
    assert ada.put("/class2").get_json()["code"] == "route_unguarded"


def test_a_late_address_of_a_known_view_has_its_rule(backend: Backend) -> None:
    """The rule belongs to the view, not to the address."""
    backend.app._got_first_request = False  # noqa: SLF001 - as above
    backend.app.add_url_rule("/class2", "plain.class", methods=["GET"])
    assert backend.client().get("/class2").status_code == 401


def test_a_rule_noted_after_boot_changes_nothing(backend: Backend) -> None:
    """The rulebook was written at boot (S-002)."""
    view = backend.app.view_functions["plain.plain"]
    vars(view)["__itemsapi_rules__"] = ()
    public("late")(view)
    assert backend.client().get("/plain").status_code == 401


def test_the_gate_stands_before_hooks_put_in_front_of_it(backend: Backend, halls: Halls) -> None:
    """An extension that pushes itself to the front of all hooks is still behind (S-001)."""
    hooks = backend.app.before_request_funcs.setdefault(None, [])
    hooks.insert(0, lambda: flask.Response(halls.view("hook")()))
    assert backend.client().get("/plain").status_code == 401
    assert halls.ran == []


def test_an_outer_application_context_carries_no_caller_over(
    backend: Backend, ada: FlaskClient
) -> None:
    """Requests in one application context share `g`; a caller must not stay in it."""
    with backend.app.app_context():
        assert ada.get("/plain").status_code == 200
        backend.client().get("/health/live")
        assert flask.g.get("_jwt_extended_jwt") is None


def nesting(backends_built: list[Backend]) -> Blueprint:
    """Make a page that calls another page of the same application as somebody else."""
    page = Blueprint("nesting", __name__)

    @page.get("/nesting")
    @public("a test")
    def nest() -> dict[str, object]:
        backends_built[0].signed_in_client("eve", "admin").get("/plain")
        return {"caller": optional_caller() is not None}

    return page


def test_a_request_within_a_request_keeps_to_itself(
    make_backend: Callable[..., Backend], halls: Halls
) -> None:
    """Flask gives both one `g`, so the caller is not kept there."""
    backends: list[Backend] = []
    backends.append(make_backend(*halls.pages(), nesting(backends)))
    assert backends[0].client().get("/nesting").get_json() == {"caller": False}


def test_debug_is_off_whatever_flask_reads(
    make_backend: Callable[..., Backend], monkeypatch: pytest.MonkeyPatch
) -> None:
    """FLASK_DEBUG is none of our settings (S-103)."""
    monkeypatch.setenv("FLASK_DEBUG", "1")
    assert make_backend().app.debug is False


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "BREW", "PROPFIND", "M-SEARCH", "GET2"])
@pytest.mark.parametrize("path", ["/plain", "/auth/login", "/health/live"])
def test_unknown_methods_are_refused_with_allow(backend: Backend, method: str, path: str) -> None:
    """405 and `Allow`, no echo of the request (S-005, S-103)."""
    answer = backend.client().open(path, method=method, headers={"X-Canary": "canary"})
    assert answer.status_code == 405
    assert "OPTIONS" in answer.headers["Allow"]


def test_options_runs_no_handler(backend: Backend, halls: Halls) -> None:
    """Preflight and plain (S-005)."""
    answers = [backend.client().options(path) for path in PATHS]
    assert {answer.status_code for answer in answers} == {204}
    assert halls.ran == []


def test_head_needs_what_get_needs(backend: Backend, ada: FlaskClient) -> None:
    """And has no body (S-005)."""
    refused, given = backend.client().head("/plain"), ada.head("/plain")
    assert (refused.status_code, refused.data) == (401, b"")
    assert (given.status_code, given.data) == (200, b"")
