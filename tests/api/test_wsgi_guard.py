"""The gate before a WSGI application that is mounted beside Flask."""

import hashlib
import hmac
import io
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from flask import Flask, Response
from flask.testing import FlaskClient
from sqlalchemy import text
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from itemsapi import HmacSignature, Scope, public, requires, signed_in
from itemsapi.clock import Timer
from itemsapi.extension import AuthLayer
from itemsapi.gate.decorators import refresh_token
from itemsapi.gate.wsgi_guard import mounted_applications
from itemsapi.services import EXTENSION
from itemsapi.settings import Settings
from itemsapi.testing import MovableClock
from support.app_factory import Backend

pytestmark = pytest.mark.dialect("sqlite")

REPORTS_READ = Scope("reports:read", "See the reports")
METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "REPORT"]


class Reports:
    """A WSGI application of somebody else, which keeps the environments of its calls."""

    def __init__(self) -> None:
        """Start without calls."""
        self.calls: list[dict[str, Any]] = []
        self.headers = [("Content-Type", "text/plain")]

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Respond with a word."""
        self.calls.append(environ)
        start_response("200 OK", self.headers)
        return [b"figures"]


MakeHost = Callable[..., Backend]


@pytest.fixture
def reports() -> Reports:
    """The mounted application."""
    return Reports()


@pytest.fixture
def make_host(
    settings: Settings, clock: MovableClock, timer: Timer, reports: Reports
) -> Iterator[MakeHost]:
    """Make a plain Flask host with the reports mounted behind a rule."""
    hosts: list[Backend] = []
    object.__setattr__(settings, "argon2_memory", 64)

    def make(rule: Any, **options: Any) -> Backend:
        app = Flask("host", static_folder=None)
        auth = AuthLayer(app, settings=settings, clock=clock, monotonic=timer, **options)
        guarded = auth.wsgi_guard(reports, rule)
        app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {"/reports": guarded})  # type: ignore[method-assign]  # the documented way
        hosts.append(Backend(app, app.extensions[EXTENSION], clock))
        return hosts[-1]

    yield make
    for host in hosts:
        host.services.database.dispose()


@pytest.fixture
def host(make_host: MakeHost) -> Backend:
    """A host whose reports need a token."""
    return make_host(signed_in)


@pytest.fixture
def ada(host: Backend) -> FlaskClient:
    """A client of a user of the host."""
    return host.signed_in_client("ada", "member")


@pytest.mark.parametrize("method", METHODS)
def test_a_request_without_a_token_does_not_reach_the_application(
    host: Backend, reports: Reports, method: str
) -> None:
    """S-001: whatever its method; nobody knows what the application does with it."""
    response = host.client().open("/reports/2026", method=method)
    assert (response.status_code, reports.calls) == (401, [])


@pytest.mark.parametrize("declared", [True, False])
def test_the_application_gets_the_body_that_the_gate_read(
    make_host: MakeHost, reports: Reports, *, declared: bool
) -> None:
    """The gate reads it to check its signature, whether its length is declared or not."""
    sender = HmacSignature.github("bank", secrets=["0123456789abcdef"], scopes=[REPORTS_READ])
    host = make_host(requires(REPORTS_READ, by={"bank"}), credentials=[sender])
    signature = hmac.new(b"0123456789abcdef", b"figures", hashlib.sha256).hexdigest()
    chunked = {"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True}
    host.client().post(
        "/reports/",
        input_stream=io.BytesIO(b"figures"),
        headers={"X-Hub-Signature-256": f"sha256={signature}"},
        environ_overrides={"CONTENT_LENGTH": "7"} if declared else chunked,
    )
    assert reports.calls[0]["wsgi.input"].read() == b"figures"


def test_the_refusal_is_the_problem_of_the_gate(host: Backend) -> None:
    """As before a route of Flask."""
    response = host.client().get("/reports/2026")
    assert response.content_type == "application/problem+json"
    assert (response.get_json()["code"], response.headers["WWW-Authenticate"][:6]) == (
        "token_missing",
        "Bearer",
    )


def test_a_refusal_of_head_has_no_body(host: Backend) -> None:
    """RFC 9110 section 9.3.2."""
    assert host.client().head("/reports/2026").data == b""


@pytest.mark.parametrize("method", METHODS)
def test_a_request_with_a_token_reaches_the_application(
    ada: FlaskClient, reports: Reports, method: str
) -> None:
    """Under its own path, as a dispatcher hands it on."""
    assert ada.open("/reports/2026", method=method).status_code == 200
    assert (reports.calls[0]["SCRIPT_NAME"], reports.calls[0]["PATH_INFO"]) == ("/reports", "/2026")


def test_the_application_gets_the_caller(host: Backend, reports: Reports) -> None:
    """In the WSGI environment; a client cannot set that key."""
    user_id = host.create_user("ada", "member")
    host.bearer_client(host.login("ada")["access_token"]).get("/reports/")
    assert reports.calls[0]["itemsapi.caller"].user_id == user_id


def test_a_preflight_runs_no_application(host: Backend, reports: Reports) -> None:
    """It has no token; without CORS headers the browser sends no request after it."""
    headers = {"Origin": "https://a.example", "Access-Control-Request-Method": "PUT"}
    response = host.client().options("/reports/2026", headers=headers)
    assert (response.status_code, reports.calls) == (204, [])


@pytest.mark.parametrize("method", ["OPTIONS", "GET"])
def test_pages_of_a_listed_origin_may_use_the_application(
    make_host: MakeHost, settings: Settings, method: str
) -> None:
    """S-081: the preflight says so, and they can read a refusal."""
    object.__setattr__(settings, "allowed_origins", ("https://a.example",))
    client = make_host(signed_in, whole_app=True).client()
    headers = {"Origin": "https://a.example"}
    if method == "OPTIONS":
        headers["Access-Control-Request-Method"] = "GET"
    response = client.open("/reports/", method=method, headers=headers)
    assert response.headers["Access-Control-Allow-Origin"] == "https://a.example"
    assert "Origin" in response.vary


@pytest.mark.parametrize("whole_app", [False, True])
def test_pages_of_another_origin_may_not_use_the_application(
    make_host: MakeHost, settings: Settings, *, whole_app: bool
) -> None:
    """S-081: nor those of a listed one, unless the layer is to answer for the application."""
    object.__setattr__(settings, "allowed_origins", ("https://b.example",) * whole_app)
    client = make_host(signed_in, whole_app=whole_app).client()
    response = client.get("/reports/", headers={"Origin": "https://a.example"})
    assert "Access-Control-Allow-Origin" not in response.headers


def test_an_application_may_have_cors_headers_of_its_own(
    make_host: MakeHost, settings: Settings, reports: Reports
) -> None:
    """A browser refuses two of them."""
    object.__setattr__(settings, "allowed_origins", ("https://a.example",))
    reports.headers.append(("access-control-allow-origin", "*"))
    client = make_host(public("figures"), whole_app=True).client()
    response = client.get("/reports/", headers={"Origin": "https://a.example"})
    assert response.headers.getlist("Access-Control-Allow-Origin") == ["*"]


def test_a_token_of_an_ended_session_is_rejected(host: Backend, reports: Reports) -> None:
    """S-020: at once in the same process."""
    host.create_user("ada", "member")
    client = host.bearer_client(host.login("ada")["access_token"])
    assert client.delete("/auth/sessions").status_code == 204
    assert (client.get("/reports/").status_code, reports.calls) == (401, [])


def test_a_token_without_the_scope_is_rejected(make_host: MakeHost, reports: Reports) -> None:
    """403, and the scope that is missing."""
    response = make_host(requires(REPORTS_READ)).signed_in_client("ada", "member").get("/reports/")
    assert (response.status_code, reports.calls) == (403, [])
    assert 'scope="reports:read"' in response.headers["WWW-Authenticate"]


def test_a_token_with_the_scope_is_accepted(make_host: MakeHost) -> None:
    """The rule declares the scope, so a role that has everything has it too."""
    client = make_host(requires(REPORTS_READ)).signed_in_client("root", "admin")
    assert client.get("/reports/").data == b"figures"


def test_an_unknown_scope_rejects_every_request(make_host: MakeHost, reports: Reports) -> None:
    """A misspelled scope opens nothing (S-002)."""
    response = make_host(requires("repotrs:read")).signed_in_client("root", "admin").get("/reports")
    assert (response.get_json()["code"], reports.calls) == ("route_unguarded", [])


def test_a_public_application_has_no_caller(make_host: MakeHost, reports: Reports) -> None:
    """A token is not read."""
    make_host(public("figures for everybody")).client().get("/reports/")
    assert reports.calls[0]["itemsapi.caller"] is None


def test_the_application_is_not_reached_when_the_gate_fails(
    host: Backend, ada: FlaskClient, reports: Reports, timer: Any
) -> None:
    """S-003: revocations that cannot be read for longer than 5 s."""
    ada.get("/reports/")
    with host.services.database.transaction() as tx:
        tx.execute(text("ALTER TABLE itemsapi_revocation RENAME TO gone"))
    timer.advance(6)
    assert (ada.get("/reports/").status_code, len(reports.calls)) == (503, 1)


def test_requests_are_counted(make_host: MakeHost, settings: Settings) -> None:
    """The rate limit applies to refused requests too, as for a route."""
    object.__setattr__(settings, "rate_limit", "2/minute")
    client = make_host(signed_in).client()
    assert [client.get("/reports/").status_code for _ in range(3)] == [401, 401, 429]


def test_the_use_of_a_generation_is_recorded(host: Backend) -> None:
    """The rotation of refresh tokens depends on it (ADR 3)."""
    host.create_user("ada", "member")
    body = {"refresh_token": host.login("ada")["refresh_token"]}
    second = host.client().post("/auth/refresh", json=body).get_json()
    host.bearer_client(second["access_token"]).get("/reports/")
    with host.services.database.reading() as connection:
        assert connection.execute(text("SELECT gen, seen FROM itemsapi_session")).one() == (2, 1)


def test_no_hook_of_the_host_runs(host: Backend, ada: FlaskClient) -> None:
    """The request is not one of the host's."""
    ran: list[str] = []

    def before() -> None:
        ran.append("before")

    def after(response: Response) -> Response:
        ran.append("after")
        return response

    host.app.before_request_funcs[None] = [before]
    host.app.after_request_funcs[None] = [after]
    ada.get("/reports/")
    assert ran == []


