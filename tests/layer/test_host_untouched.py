"""An application that gets the layer stays as it was, except that its routes are guarded."""

import sys
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import flask
import pytest
from flask import Flask
from flask.ctx import _AppCtxGlobals
from flask.json.provider import DefaultJSONProvider
from flask.views import MethodView
from flask_jwt_extended import get_jwt
from werkzeug.exceptions import HTTPException
from werkzeug.routing import BaseConverter

from itemsapi import Blueprint, current_caller, public, requires, signed_in
from itemsapi.tokens.scopes import ITEMS_READ, ITEMS_WRITE
from support.app_factory import Backend

Protect = Callable[..., Backend]

pytestmark = pytest.mark.dialect("sqlite")


class MoneyProvider(DefaultJSONProvider):
    """JSON of an application: amounts as text, in the order of the program."""

    sort_keys = False

    @staticmethod
    def default(value: Any) -> Any:
        """Write an amount as text."""
        return f"{value} EUR" if isinstance(value, Decimal) else str(value)


def make_host() -> Flask:
    """Return an application with habits of its own."""
    app = Flask("host", static_folder=None)
    app.json = MoneyProvider(app)
    app.config["MAX_CONTENT_LENGTH"] = 1000

    @app.errorhandler(Exception)
    def show_error(error: Exception) -> tuple[str, int]:
        code = error.code if isinstance(error, HTTPException) and error.code else 500
        return f"<h1>Sorry: {code}</h1>", code

    @app.after_request
    def stamp(response: flask.Response) -> flask.Response:
        response.headers["X-Host"] = "yes"
        return response

    @app.route("/price", methods=["GET", "POST"])
    @public("prices are public")
    def price() -> dict[str, object]:
        return {"z": Decimal("1.50"), "a": flask.request.args.get("unknown")}

    @app.post("/form")
    @public("a form of the website")
    def form() -> str:
        return flask.request.form["name"]

    @app.get("/broken")
    @public("it breaks")
    def broken() -> str:
        raise ZeroDivisionError

    @app.get("/orders")
    @signed_in
    def orders() -> dict[str, str]:
        return {"owner": current_caller().user_id}

    return app


REQUESTS: list[tuple[str, str, dict[str, Any]]] = [
    ("GET", "/price", {}),
    ("GET", "/price/", {}),
    ("GET", "//price", {}),
    ("HEAD", "/price", {}),
    ("OPTIONS", "/price", {}),
    ("PATCH", "/price", {}),
    ("POST", "/price?unknown=1&unknown=2", {"json": {"any": "field"}}),
    ("POST", "/form", {"data": {"name": "Ada", "other": "x"}}),
    ("POST", "/form", {"data": {}}),
    ("POST", "/form", {"data": {"name": "x" * 2000}}),
    ("GET", "/broken", {}),
    ("GET", "/nowhere", {}),
    ("GET", "/auth/nowhere", {}),
]


@pytest.mark.parametrize(("method", "path", "options"), REQUESTS)
def test_a_response_of_the_application_does_not_change(
    protect: Protect, method: str, path: str, options: dict[str, Any]
) -> None:
    """Status, headers and body are those from before (S-001)."""
    before = make_host().test_client().open(path, method=method, **options)
    after = protect(make_host()).client().open(path, method=method, **options)
    assert after.status == before.status
    assert (after.data, list(after.headers)) == (before.data, list(before.headers))


@pytest.mark.parametrize("name", ["json", "request_class", "response_class", "wsgi_app"])
def test_the_layer_replaces_no_part_of_the_application(protect: Protect, name: str) -> None:
    """Its JSON provider, classes and WSGI application stay."""
    app = make_host()
    before = getattr(app, name)
    protect(app).client().get("/price")
    assert getattr(app, name) == before


class OwnGlobals(_AppCtxGlobals):
    """A class of `g` of an application."""

    own = "own"


@pytest.mark.parametrize("late", [False, True])
def test_the_layer_keeps_the_class_of_g_of_the_application(protect: Protect, late: bool) -> None:
    """It adds the claims by request to that, whichever comes first."""
    app = Flask("host", static_folder=None)
    view = signed_in(lambda: [flask.g.own, get_jwt()["sub"] == current_caller().user_id])
    app.add_url_rule("/own", "own", view)
    if not late:
        app.app_ctx_globals_class = OwnGlobals
    backend = protect(app)
    if late:
        app.app_ctx_globals_class = OwnGlobals
    assert backend.signed_in_client("ada").get("/own").get_json() == ["own", True]


