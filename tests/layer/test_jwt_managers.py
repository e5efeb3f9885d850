"""Flask-JWT-Extended in views: an application's own manager, or the layer's."""

import functools
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.views import MethodView
from flask_jwt_extended import (
    JWTManager,
    create_access_token,
    get_jwt,
    get_jwt_identity,
    jwt_required,
    verify_jwt_in_request,
)

from itemsapi import AuthLayer, RulesInvalid, public, signed_in
from support.app_factory import Backend

Protect = Callable[..., Backend]

pytestmark = pytest.mark.dialect("sqlite")

OWN_SECRET = "the secret of the application itself, 32+"


def add_views(app: Flask) -> None:
    """Add views as the documentation of Flask-JWT-Extended has them."""

    @app.post("/own-login")
    @public("the application's own sign-in")
    def own_login() -> dict[str, str]:
        return {"token": create_access_token("legacy")}

    @app.get("/own")
    @public("Flask-JWT-Extended checks it")
    @jwt_required()  # type: ignore[untyped-decorator]
    def own() -> dict[str, str]:
        return {"identity": get_jwt_identity()}

    @app.get("/whoami")
    @signed_in
    def whoami() -> dict[str, str]:
        return {"identity": get_jwt_identity(), "sid": get_jwt()["sid"]}


def make_host(protect: Protect, order: str) -> Backend:
    """Return an application with a manager, registered before or after the layer."""
    app = Flask("host", static_folder=None)
    app.config["JWT_SECRET_KEY"] = OWN_SECRET
    if order == "before":
        JWTManager(app)
    backend = protect(app)
    if order == "after":
        JWTManager(app)
    add_views(app)
    return backend


@pytest.mark.parametrize("order", ["before", "after"])
def test_the_applications_own_tokens_go_on_working(protect: Protect, order: str) -> None:
    """On the routes that its own decorator guards."""
    client = make_host(protect, order).client()
    token = client.post("/own-login").get_json()["token"]
    response = client.get("/own", headers={"Authorization": f"Bearer {token}"})
    assert response.get_json() == {"identity": "legacy"}


def test_the_applications_own_claims_are_read_when_the_request_is_over(protect: Protect) -> None:
    """Functions of `teardown_appcontext` run after it, as without the layer."""
    backend, read = make_host(protect, "before"), list[str]()
    token = backend.client().post("/own-login").get_json()["token"]
    backend.app.teardown_appcontext_funcs.append(lambda _: read.append(get_jwt_identity()))
    backend.client().get("/own", headers={"Authorization": f"Bearer {token}"})
    assert read == ["legacy"]


@pytest.mark.parametrize("order", ["before", "after"])
def test_the_gate_accepts_no_token_of_the_applications_own_manager(
    protect: Protect, order: str
) -> None:
    """It belongs to no session (S-029)."""
    backend = make_host(protect, order)
    token = backend.client().post("/own-login").get_json()["token"]
    assert backend.bearer_client(token).get("/whoami").status_code == 401


@pytest.mark.parametrize("order", ["before", "after"])
def test_the_applications_own_manager_accepts_no_token_of_the_layer(
    protect: Protect, order: str
) -> None:
    """The two have different keys."""
    client = make_host(protect, order).signed_in_client("ada")
    assert client.get("/own").status_code == 422


@pytest.mark.parametrize("order", ["before", "after", "never"])
def test_a_guarded_view_reads_the_token_by_flask_jwt_extended(protect: Protect, order: str) -> None:
    """`get_jwt()` is what people know."""
    client = make_host(protect, order).signed_in_client("ada")
    assert client.get("/whoami").get_json()["identity"] == client.get("/me").get_json()["id"]


def test_the_identity_is_the_id_of_the_user_whatever_claim_the_application_reads_it_from(
    protect: Protect,
) -> None:
    """Older versions of the library called it `identity`, and some applications still do."""
    app = Flask("host", static_folder=None)
    app.config.update(JWT_SECRET_KEY=OWN_SECRET, JWT_IDENTITY_CLAIM="identity")
    JWTManager(app)
    backend = protect(app)
    add_views(app)
    client = backend.signed_in_client("ada")
    assert client.get("/whoami").get_json()["identity"] == client.get("/me").get_json()["id"]


def test_a_view_that_wants_a_token_is_401_without_one_if_there_is_no_other_manager(
    protect: Protect,
) -> None:
    """The layer's manager has its error handlers too, although it is installed late."""
    assert make_host(protect, "never").client().get("/own").status_code == 401


@pytest.mark.parametrize("order", ["before", "after"])
def test_the_configuration_of_the_applications_own_manager_stays(
    protect: Protect, order: str
) -> None:
    """Its algorithm and lifetime are its own."""
    backend = make_host(protect, order)
    backend.client().post("/own-login")
    assert backend.app.config["JWT_ALGORITHM"] == "HS256"
    assert backend.app.config["JWT_DECODE_ISSUER"] is None


