"""Code of the same process that tries to lead a request around the gate, meaning well or not."""

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
from itemsapi.gate.gate import EXTENSION
from itemsapi.problems import GateUnavailable, TokenMissing
from support.app_factory import Backend
from support.forged_tokens import VAULT, ProtectedEndpoints

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

Hook = Callable[..., None]
Around = Callable[[Hook, Hook], None]


@pytest.fixture
def dialect() -> str:
    """What is attacked here does not depend on the database."""
    return "sqlite"


@pytest.fixture
def vault() -> ProtectedEndpoints:
    """A vault."""
    return ProtectedEndpoints()


@pytest.fixture
def backend(make_backend: Callable[..., Backend], vault: ProtectedEndpoints) -> Backend:
    """A backend with a vault, and with a ledger that everybody may read."""
    return make_backend(vault.blueprint, ledger(vault))


def ledger(vault: ProtectedEndpoints) -> flask.Blueprint:
    """Make a page of one class, whose methods have a rule each."""
    page = flask.Blueprint("ledger", __name__)

    class Ledger(MethodView):
        @public("everybody may read")
        def get(self) -> dict[str, int]:
            vault.calls += 1
            return {"opened": vault.calls}

        @requires(VAULT)
        def delete(self) -> dict[str, int]:
            return self.get()

    page.add_url_rule("/ledger", view_func=Ledger.as_view("ledger"))
    return page


def to(endpoint: str) -> Hook:
    """Return a hook that sends whoever asks for the open hall on to another endpoint."""

    def hook(*_: object, **__: object) -> None:
        if request.path == "/hall":
            request.url_rule = next(current_app.url_map.iter_rules(endpoint))

    return hook


def as_method(method: str) -> Hook:
    """Return a hook that makes another method of every request."""

    def hook(*_: object, **__: object) -> None:
        request.method = method

    return hook


def told(answer: TestResponse, vault: ProtectedEndpoints) -> tuple[int, str, int]:
    """Return what was answered, and how often something was opened."""
    return answer.status_code, answer.get_json()["code"], vault.calls


SHUT = (503, "gate_unavailable", 0)
UNGUARDED = (403, "route_unguarded", 0)


def first(app: flask.Flask, page: str, hook: Hook) -> None:
    """Put a hook in front of all others."""
    app.before_request_funcs.setdefault(None, []).insert(0, hook)


HOOKS: dict[str, Callable[[flask.Flask, str, Hook], object]] = {
    "a hook": lambda app, _, hook: app.before_request(hook),
    "the first hook": first,
    "a hook of the page": lambda app, page, hook: app.before_request_funcs.update({page: [hook]}),
    "a preprocessor": lambda app, _, hook: app.url_value_preprocessor(hook),
    "a preprocessor of the page": lambda app, page, hook: app.url_value_preprocessors.update(
        {page: [hook]}
    ),
}


@pytest.mark.parametrize("kind", HOOKS)
def test_a_hook_that_rewrites_the_address_opens_nothing(
    backend: Backend, vault: ProtectedEndpoints, kind: str
) -> None:
    """The gate let the hall pass, not the vault (S-001, S-003)."""
    HOOKS[kind](backend.app, "vault", to("vault.vault"))
    assert told(backend.client().get("/hall"), vault) == SHUT


def test_a_hook_opens_no_more_to_those_who_are_signed_in(
    backend: Backend, vault: ProtectedEndpoints
) -> None:
    """A good token with too few scopes passes the hall like everybody (S-001)."""
    reader = backend.signed_in_client("eve", "reader")
    first(backend.app, "", to("vault.vault"))
    assert told(reader.get("/hall"), vault) == SHUT


def test_a_hook_that_finds_an_address_for_nowhere_opens_nothing(
    backend: Backend, vault: ProtectedEndpoints
) -> None:
    """A 404 is not judged, so it has passed nothing (S-001)."""

    def hook() -> None:
        request.routing_exception = None
        request.url_rule, request.view_args = next(current_app.url_map.iter_rules("vault.hall")), {}

    backend.app.before_request(hook)
    assert told(backend.client().get("/nowhere"), vault) == SHUT