def test_claims_are_read_in_a_context_from_before_the_layer(protect: Protect) -> None:
    """A script may push one before it completes its application."""
    app = Flask("host", static_folder=None)
    app.add_url_rule("/own", "own", signed_in(lambda: dict(get_jwt())))
    with app.app_context():
        ada = protect(app).signed_in_client("ada")
        assert ada.get("/own").status_code == 200


def test_claims_are_read_in_a_context_from_before_sealing(protect: Protect) -> None:
    """The first requests may arrive at once: one of them seals, the others have begun."""
    app = Flask("host", static_folder=None)
    app.add_url_rule("/own", "own", signed_in(lambda: dict(get_jwt())))
    backend = protect(app)
    context = app.app_context()
    ada = backend.signed_in_client("ada")
    with context:
        assert ada.get("/own").status_code == 200


def test_the_layer_changes_no_configuration_except_that_of_flask_jwt_extended(
    protect: Protect,
) -> None:
    """Views use `create_access_token`, so there is a manager after the first request."""
    app = make_host()
    before = dict(app.config)
    protect(app).client().get("/price")
    added = {name: value for name, value in app.config.items() if before.get(name) != value}
    assert {name[:4] for name in added} <= {"JWT_"}


def test_a_refusal_of_the_gate_is_not_rendered_by_an_error_handler(protect: Protect) -> None:
    """The application handles every exception; the problem response stays (S-007)."""
    response = protect(make_host()).client().get("/orders")
    assert (response.status_code, response.get_json()["code"]) == (401, "token_missing")


def test_a_signed_in_user_reaches_a_guarded_route(protect: Protect) -> None:
    """The view knows the caller."""
    backend = protect(make_host())
    client = backend.signed_in_client("ada")
    assert client.get("/orders").get_json() == {"owner": client.get("/me").get_json()["id"]}


@pytest.mark.parametrize("late", [False, True])
def test_routes_may_be_registered_before_and_after_the_layer(protect: Protect, late: bool) -> None:
    """The application is complete at its first request."""
    app = Flask("host", static_folder=None)
    view = requires(ITEMS_READ)(lambda: "secret")
    if late:
        backend = protect(app)
        app.add_url_rule("/secret", view_func=view, endpoint="s")
    else:
        app.add_url_rule("/secret", view_func=view, endpoint="s")
        backend = protect(app)
    anonymous = backend.client().get("/secret")
    assert anonymous.status_code == 401
    assert backend.signed_in_client("ada", "reader").get("/secret").text == "secret"


def test_a_method_view_of_a_nested_blueprint_is_guarded(protect: Protect) -> None:
    """Each method has its own rule (S-001)."""

    class Things(MethodView):
        @public("reading is free")
        def get(self) -> str:
            return "things"

        @requires(ITEMS_WRITE)
        def post(self) -> str:
            return "made"

    outer, inner = flask.Blueprint("outer", "host"), flask.Blueprint("inner", "host")
    inner.add_url_rule("/things", view_func=Things.as_view("things"))
    outer.register_blueprint(inner, url_prefix="/inner")
    app = Flask("host", static_folder=None)
    app.register_blueprint(outer, url_prefix="/outer")
    client = protect(app).client()
    codes = [client.open("/outer/inner/things", method=m).status_code for m in ("GET", "POST")]
    assert codes == [200, 401]


def test_an_asynchronous_view_is_guarded(protect: Protect) -> None:
    """Flask runs it in an event loop (S-001)."""
    pytest.importorskip("asgiref")
    app = Flask("host", static_folder=None)

    @app.get("/later")
    @signed_in
    async def later() -> str:
        return "later"

    backend = protect(app)
    assert backend.client().get("/later").status_code == 401
    assert backend.signed_in_client("ada").get("/later").text == "later"