def check_by_hand(view: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a view as Flask-JWT-Extended's page on decorators of one's own does."""

    @functools.wraps(view)
    def decorator(**view_args: Any) -> Any:
        verify_jwt_in_request()
        return view(**view_args)

    return decorator


SECOND_CHECKS = {
    "required": jwt_required(),
    "optional": jwt_required(optional=True),
    "by hand": check_by_hand,
}


@pytest.mark.parametrize("name", SECOND_CHECKS)
def test_a_guarded_view_that_the_applications_own_manager_checks_too_is_a_fault(
    protect: Protect, name: str
) -> None:
    """No token opens it: those of the two have different keys (S-001)."""
    app = make_host(protect, "before").app
    app.get("/both")(signed_in(SECOND_CHECKS[name](lambda: "reached")))
    with pytest.raises(RulesInvalid, match="GET /both is checked twice"):
        AuthLayer.seal(app)


def check_cookie_by_hand(view: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a view with a check of a cookie."""

    @functools.wraps(view)
    def decorator(**view_args: Any) -> Any:
        verify_jwt_in_request(locations=["cookies"])
        return view(**view_args)

    return decorator


def check_with_other_locations(view: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a view with a check beside a variable that has nothing to do with tokens."""
    locations = 2

    @functools.wraps(view)
    def decorator(**view_args: Any) -> Any:
        verify_jwt_in_request()
        return view(**view_args) if locations else None

    return decorator


BOTH_READ_ONE_HEADER: list[tuple[dict[str, Any], Any]] = [
    ({"JWT_TOKEN_LOCATION": "headers"}, jwt_required()),
    ({"JWT_TOKEN_LOCATION": ["headers", "cookies"]}, jwt_required()),
    ({"JWT_HEADER_NAME": "authorization", "JWT_HEADER_TYPE": "JWT"}, jwt_required()),
    ({"JWT_TOKEN_LOCATION": ["cookies"]}, jwt_required(locations="headers")),
]
EACH_READS_ITS_OWN: list[tuple[dict[str, Any], Any]] = [
    ({"JWT_TOKEN_LOCATION": ["cookies"]}, jwt_required()),
    ({"JWT_TOKEN_LOCATION": ["cookies", "headers"]}, jwt_required()),
    ({"JWT_TOKEN_LOCATION": ["headers", "cookies"], "JWT_HEADER_TYPE": "JWT"}, jwt_required()),
    ({"JWT_HEADER_NAME": "X-Shop-Token", "JWT_HEADER_TYPE": ""}, jwt_required()),
    ({}, jwt_required(locations=["cookies"])),
    ({}, check_cookie_by_hand),
    ({"JWT_TOKEN_LOCATION": "cookies"}, check_with_other_locations),
]


def make_checked_twice(protect: Protect, config: dict[str, Any], check: Any) -> Backend:
    """Return an application with a manager of this configuration, and a view with both checks."""
    app = Flask("shop", static_folder=None)
    app.config |= {"JWT_SECRET_KEY": "k" * 40, "JWT_COOKIE_CSRF_PROTECT": False} | config
    JWTManager(app)
    app.get("/both")(signed_in(check(lambda: "reached")))
    return protect(app)


@pytest.mark.parametrize(("config", "check"), BOTH_READ_ONE_HEADER)
def test_two_checks_of_one_header_are_a_fault(
    protect: Protect, config: dict[str, Any], check: Any
) -> None:
    """Wherever the application says that it looks: no request has two tokens in one header."""
    app = make_checked_twice(protect, config, check).app
    with pytest.raises(RulesInvalid, match="GET /both is checked twice"):
        AuthLayer.seal(app)


@pytest.mark.parametrize(("config", "check"), EACH_READS_ITS_OWN)
def test_a_request_with_both_tokens_passes_two_checks_when_each_reads_its_own(
    protect: Protect, config: dict[str, Any], check: Any
) -> None:
    """In a cookie or a header of another name (S-001)."""
    backend = make_checked_twice(protect, config, check)
    client = backend.signed_in_client("ada")
    with backend.app.app_context():
        own = create_access_token("7")
    client.set_cookie("access_token_cookie", own)
    assert client.get("/both", headers={"X-Shop-Token": own}).status_code == 200


@pytest.mark.parametrize("place", ["decorators", "get"])
def test_a_guarded_class_that_the_applications_own_manager_checks_too_is_a_fault(
    protect: Protect, place: str
) -> None:
    """The decorator may be that of the class or of a method."""
    app = make_host(protect, "after").app

    class Both(MethodView):
        decorators = [jwt_required()] if place == "decorators" else []

        def get(self) -> str:
            return "reached"

    if place == "get":
        Both.get = jwt_required()(Both.get)  # type: ignore[method-assign]
    app.add_url_rule("/both", view_func=signed_in(Both).as_view("both"))
    with pytest.raises(RulesInvalid, match="GET /both is checked twice"):
        AuthLayer.seal(app)


def test_a_guarded_view_is_checked_twice_by_the_manager_of_the_layer(protect: Protect) -> None:
    """It takes the word of the gate."""
    backend = make_host(protect, "never")
    backend.app.get("/both")(signed_in(jwt_required()(lambda: "reached")))
    assert backend.signed_in_client("ada").get("/both").status_code == 200
