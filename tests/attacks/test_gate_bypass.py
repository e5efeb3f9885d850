"""Code in the same process that bypasses the gate, on purpose or by accident."""

import asyncio
import gc
import inspect
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import flask
import pytest
from flask import current_app, request, request_started
from flask.views import MethodView
from werkzeug.exceptions import HTTPException
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from itemsapi import current_caller, public, requires, signed_in
from itemsapi.gate.responses import GateResponse
from itemsapi.gate.without_gate import GATE
from itemsapi.problems import TokenMissing
from support.app_factory import Backend
from support.asgi import let_others_run
from support.forged_tokens import VAULT, ProtectedEndpoints

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

pytestmark = pytest.mark.dialect("sqlite")  # what is attacked here does not depend on the database

Hook = Callable[..., None]
Around = Callable[[Hook, Hook], None]


@pytest.fixture
def vault() -> ProtectedEndpoints:
    """Protected endpoints."""
    return ProtectedEndpoints()


@pytest.fixture
def backend(make_backend: Callable[..., Backend], vault: ProtectedEndpoints) -> Backend:
    """A backend with protected endpoints, and with a ledger that is public to read."""
    return make_backend(vault.blueprint, ledger(vault))


def ledger(vault: ProtectedEndpoints) -> flask.Blueprint:
    """Return a blueprint with a class-based view whose methods have different rules."""
    blueprint = flask.Blueprint("ledger", __name__)

    class Ledger(MethodView):
        @public("everybody may read")
        def get(self) -> dict[str, int]:
            vault.calls += 1
            return {"opened": vault.calls}

        @requires(VAULT)
        def delete(self) -> dict[str, int]:
            return self.get()

    blueprint.add_url_rule("/ledger", view_func=Ledger.as_view("ledger"))
    return blueprint


def redirect_to(endpoint: str) -> Hook:
    """Return a hook that dispatches requests for the public `/hall` to another endpoint."""

    def hook(*_: object, **__: object) -> None:
        if request.path == "/hall":
            request.url_rule = next(current_app.url_map.iter_rules(endpoint))

    return hook


def change_method_to(method: str) -> Hook:
    """Return a hook that changes the method of every request."""

    def hook(*_: object, **__: object) -> None:
        request.method = method

    return hook


def outcome(response: TestResponse, vault: ProtectedEndpoints) -> tuple[int, str, int]:
    """Return the status and code of a response, and how many handlers ran."""
    return response.status_code, response.get_json()["code"], vault.calls


SHUT = (503, "gate_unavailable", 0)
UNGUARDED = (403, "route_unguarded", 0)


def add_first_hook(app: flask.Flask, blueprint: str, hook: Hook) -> None:
    """Add a hook before all others."""
    app.before_request_funcs.setdefault(None, []).insert(0, hook)


HOOKS: dict[str, Callable[[flask.Flask, str, Hook], object]] = {
    "a hook": lambda app, _, hook: app.before_request(hook),
    "the first hook": add_first_hook,
    "a hook of the page": lambda app, blueprint, hook: app.before_request_funcs.update(
        {blueprint: [hook]}
    ),
    "a preprocessor": lambda app, _, hook: app.url_value_preprocessor(hook),
    "a preprocessor of the page": lambda app, blueprint, hook: app.url_value_preprocessors.update(
        {blueprint: [hook]}
    ),
}


@pytest.mark.parametrize("kind", HOOKS)
def test_a_view_does_not_run_when_a_hook_changes_the_endpoint(
    backend: Backend, vault: ProtectedEndpoints, kind: str
) -> None:
    """The gate admitted the request to another view (S-001, S-003)."""
    HOOKS[kind](backend.app, "vault", redirect_to("vault.vault"))
    assert outcome(backend.client().get("/hall"), vault) == SHUT


def test_a_hook_grants_no_scope_to_a_signed_in_user(
    backend: Backend, vault: ProtectedEndpoints
) -> None:
    """A valid token with too few scopes (S-001)."""
    reader = backend.signed_in_client("eve", "reader")
    add_first_hook(backend.app, "", redirect_to("vault.vault"))
    assert outcome(reader.get("/hall"), vault) == SHUT


def test_a_view_does_not_run_when_a_hook_routes_a_404(
    backend: Backend, vault: ProtectedEndpoints
) -> None:
    """The gate leaves a 404 to Flask, so it admitted the request to no view (S-001)."""

    def hook() -> None:
        request.routing_exception = None
        request.url_rule, request.view_args = next(current_app.url_map.iter_rules("vault.hall")), {}

    backend.app.before_request(hook)
    assert outcome(backend.client().get("/nowhere"), vault) == SHUT