marked = Blueprint("marked", __name__)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="Flask knows no such mark there")
@pytest.mark.parametrize("decorate", [lambda view: view, marked.response(200), marked.idempotent])
def test_a_view_that_is_marked_as_asynchronous_is_guarded(
    protect: Protect, decorate: Callable[[Any], Any]
) -> None:
    """No function around it inherits the mark: it returns no coroutine."""
    mark = pytest.importorskip("asgiref.sync").markcoroutinefunction

    async def later() -> dict[str, str]:
        return {"a": "late answer"}

    def view() -> object:
        return later()

    app, blueprint = Flask("host", static_folder=None), Blueprint("later", __name__)
    blueprint.post("/later")(signed_in(decorate(mark(view))))
    app.register_blueprint(blueprint)
    assert protect(app).signed_in_client("ada").post("/later").get_json() == {"a": "late answer"}


@pytest.mark.parametrize("name", ["auth", "me", "sessions", "users", "docs", "health", "oauth"])
def test_the_application_may_have_a_blueprint_of_the_same_name(protect: Protect, name: str) -> None:
    """The endpoints of the layer begin with `itemsapi.`."""
    app = Flask("host", static_folder=None)
    app.register_blueprint(flask.Blueprint(name, "host"))
    backend = protect(app, include=["operators", "docs", "health"])
    assert backend.login("ada") if backend.create_user("ada") else None


def test_the_application_may_have_a_converter_of_the_same_name(protect: Protect) -> None:
    """`id` is a converter of the layer's blueprints; elsewhere it is the application's."""

    class Number(BaseConverter):
        regex = r"\d+"

    app = Flask("host", static_folder=None)
    app.url_map.converters["id"] = Number
    app.add_url_rule("/n/<id:n>", view_func=public("numbers")(lambda n: n), endpoint="n")
    backend = protect(app)
    own = Blueprint("own", "own", url_prefix="/own")
    own.get("/<id:key>")(public("keys")(lambda key: key))
    app.register_blueprint(own)
    app.add_url_rule("/m/<id:n>", view_func=public("numbers")(lambda n: n), endpoint="m")
    client = backend.client()
    paths = ["/n/7", "/m/8", "/own/01960a3b-9a10-7f02-8a55-6b1f0c9d2e10", "/own/7"]
    assert [client.get(path).status_code for path in paths] == [200, 200, 200, 404]


def test_endpoints_of_the_layer_are_strict_on_any_application(protect: Protect) -> None:
    """Unknown fields are rejected there (S-011)."""
    body = {"username": "ada", "password": "x", "admin": True}
    response = protect(make_host()).client().post("/auth/login", json=body)
    assert (response.status_code, response.get_json()["errors"][0]["field"]) == (422, "admin")


def test_responses_of_the_layer_have_the_default_headers(protect: Protect) -> None:
    """Tokens must not be cached (S-014)."""
    backend = protect(make_host())
    backend.create_user("ada")
    body = {"username": "ada", "password": "plain horse battery staple"}
    response = backend.client().post("/auth/login", json=body)
    assert (response.status_code, response.headers["Cache-Control"]) == (200, "no-store")


def test_paths_of_the_layer_begin_with_a_prefix_except_well_known_ones(protect: Protect) -> None:
    """RFC 8615 wants `/.well-known` at the root."""
    client = protect(make_host(), url_prefix="/api").client()
    paths = ["/api/me", "/me", "/.well-known/jwks.json", "/api/.well-known/jwks.json"]
    assert [client.get(path).status_code for path in paths] == [401, 404, 200, 404]


def test_the_metadata_names_the_paths_with_their_prefix(protect: Protect) -> None:
    """Clients of RFC 8414 find the endpoint."""
    client = protect(make_host(), url_prefix="/api").client()
    document = client.get("/.well-known/oauth-authorization-server").get_json()
    assert document["token_endpoint"] == "http://localhost:8000/api/oauth/token"
    assert document["issuer"] == "http://localhost:8000"


@pytest.mark.parametrize("prefix", ["api", "/api/", "/", "/<name>"])
def test_a_prefix_that_is_no_path_is_refused(protect: Protect, prefix: str) -> None:
    """The message says what to write."""
    with pytest.raises(ValueError, match="url_prefix"):
        protect(Flask("host", static_folder=None), url_prefix=prefix)