def test_the_rule_of_a_refresh_token_is_rejected(host: Backend) -> None:
    """Only our own endpoints read one."""
    with pytest.raises(ValueError, match="takes access tokens"):
        AuthLayer().wsgi_guard(Reports(), refresh_token, app=host.app)


def test_sockets_are_found(host: Backend) -> None:
    """The middleware that Flask-SocketIO 5 puts around an application has these attributes."""

    class Sockets:
        wsgi_app = host.app.wsgi_app
        engineio_path = "/socket.io/"

    assert dict(mounted_applications(Sockets())) == {"/socket.io": None, "/reports": "signed in"}


def test_mounted_applications_are_found(host: Backend) -> None:
    """Through a middleware around the dispatcher."""

    class Middleware:
        app = DispatcherMiddleware(host.app.wsgi_app, {"/open": Reports(), "/own": host.app})

        def __call__(self) -> None: ...

    assert dict(mounted_applications(Middleware())) == {
        "/open": None,
        "/own": "a Flask application with a gate of its own",
        "/reports": "signed in",
    }


def test_a_rule_with_an_object_check_is_refused() -> None:
    """A mounted application has no arguments of a view."""
    app = Flask("host", static_folder=None)
    auth = AuthLayer(app)
    with pytest.raises(ValueError, match="on= checks the arguments of a view"):
        auth.wsgi_guard(Reports(), signed_in(on=lambda: False))