@pytest.mark.parametrize("kind", HOOKS)
def test_a_view_does_not_run_when_a_hook_changes_the_method(
    backend: Backend, vault: ProtectedEndpoints, kind: str
) -> None:
    """GET is public, and the class-based view dispatches by method (S-001, S-005)."""
    HOOKS[kind](backend.app, "ledger", change_method_to("DELETE"))
    assert outcome(backend.client().get("/ledger"), vault) == SHUT


def test_a_hook_may_rewrite_the_arguments_of_a_view(make_backend: Callable[..., Backend]) -> None:
    """Flask's documented use of a preprocessor."""
    blueprint = flask.Blueprint("echo", __name__)
    blueprint.add_url_rule("/echo/<word>", "echo", public("a test")(lambda word: {"word": word}))
    blueprint.url_value_preprocessor(lambda _, args: (args or {}).update(word="new"))
    assert make_backend(blueprint).client().get("/echo/old").get_json() == {"word": "new"}


@pytest.fixture
def surround_gate(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> Around:
    """Add receivers of the signal before and after the gate, in a known order."""

    def put(before: Hook, behind: Hook) -> None:
        order = [before, backend.app.extensions[GATE].check_request, behind]
        monkeypatch.setattr(request_started, "receivers_for", lambda _: order)

    return put


def nothing(*_: object, **__: object) -> None:
    """Do nothing."""


def test_the_gate_checks_the_endpoint_that_an_earlier_receiver_chose(
    backend: Backend, vault: ProtectedEndpoints, surround_gate: Around
) -> None:
    """It checks what Flask will call (S-001)."""
    surround_gate(redirect_to("vault.vault"), nothing)
    assert outcome(backend.client().get("/hall"), vault) == (401, "token_missing", 0)


def test_a_view_does_not_run_when_a_later_receiver_changes_the_endpoint(
    backend: Backend, vault: ProtectedEndpoints, surround_gate: Around
) -> None:
    """Like a hook (S-001, S-003)."""
    surround_gate(nothing, redirect_to("vault.vault"))
    assert outcome(backend.client().get("/hall"), vault) == SHUT


def fail(*_: object, **__: object) -> None:
    """Raise an error."""
    raise RuntimeError


@pytest.mark.parametrize("order", [(fail, nothing), (nothing, fail)], ids=["before", "behind"])
def test_no_view_runs_when_a_receiver_fails(
    backend: Backend, vault: ProtectedEndpoints, surround_gate: Around, order: tuple[Hook, Hook]
) -> None:
    """Flask runs no handler after it (S-003)."""
    surround_gate(*order)
    assert outcome(backend.client().get("/hall"), vault) == (500, "internal_error", 0)


def test_no_view_runs_after_a_receiver_muted_the_signal(
    backend: Backend,
    vault: ProtectedEndpoints,
    surround_gate: Around,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """From the next request on (S-003)."""
    monkeypatch.setattr(request_started, "is_muted", False)
    surround_gate(nothing, lambda *_, **__: monkeypatch.setattr(request_started, "is_muted", True))
    statuses = [backend.client().get("/hall").status_code for _ in range(3)]
    assert (statuses, vault.calls) == ([200, 503, 503], 1)


@pytest.mark.parametrize("path", ["/hall", "/vault", "/ledger", "/health/live", "/auth/login"])
def test_no_view_runs_when_the_signal_is_muted(
    backend: Backend, vault: ProtectedEndpoints, path: str
) -> None:
    """Public routes included (S-003)."""
    with request_started.muted():
        response = backend.client().post(path) if "auth" in path else backend.client().get(path)
    assert outcome(response, vault) == SHUT


def test_no_view_runs_when_the_gate_is_disconnected(
    backend: Backend, vault: ProtectedEndpoints
) -> None:
    """Not even with a valid token (S-003)."""
    ada = backend.signed_in_client("ada", "admin")
    request_started.disconnect(backend.app.extensions[GATE].check_request, backend.app)
    assert outcome(ada.get("/vault"), vault) == SHUT


def test_a_view_reached_without_the_gate_is_logged(
    backend: Backend, capfd: pytest.CaptureFixture[str]
) -> None:
    """With its endpoint, to explain the 503 responses (S-003)."""
    with request_started.muted():
        backend.client().get("/hall")
    assert '"cause": "gate: vault.hall was reached without passing it"' in capfd.readouterr().err


def test_the_gate_lives_as_long_as_the_application(
    backend: Backend, vault: ProtectedEndpoints
) -> None:
    """The signal has only a weak reference to it (S-001)."""
    gc.collect()
    assert outcome(backend.client().get("/vault"), vault) == (401, "token_missing", 0)


def test_each_application_has_its_own_gate(
    backend: Backend, make_backend: Callable[..., Backend]
) -> None:
    """In one process, on one signal (S-001)."""
    blueprint = flask.Blueprint("other", __name__)
    blueprint.add_url_rule("/other", "other", public("a test")(lambda: "in"))
    assert make_backend(blueprint).client().get("/other").status_code == 200


def test_the_gate_accepts_further_arguments_of_the_signal(backend: Backend) -> None:
    """As the documentation of signals requires."""
    with backend.app.test_request_context("/hall"):
        assert request_started.send(backend.app, context=None)


def dispatch(app: flask.Flask, context: object, step: str) -> object:
    """Call a step of Flask's dispatch; a newer Flask takes the context as an argument."""
    method = getattr(app, step)
    return method(*[context][: len(inspect.signature(method).parameters)])


def test_a_request_is_rejected_when_it_is_dispatched_directly(
    backend: Backend, vault: ProtectedEndpoints
) -> None:
    """Flask sent no signal, so the gate did not check it (S-003)."""
    with backend.app.test_request_context("/hall") as context:
        dispatch(backend.app, context, "preprocess_request")
        with pytest.raises(GateResponse):
            dispatch(backend.app, context, "dispatch_request")
    assert vault.calls == 0


def test_a_request_is_checked_when_it_is_fully_dispatched(
    backend: Backend, vault: ProtectedEndpoints
) -> None:
    """Flask sends the signal itself (S-001)."""
    with backend.app.test_request_context("/vault") as context:
        response = dispatch(backend.app, context, "full_dispatch_request")
    assert isinstance(response, flask.Response)
    assert (response.status_code, vault.calls) == (401, 0)


def test_a_view_does_not_run_when_an_error_handler_calls_it(
    backend: Backend, vault: ProtectedEndpoints
) -> None:
    """No error handler sees a response of the gate (S-003)."""
    of_vault: Any = backend.app.view_functions["vault.vault"]
    for error in (TokenMissing, Exception):
        backend.app.register_error_handler(error, lambda _: of_vault())
    assert outcome(backend.client().get("/vault"), vault) == (401, "token_missing", 0)


def test_a_view_does_not_run_when_another_one_calls_it(
    backend: Backend, vault: ProtectedEndpoints
) -> None:
    """The gate admits a request to one view (S-001)."""
    of_vault: Any = backend.app.view_functions["vault.vault"]
    backend.app.before_request(of_vault)
    assert outcome(backend.client().get("/hall"), vault) == SHUT


def test_a_view_does_not_run_under_another_endpoint(
    backend: Backend, vault: ProtectedEndpoints
) -> None:
    """The check belongs to one endpoint (S-002)."""
    views = backend.app.view_functions
    views["vault.hall"] = views["vault.vault"]
    assert outcome(backend.client().get("/hall"), vault) == UNGUARDED


def test_a_view_does_not_run_when_a_hook_replaces_all_views(
    backend: Backend, vault: ProtectedEndpoints
) -> None:
    """After the gate has run (S-002)."""
    views = backend.app.view_functions

    def hook() -> None:
        backend.app.view_functions = views | {"vault.hall": views["vault.vault"]}

    backend.app.before_request(hook)
    assert outcome(backend.client().get("/hall"), vault) == SHUT


def new_view(vault: ProtectedEndpoints) -> Callable[[], dict[str, int]]:
    """Return a view that was not registered at boot."""

    def view() -> dict[str, int]:
        vault.calls += 1
        return {}

    return view


def test_a_view_does_not_run_when_a_hook_replaced_it(
    backend: Backend, vault: ProtectedEndpoints
) -> None:
    """Nor in the following requests (S-002)."""

    def swap() -> None:
        backend.app.view_functions["vault.hall"] = new_view(vault)

    backend.app.before_request(swap)
    assert outcome(backend.client().get("/hall"), vault) == UNGUARDED
    assert outcome(backend.client().get("/hall"), vault) == UNGUARDED


def test_a_view_added_after_boot_does_not_run_when_a_hook_selects_it(
    backend: Backend, vault: ProtectedEndpoints
) -> None:
    """Whatever its rule is: the rulebook does not have it (S-002)."""

    def hook() -> None:
        request.url_rule = Rule("/late", endpoint="late")

    backend.app.add_url_rule("/late", "late", signed_in(new_view(vault)))
    backend.app.before_request(hook)
    assert outcome(backend.client().get("/hall"), vault) == UNGUARDED


class MethodOverride:
    """A WSGI application that takes the method from a header, as some middleware does."""

    def __init__(self, inner: "WSGIApplication") -> None:
        """Wrap `inner`."""
        self.inner = inner

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        """Pass the request on with the other method."""
        environ["REQUEST_METHOD"] = environ.get("HTTP_X_METHOD", environ["REQUEST_METHOD"])
        return self.inner(environ, start_response)


def override_outside(app: flask.Flask) -> None:
    """Wrap the whole application."""
    app.wsgi_app = MethodOverride(app.wsgi_app)  # type: ignore[method-assign]  # Flask's documented way


def override_inside(app: flask.Flask) -> None:
    """Wrap Flask, inside of our own middleware."""
    edge: Any = app.wsgi_app
    edge.inner = MethodOverride(edge.inner)


def override_request(app: flask.Flask) -> None:
    """Make the request report another method than the one it was routed with."""

    class Lying(app.request_class):  # type: ignore[name-defined,misc]  # a class of this moment
        def __init__(self, environ: "WSGIEnvironment", *args: Any, **kwargs: Any) -> None:
            super().__init__(environ, *args, **kwargs)
            self.method = environ.get("HTTP_X_METHOD", environ["REQUEST_METHOD"])

    app.request_class = Lying


OVERRIDES = [override_outside, override_inside, override_request]


@pytest.mark.parametrize("override", OVERRIDES)
def test_a_method_from_a_header_needs_the_rule_of_that_method(
    backend: Backend, vault: ProtectedEndpoints, override: Callable[[flask.Flask], None]
) -> None:
    """A GET that becomes DELETE is checked as DELETE (S-001, S-007)."""
    override(backend.app)
    response = backend.client().get("/ledger", headers={"X-Method": "DELETE"})
    assert outcome(response, vault) == (401, "token_missing", 0)


@pytest.mark.parametrize("override", OVERRIDES)
def test_no_handler_runs_when_a_header_changes_options(
    backend: Backend, vault: ProtectedEndpoints, override: Callable[[flask.Flask], None]
) -> None:
    """Nor the other way round (S-005)."""
    override(backend.app)
    response = backend.client().get("/ledger", headers={"X-Method": "OPTIONS"})
    assert (response.status_code, vault.calls) == (204, 0)


def catching_blueprint(vault: ProtectedEndpoints, kind: type[Exception]) -> flask.Blueprint:
    """Return a blueprint that handles OPTIONS and all exceptions itself."""
    blueprint = flask.Blueprint("catching", __name__)
    blueprint.register_error_handler(kind, lambda _: ("caught", 418))

    @blueprint.route("/caught", methods=["OPTIONS", "GET"])
    @public("a test")
    def caught() -> dict[str, object]:
        vault.calls += 1
        return {}

    return blueprint


@pytest.mark.parametrize("trap", [True, False])
@pytest.mark.parametrize("kind", [Exception, HTTPException])
def test_options_bypasses_every_error_handler(
    make_backend: Callable[..., Backend],
    vault: ProtectedEndpoints,
    trap: bool,
    kind: type[Exception],
) -> None:
    """With Flask's trap for HTTP exceptions, too (S-005)."""
    backend = make_backend(catching_blueprint(vault, kind))
    backend.app.config["TRAP_HTTP_EXCEPTIONS"] = trap
    response = backend.client().options("/caught")
    assert (response.status_code, response.data, vault.calls) == (204, b"", 0)
    assert ("GET" in response.headers["Allow"], "Content-Type" in response.headers) == (True, False)


def test_a_preflight_of_an_unknown_path_bypasses_every_error_handler(backend: Backend) -> None:
    """With Flask's trap for HTTP exceptions (S-005)."""
    backend.app.config["TRAP_HTTP_EXCEPTIONS"] = True
    response = backend.client().options(
        "/nowhere", headers={"Access-Control-Request-Method": "GET"}
    )
    assert (response.status_code, response.headers["Allow"]) == (204, "OPTIONS")


def test_options_bypasses_the_error_handler_of_a_late_blueprint(
    backend: Backend, vault: ProtectedEndpoints
) -> None:
    """It was not registered when the gate was installed (S-005)."""
    backend.app.register_blueprint(catching_blueprint(vault, Exception))
    assert backend.client().options("/caught").status_code == 204


def test_options_runs_no_handler_without_the_gate(
    make_backend: Callable[..., Backend], vault: ProtectedEndpoints
) -> None:
    """Not even a handler that is registered for OPTIONS (S-005)."""
    backend = make_backend(catching_blueprint(vault, ArithmeticError))
    with request_started.muted():
        assert outcome(backend.client().options("/caught"), vault) == SHUT


def outer_blueprint(view: Callable[[], object]) -> flask.Blueprint:
    """Return a blueprint with one view."""
    blueprint = flask.Blueprint("outer", __name__)
    blueprint.add_url_rule("/outer", "outer", view)  # type: ignore[arg-type]  # any answer
    return blueprint


def nested_request(path: str, **changes: str) -> str:
    """Make a request with the WSGI environment of the current one; return its status."""
    statuses_seen: list[str] = []
    start: Any = lambda status, *_: statuses_seen.append(status)  # noqa: E731 - takes what WSGI hands it
    request.environ.update(PATH_INFO=path, **changes)
    current_app.wsgi_app(request.environ, start)
    return statuses_seen[0]


def test_a_nested_request_is_checked(
    make_backend: Callable[..., Backend], vault: ProtectedEndpoints
) -> None:
    """The admission of the outer one does not count (S-001)."""
    backend = make_backend(
        vault.blueprint, outer_blueprint(public("a test")(lambda: [nested_request("/vault")]))
    )
    assert (backend.client().get("/outer").get_json(), vault.calls) == (["401 UNAUTHORIZED"], 0)


def test_a_nested_request_has_its_own_admission(
    make_backend: Callable[..., Backend],
) -> None:
    """The same path again, without the gate (S-003)."""
    results: list[str] = []

    def view() -> list[str]:
        with request_started.muted():
            results.append("in" if results else nested_request("/outer"))
        return results

    backend = make_backend(outer_blueprint(public("a test")(view)))
    assert backend.client().get("/outer").get_json() == ["503 SERVICE UNAVAILABLE"]


def test_a_nested_request_does_not_change_the_caller(
    make_backend: Callable[..., Backend],
) -> None:
    """Even if it is another user's request (S-001)."""
    headers_of_eve: list[str] = []

    def view() -> list[str]:
        return [
            nested_request("/vault", HTTP_AUTHORIZATION=headers_of_eve[0]),
            current_caller().user_id,
        ]

    backend = make_backend(ProtectedEndpoints().blueprint, outer_blueprint(signed_in(view)))
    ada, eve = backend.signed_in_client("ada"), backend.signed_in_client("eve", "admin")
    headers_of_eve.append(eve.environ_base["HTTP_AUTHORIZATION"])
    assert ada.get("/outer").get_json() == ["200 OK", ada.get("/me").get_json()["id"]]


@pytest.fixture
def async_backend(
    make_backend: Callable[..., Backend], vault: ProtectedEndpoints, monkeypatch: pytest.MonkeyPatch
) -> Backend:
    """A backend with an asynchronous view, run by asyncio (asgiref is not installed)."""

    async def view() -> dict[str, object]:
        await let_others_run()
        vault.calls += 1
        return {}

    backend = make_backend(outer_blueprint(signed_in(view)))
    monkeypatch.setattr(backend.app, "async_to_sync", lambda run: lambda: asyncio.run(run()))
    return backend


def test_an_async_view_runs_behind_the_gate(
    async_backend: Backend, vault: ProtectedEndpoints
) -> None:
    """Like any other view (S-001)."""
    assert async_backend.client().get("/outer").status_code == 401
    assert (async_backend.signed_in_client("ada").get("/outer").status_code, vault.calls) == (
        200,
        1,
    )


def test_an_async_view_does_not_run_without_the_gate(
    async_backend: Backend, vault: ProtectedEndpoints
) -> None:
    """Not even its first statement (S-003)."""
    with request_started.muted():
        assert outcome(async_backend.client().get("/outer"), vault) == SHUT
