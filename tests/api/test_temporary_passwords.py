"""Temporary passwords: in production they are valid for a week, to set another password (S-119)."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from itemsapi import Blueprint, Scope, requires, signed_in
from itemsapi.accounts.models import COMMAND_LINE
from itemsapi.app import rulebook
from itemsapi.gate.rulebook import RulesInvalid
from support.app_factory import Backend
from support.command_line import Shell, shell_at
from support.operator_client import NEW_PASSWORD

MADE = "a-password-made-for-ada"
PRODUCTION = {"profile": "production", "public_url": "https://api.example"}


def sign_in_with_temporary_password(
    backend: Backend, name: str = "ada", *roles: str
) -> dict[str, Any]:
    """Create a user with a temporary password and sign in with it."""
    backend.services.users.create(COMMAND_LINE, name, MADE, roles or ("member",), temporary=True)
    return backend.login(name, password=MADE)


def change_password(
    client: FlaskClient, new: str = NEW_PASSWORD, current: str = MADE
) -> TestResponse:
    """Change the password."""
    body = {"current_password": current, "new_password": new}
    return client.post("/me/password", json=body)


def host_blueprint() -> Blueprint:
    """Return a blueprint of another application, which knows nothing of temporary passwords."""
    page = Blueprint("host", __name__)

    @page.get("/orders")
    @requires(Scope("orders:read", "See orders"))
    def list_orders() -> dict[str, str]:
        return {}

    @page.get("/plain")
    @signed_in
    def show_plainly() -> dict[str, str]:
        return {}

    return page


def guarded_routes(backend: Backend) -> list[tuple[str, str]]:
    """Return every method and path behind the gate, except the one that changes the password."""
    some = "01960a3b-9a10-7f02-8a55-6b1f0c9d2e10"
    rules = rulebook(backend.app).entries
    found = [(one.method, one.path) for one in rules if one.rule.accepts_access_token]
    paths = [(method, path.replace("<id:item_id>", some)) for method, path in found]
    return [(m, p) for m, p in paths if p != "/me/password" and "<" not in p]


def test_a_temporary_password_permits_only_a_password_change(
    make_backend: Callable[..., Backend],
) -> None:
    """Every other endpoint is rejected, those of custom blueprints too."""
    backend = make_backend(host_blueprint())
    client = backend.bearer_client(
        sign_in_with_temporary_password(backend, "ada", "admin")["access_token"]
    )
    codes = {
        client.open(path, method=method).headers["WWW-Authenticate"]
        for method, path in guarded_routes(backend)
    }
    assert len(guarded_routes(backend)) > 15
    assert len(codes) == 1
    assert client.get("/plain").get_json()["code"] == "password_change_required"


def test_the_token_response_has_the_scope_of_a_password_change(backend: Backend) -> None:
    """No other response contains it."""
    assert sign_in_with_temporary_password(backend)["scope"] == "password:change"


def test_all_other_sessions_end_when_a_temporary_password_is_changed(backend: Backend) -> None:
    """Somebody who saw the password may have signed in with it; they end even if not requested."""
    thief, ada = sign_in_with_temporary_password(backend), backend.login("ada", password=MADE)
    body = {"current_password": MADE, "new_password": NEW_PASSWORD, "end_other_sessions": False}
    assert (
        backend.bearer_client(ada["access_token"]).post("/me/password", json=body).status_code
        == 200
    )
    stolen = {"refresh_token": thief["refresh_token"]}
    assert backend.client().post("/auth/refresh", json=stolen).status_code == 401


def test_a_changed_password_permits_everything(backend: Backend) -> None:
    """With the tokens of the response; older tokens are revoked."""
    tokens = sign_in_with_temporary_password(backend)
    response = change_password(backend.bearer_client(tokens["access_token"]))
    assert (
        backend.bearer_client(response.get_json()["access_token"]).get("/items").status_code == 200
    )
    assert backend.bearer_client(tokens["access_token"]).get("/items").status_code == 401


def test_a_changed_password_is_not_temporary(backend: Backend) -> None:
    """It does not expire, in this session and in the next (S-131)."""
    change_password(backend.bearer_client(sign_in_with_temporary_password(backend)["access_token"]))
    backend.clock.advance(days=400)
    assert backend.login("ada", password=NEW_PASSWORD)["scope"] == "items:read items:write"


def test_the_temporary_password_cannot_be_kept(backend: Backend) -> None:
    """Otherwise a password that others know would stay."""
    client = backend.bearer_client(sign_in_with_temporary_password(backend)["access_token"])
    assert change_password(client, new=MADE).status_code == 422
    assert client.get("/items").status_code == 403


def test_a_refresh_does_not_widen_the_scope(backend: Backend) -> None:
    """Whatever scope it requests; after the change it gives all."""
    refresh = sign_in_with_temporary_password(backend)["refresh_token"]
    body = {"refresh_token": refresh, "scope": "items:read"}
    tokens = backend.client().post("/auth/refresh", json=body).get_json()
    assert tokens["scope"] == "password:change"
    renewed = change_password(backend.bearer_client(tokens["access_token"])).get_json()
    body = {"refresh_token": renewed["refresh_token"]}
    assert "items:read" in backend.client().post("/auth/refresh", json=body).get_json()["scope"]


def test_introspection_reports_both_tokens_as_inactive(backend: Backend) -> None:
    """Otherwise a resource server would accept them (RFC 7662 section 2.2)."""
    tokens = sign_in_with_temporary_password(backend)
    admin = backend.signed_in_client("root", "admin")
    for kind in ("access_token", "refresh_token"):
        response = admin.post("/oauth/introspect", data={"token": tokens[kind]})
        assert response.get_json() == {"active": False}


def test_signing_out_works(backend: Backend) -> None:
    """With a temporary password too."""
    client = backend.bearer_client(sign_in_with_temporary_password(backend)["access_token"])
    assert client.post("/auth/logout").status_code == 204
    assert change_password(client).status_code == 401


def test_a_temporary_password_is_rejected_after_a_week(backend: Backend) -> None:
    """The response is that for a wrong password, to the last character (S-184)."""
    sign_in_with_temporary_password(backend)
    responses = []
    for password, days in ((MADE, 7), ("wrong wrong wrong", 0)):
        backend.clock.advance(days=days)
        body = {"username": "ada", "password": password}
        responses.append(backend.client().post("/auth/login", json=body))
    bodies = [{**response.get_json(), "request_id": ""} for response in responses]
    assert responses[0].status_code == 401
    assert bodies[0] == bodies[1]


def test_a_temporary_password_is_accepted_within_a_week(backend: Backend) -> None:
    """To its last second."""
    sign_in_with_temporary_password(backend)
    backend.clock.advance(days=7, seconds=-1)
    assert backend.login("ada", password=MADE)["scope"] == "password:change"


def test_a_session_of_a_temporary_password_ends_after_a_week(backend: Backend) -> None:
    """Neither a refresh nor a password change works."""
    backend.services.users.create(COMMAND_LINE, "ada", MADE, ("member",), temporary=True)
    backend.clock.advance(days=7, seconds=-10)
    tokens = backend.login("ada", password=MADE)
    backend.clock.advance(seconds=10)
    body = {"refresh_token": tokens["refresh_token"]}
    assert backend.client().post("/auth/refresh", json=body).status_code == 401
    assert change_password(backend.bearer_client(tokens["access_token"])).status_code == 422


def test_a_blueprint_cannot_use_the_scope_of_a_password_change(
    make_backend: Callable[..., Backend],
) -> None:
    """Otherwise an admin would have it, and could do nothing else."""
    page = Blueprint("host", __name__, scopes=[Scope("password:change", "Mine")])
    with pytest.raises(RulesInvalid, match="password:change is reserved"):
        make_backend(page)


@pytest.fixture(params=["development", "production"])
def shell(request: pytest.FixtureRequest, tmp_path: Path, database_url: str) -> Shell:
    """A shell in each profile."""
    strict = PRODUCTION if request.param == "production" else {}
    return shell_at(tmp_path, database_url=database_url, **strict)


def granted_scope(backend: Backend, password: str) -> str:
    """Sign in, and return the granted scope."""
    return str(backend.login("ada", password=password)["scope"])


@pytest.mark.parametrize("again", [False, True])
def test_a_generated_password_is_temporary_only_in_production(
    shell: Shell, backend: Backend, again: bool
) -> None:
    """In development the first request of a new developer needs no password change."""
    strict = "profile" in shell.settings
    done = shell.run("users", "add", "ada", "--role", "reader")
    if again:
        done = shell.run("users", "set-password", "ada")
    password = done.out.split("Password: ")[1].split()[0]
    assert granted_scope(backend, password) == ("password:change" if strict else "items:read")
    assert ("7 days" in done.out) == strict


@pytest.mark.parametrize("must", [False, True])
@pytest.mark.parametrize("again", [False, True])
def test_a_chosen_password_is_temporary_when_requested(
    shell: Shell, backend: Backend, again: bool, must: bool
) -> None:
    """In both profiles."""
    options = ["--password-stdin", *["--must-change"] * must]
    if again:
        shell.run("users", "add", "ada", "--role", "reader")
        shell.run("users", "set-password", "ada", *options, stdin=NEW_PASSWORD)
    else:
        shell.run("users", "add", "ada", "--role", "reader", *options, stdin=NEW_PASSWORD)
    assert granted_scope(backend, NEW_PASSWORD) == ("password:change" if must else "items:read")


@pytest.mark.parametrize("options", [{}, {"must_change": False}, {"must_change": True}])
@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize("changes", [{}, PRODUCTION])
def test_a_password_set_over_http_is_temporary_when_requested(
    make_backend: Callable[..., Backend],
    changes: dict[str, str],
    again: bool,
    options: dict[str, bool],
) -> None:
    """In both profiles, as on the command line."""
    backend = make_backend(**changes)
    root, payload = backend.signed_in_client("root", "admin"), {"password": NEW_PASSWORD} | options
    if again:
        ada = backend.create_user("ada", "reader")
        assert root.put(f"/users/{ada}/password", json=payload).status_code == 204
    else:
        body = payload | {"username": "ada", "roles": ["reader"]}
        assert root.post("/users", json=body).status_code == 201
    must = options.get("must_change", False)
    assert granted_scope(backend, NEW_PASSWORD) == ("password:change" if must else "items:read")


@pytest.mark.parametrize("profile", ["development", "production"])
def test_the_password_of_the_first_admin_is_temporary_in_production(
    make_backend: Callable[..., Backend], profile: str
) -> None:
    """As `serve --admin` creates it."""
    changes = PRODUCTION if profile == "production" else {}
    backend = make_backend(**changes)
    password = backend.services.users.create_first_admin("ada")
    assert password is not None
    assert (granted_scope(backend, password) == "password:change") == (profile == "production")