@pytest.mark.parametrize("kind", HOOKS)
def test_a_hook_that_rewrites_the_method_opens_nothing(
    backend: Backend, vault: ProtectedEndpoints, kind: str
) -> None:
    """Everybody may GET the ledger, and its class goes by the method (S-001, S-005)."""
    HOOKS[kind](backend.app, "ledger", as_method("DELETE"))
    assert told(backend.client().get("/ledger"), vault) == SHUT


def test_a_hook_may_rewrite_the_arguments_of_a_view(make_backend: Callable[..., Backend]) -> None:
    """Flask's documented use of a preprocessor."""
    page = flask.Blueprint("echo", __name__)
    page.add_url_rule("/echo/<word>", "echo", public("a test")(lambda word: {"word": word}))
    page.url_value_preprocessor(lambda _, args: (args or {}).update(word="new"))
    assert make_backend(page).client().get("/echo/old").get_json() == {"word": "new"}


@pytest.fixture
def around(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> Around:
    """Put other receivers of the signal around the gate, in a known order."""

    def put(before: Hook, behind: Hook) -> None:
        order = [before, backend.app.extensions[EXTENSION].check_request, behind]
        monkeypatch.setattr(request_started, "receivers_for", lambda _: order)

    return put


def nothing(*_: object, **__: object) -> None:
    """Do nothing."""


def test_a_receiver_before_the_gate_is_judged_with_its_new_address(
    backend: Backend, vault: ProtectedEndpoints, around: Around
) -> None:
    """The gate judges what Flask will call (S-001)."""
    around(to("vault.vault"), nothing)
    assert told(backend.client().get("/hall"), vault) == (401, "token_missing", 0)


def test_a_receiver_behind_the_gate_opens_nothing(
    backend: Backend, vault: ProtectedEndpoints, around: Around
) -> None:
    """As a hook does not (S-001, S-003)."""
    around(nothing, to("vault.vault"))
    assert told(backend.client().get("/hall"), vault) == SHUT


def fail(*_: object, **__: object) -> None:
    """Do what a receiver should not."""
    raise RuntimeError


@pytest.mark.parametrize("order", [(fail, nothing), (nothing, fail)], ids=["before", "behind"])
def test_a_receiver_that_fails_opens_nothing(
    backend: Backend, vault: ProtectedEndpoints, around: Around, order: tuple[Hook, Hook]
) -> None:
    """Flask runs no handler after it (S-003)."""
    around(*order)
    assert told(backend.client().get("/hall"), vault) == (500, "internal_error", 0)


def test_a_receiver_that_mutes_the_signal_opens_nothing(
    backend: Backend, vault: ProtectedEndpoints, around: Around, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the next request on, nobody has passed (S-003)."""
    monkeypatch.setattr(request_started, "is_muted", False)
    around(nothing, lambda *_, **__: monkeypatch.setattr(request_started, "is_muted", True))
    answers = [backend.client().get("/hall").status_code for _ in range(3)]
    assert (answers, vault.calls) == ([200, 503, 503], 1)


@pytest.mark.parametrize("path", ["/hall", "/vault", "/ledger", "/health/live", "/auth/login"])
def test_a_muted_signal_shuts_every_door(
    backend: Backend, vault: ProtectedEndpoints, path: str
) -> None:
    """Without the gate nobody has passed it, on public routes either (S-003)."""
    with request_started.muted():
        answer = backend.client().post(path) if "auth" in path else backend.client().get(path)
    assert told(answer, vault) == SHUT


def test_a_gate_that_is_taken_away_shuts_every_door(
    backend: Backend, vault: ProtectedEndpoints
) -> None:
    """For those with a good token too (S-003)."""
    ada = backend.signed_in_client("ada", "admin")
    request_started.disconnect(backend.app.extensions[EXTENSION].check_request, backend.app)
    assert told(ada.get("/vault"), vault) == SHUT


def test_a_door_that_stays_shut_is_logged(
    backend: Backend, capfd: pytest.CaptureFixture[str]
) -> None:
    """By its endpoint, for whoever wonders about all the 503s (S-003)."""
    with request_started.muted():
        backend.client().get("/hall")
    assert '"cause": "gate: vault.hall was reached without passing it"' in capfd.readouterr().err


def test_the_gate_stays_where_it_is_for_as_long_as_the_application(
    backend: Backend, vault: ProtectedEndpoints
) -> None:
    """The signal knows it weakly (S-001)."""
    gc.collect()
    assert told(backend.client().get("/vault"), vault) == (401, "token_missing", 0)


def test_each_application_has_its_own_gate(
    backend: Backend, make_backend: Callable[..., Backend]
) -> None:
    """In one process, on one signal (S-001)."""
    page = flask.Blueprint("other", __name__)
    page.add_url_rule("/other", "other", public("a test")(lambda: "in"))
    assert make_backend(page).client().get("/other").status_code == 200


def test_the_gate_takes_what_a_later_flask_may_hand_to_receivers(backend: Backend) -> None:
    """As the documentation of signals asks."""
    with backend.app.test_request_context("/hall"):
        assert request_started.send(backend.app, context=None)


def dispatched(app: flask.Flask, context: object, step: str) -> object:
    """Take a step of Flask's by hand; the next Flask hands the context on."""
    method = getattr(app, step)
    return method(*[context][: len(inspect.signature(method).parameters)])


def test_a_request_that_is_dispatched_by_hand_is_refused(
    backend: Backend, vault: ProtectedEndpoints
) -> None:
    """No signal was sent, so nobody looked (S-003)."""
    with backend.app.test_request_context("/hall") as context:
        dispatched(backend.app, context, "preprocess_request")
        with pytest.raises(GateUnavailable):
            dispatched(backend.app, context, "dispatch_request")
    assert vault.calls == 0


def test_a_request_that_is_dispatched_whole_is_judged(
    backend: Backend, vault: ProtectedEndpoints
) -> None:
    """Flask sends the signal itself (S-001)."""
    with backend.app.test_request_context("/vault") as context:
        answer = dispatched(backend.app, context, "full_dispatch_request")
    assert isinstance(answer, flask.Response)
    assert (answer.status_code, vault.calls) == (401, 0)


def test_an_error_handler_that_calls_the_view_opens_nothing(
    backend: Backend, vault: ProtectedEndpoints
) -> None:
    """Who was refused has not passed (S-003)."""
    of_vault: Any = backend.app.view_functions["vault.vault"]
    backend.app.register_error_handler(TokenMissing, lambda _: of_vault())
    assert told(backend.client().get("/vault"), vault) == (500, "internal_error", 0)


def test_a_view_that_is_called_by_another_is_refused(
    backend: Backend, vault: ProtectedEndpoints
) -> None:
    """The request was let through to one view (S-001)."""
    of_vault: Any = backend.app.view_functions["vault.vault"]
    backend.app.before_request(of_vault)
    assert told(backend.client().get("/hall"), vault) == SHUT


def test_a_view_under_another_name_is_refused(backend: Backend, vault: ProtectedEndpoints) -> None:
    """What was sealed as the vault does not open as the hall (S-002)."""
    views = backend.app.view_functions
    views["vault.hall"] = views["vault.vault"]
    assert told(backend.client().get("/hall"), vault) == UNGUARDED


def test_a_view_under_another_name_in_a_new_table_is_refused(
    backend: Backend, vault: ProtectedEndpoints
) -> None:
    """A hook exchanges all views, behind the gate (S-002)."""
    views = backend.app.view_functions

    def hook() -> None:
        backend.app.view_functions = views | {"vault.hall": views["vault.vault"]}

    backend.app.before_request(hook)
    assert told(backend.client().get("/hall"), vault) == SHUT


def new_view(vault: ProtectedEndpoints) -> Callable[[], dict[str, int]]:
    """Return a view that nobody has seen before."""

    def view() -> dict[str, int]:
        vault.calls += 1
        return {}

    return view


def test_a_view_that_is_swapped_within_a_request_does_not_run(
    backend: Backend, vault: ProtectedEndpoints
) -> None:
    """Nor in the requests that follow (S-002)."""

    def swap() -> None:
        backend.app.view_functions["vault.hall"] = new_view(vault)

    backend.app.before_request(swap)
    assert told(backend.client().get("/hall"), vault) == UNGUARDED
    assert told(backend.client().get("/hall"), vault) == UNGUARDED


def test_a_hook_leads_to_no_view_that_came_after_boot(
    backend: Backend, vault: ProtectedEndpoints
) -> None:
    """Whatever rule it brings: nobody read it (S-002)."""

    def hook() -> None:
        request.url_rule = Rule("/late", endpoint="late")

    backend.app.add_url_rule("/late", "late", signed_in(new_view(vault)))
    backend.app.before_request(hook)
    assert told(backend.client().get("/hall"), vault) == UNGUARDED


class Override:
    """A WSGI application that takes the method from a header, as some are told to be good."""

    def __init__(self, inner: "WSGIApplication") -> None:
        """Wrap `inner`."""
        self.inner = inner

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        """Hand the request on under its other method."""
        environ["REQUEST_METHOD"] = environ.get("HTTP_X_METHOD", environ["REQUEST_METHOD"])
        return self.inner(environ, start_response)


def override_outside(app: flask.Flask) -> None:
    """Put it around everything."""
    app.wsgi_app = Override(app.wsgi_app)  # type: ignore[method-assign]  # Flask's documented way


def override_inside(app: flask.Flask) -> None:
    """Put it next to Flask, inside our own wrapper."""
    edge: Any = app.wsgi_app
    edge.inner = Override(edge.inner)


def override_request(app: flask.Flask) -> None:
    """Have the request say another method than the one that found its address."""

    class Lying(app.request_class):  # type: ignore[name-defined,misc]  # a class of this moment
        def __init__(self, environ: "WSGIEnvironment", *args: Any, **more: Any) -> None:
            super().__init__(environ, *args, **more)
            self.method = environ.get("HTTP_X_METHOD", environ["REQUEST_METHOD"])

    app.request_class = Lying


OVERRIDES = [override_outside, override_inside, override_request]


@pytest.mark.parametrize("override", OVERRIDES)
def test_a_method_from_a_header_needs_what_it_needs_anyway(
    backend: Backend, vault: ProtectedEndpoints, override: Callable[[flask.Flask], None]
) -> None:
    """Who makes DELETE of a GET is judged for DELETE (S-001, S-007)."""
    override(backend.app)
    answer = backend.client().get("/ledger", headers={"X-Method": "DELETE"})
    assert told(answer, vault) == (401, "token_missing", 0)


@pytest.mark.parametrize("override", OVERRIDES)
def test_a_method_from_a_header_makes_no_handler_run_for_options(
    backend: Backend, vault: ProtectedEndpoints, override: Callable[[flask.Flask], None]
) -> None:
    """Nor the other way round (S-005)."""
    override(backend.app)
    answer = backend.client().get("/ledger", headers={"X-Method": "OPTIONS"})
    assert (answer.status_code, vault.calls) == (204, 0)


def catching(vault: ProtectedEndpoints, kind: type[Exception]) -> flask.Blueprint:
    """Make a page that answers OPTIONS by a handler of its own, and everything that is raised."""
    page = flask.Blueprint("catching", __name__)
    page.register_error_handler(kind, lambda _: ("caught", 418))

    @page.route("/caught", methods=["OPTIONS", "GET"])
    @public("a test")
    def caught() -> dict[str, object]:
        vault.calls += 1
        return {}

    return page


@pytest.mark.parametrize("trap", [True, False])
@pytest.mark.parametrize("kind", [Exception, HTTPException])
def test_options_is_answered_past_every_error_handler(
    make_backend: Callable[..., Backend],
    vault: ProtectedEndpoints,
    trap: bool,
    kind: type[Exception],
) -> None:
    """Whatever a page catches, and with Flask's trap for HTTP exceptions too (S-005)."""
    backend = make_backend(catching(vault, kind))
    backend.app.config["TRAP_HTTP_EXCEPTIONS"] = trap
    answer = backend.client().options("/caught")
    assert (answer.status_code, answer.data, vault.calls) == (204, b"", 0)
    assert ("GET" in answer.headers["Allow"], "Content-Type" in answer.headers) == (True, False)


def test_a_preflight_to_nowhere_is_answered_past_every_error_handler(backend: Backend) -> None:
    """There is no page whose handler could come first, but there is Flask's trap (S-005)."""
    backend.app.config["TRAP_HTTP_EXCEPTIONS"] = True
    answer = backend.client().options("/nowhere", headers={"Access-Control-Request-Method": "GET"})
    assert (answer.status_code, answer.headers["Allow"]) == (204, "OPTIONS")


def test_options_of_a_page_that_came_late_is_answered_past_its_error_handler(
    backend: Backend, vault: ProtectedEndpoints
) -> None:
    """It was not there when the gate was installed (S-005)."""
    backend.app.register_blueprint(catching(vault, Exception))
    assert backend.client().options("/caught").status_code == 204


def test_options_runs_no_handler_without_the_gate(
    make_backend: Callable[..., Backend], vault: ProtectedEndpoints
) -> None:
    """Not even one that says that it takes OPTIONS (S-005)."""
    backend = make_backend(catching(vault, ArithmeticError))
    with request_started.muted():
        assert told(backend.client().options("/caught"), vault) == SHUT


def outer(view: Callable[[], object]) -> flask.Blueprint:
    """Make a page of one view."""
    page = flask.Blueprint("outer", __name__)
    page.add_url_rule("/outer", "outer", view)  # type: ignore[arg-type]  # any answer
    return page


def within(path: str, **changes: str) -> str:
    """Make another request on the very environment of this one; return its status."""
    said: list[str] = []
    start: Any = lambda status, *_: said.append(status)  # noqa: E731 - takes what WSGI hands it
    request.environ.update(PATH_INFO=path, **changes)
    current_app.wsgi_app(request.environ, start)
    return said[0]


def test_a_request_in_the_environment_of_another_is_judged(
    make_backend: Callable[..., Backend], vault: ProtectedEndpoints
) -> None:
    """What the outer one passed does not count (S-001)."""
    backend = make_backend(vault.blueprint, outer(public("a test")(lambda: [within("/vault")])))
    assert (backend.client().get("/outer").get_json(), vault.calls) == (["401 UNAUTHORIZED"], 0)


def test_a_request_in_the_environment_of_another_has_its_own_mark(
    make_backend: Callable[..., Backend],
) -> None:
    """The same address again, and nobody looks (S-003)."""
    found: list[str] = []

    def view() -> list[str]:
        with request_started.muted():
            found.append("in" if found else within("/outer"))
        return found

    backend = make_backend(outer(public("a test")(view)))
    assert backend.client().get("/outer").get_json() == ["503 SERVICE UNAVAILABLE"]


def test_a_request_in_the_environment_of_another_changes_no_caller(
    make_backend: Callable[..., Backend],
) -> None:
    """Not even where it comes from somebody else (S-001)."""
    shown: list[str] = []

    def view() -> list[str]:
        return [within("/vault", HTTP_AUTHORIZATION=shown[0]), current_caller().user_id]

    backend = make_backend(ProtectedEndpoints().blueprint, outer(signed_in(view)))
    ada, eve = backend.signed_in_client("ada"), backend.signed_in_client("eve", "admin")
    shown.append(eve.environ_base["HTTP_AUTHORIZATION"])
    assert ada.get("/outer").get_json() == ["200 OK", ada.get("/me").get_json()["id"]]


@pytest.fixture
def waiting(
    make_backend: Callable[..., Backend], vault: ProtectedEndpoints, monkeypatch: pytest.MonkeyPatch
) -> Backend:
    """A backend with an asynchronous view, run by the standard library (asgiref is not installed)."""

    async def view() -> dict[str, object]:
        await asyncio.sleep(0)
        vault.calls += 1
        return {}

    backend = make_backend(outer(signed_in(view)))
    monkeypatch.setattr(backend.app, "async_to_sync", lambda run: lambda: asyncio.run(run()))
    return backend


def test_an_async_view_runs_behind_the_gate(waiting: Backend, vault: ProtectedEndpoints) -> None:
    """As any other, for those who may (S-001)."""
    assert waiting.client().get("/outer").status_code == 401
    assert (waiting.signed_in_client("ada").get("/outer").status_code, vault.calls) == (200, 1)


def test_an_async_view_does_not_run_without_the_gate(
    waiting: Backend, vault: ProtectedEndpoints
) -> None:
    """Not even its beginning (S-003)."""
    with request_started.muted():
        assert told(waiting.client().get("/outer"), vault) == SHUT
