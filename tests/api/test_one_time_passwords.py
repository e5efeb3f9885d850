"""A password that itemsapi made is good for a week in production, to set another one (S-119)."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from itemsapi import Blueprint, Scope, requires, signed_in
from itemsapi.accounts.permissions import COMMAND_LINE
from itemsapi.gate.rulebook import UnguardedRoute
from support.app_factory import Backend
from support.command_line import Shell, shell_at
from support.operator_client import NEW_PASSWORD

MADE = "a-password-made-for-ada"
PRODUCTION = {"profile": "production", "public_url": "https://api.example"}


def made_for(backend: Backend, name: str = "ada", *roles: str) -> dict[str, Any]:
    """Create a user with a one-time password and sign in with it."""
    backend.services.users.create(COMMAND_LINE, name, MADE, roles or ("member",), temporary=True)
    return backend.login(name, password=MADE)


def changed(client: FlaskClient, new: str = NEW_PASSWORD, current: str = MADE) -> TestResponse:
    """Ask for another password."""
    body = {"current_password": current, "new_password": new}
    return client.post("/me/password", json=body)


def host_page() -> Blueprint:
    """Return a page of a host's own, which knows nothing of one-time passwords."""
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


def guarded(backend: Backend) -> list[tuple[str, str]]:
    """List every method and path behind the gate but the one that a one-time password opens."""
    some = "01960a3b-9a10-7f02-8a55-6b1f0c9d2e10"
    rules = backend.app.extensions["itemsapi.rulebook"].entries
    found = [(one.method, one.path) for one in rules if one.rule.takes_access_token]
    paths = [(method, path.replace("<id:item_id>", some)) for method, path in found]
    return [(m, p) for m, p in paths if p != "/me/password" and "<" not in p]


def test_nothing_opens_but_a_change_of_it(make_backend: Callable[..., Backend]) -> None:
    """Every endpoint behind the gate, a host's own among them, and none is named for it."""
    backend = make_backend(host_page())
    client = backend.bearer_client(made_for(backend, "ada", "admin")["access_token"])
    codes = {
        client.open(path, method=method).headers["WWW-Authenticate"]
        for method, path in guarded(backend)
    }
    assert len(guarded(backend)) > 15
    assert len(codes) == 1
    assert client.get("/plain").get_json()["code"] == "password_change_required"


def test_the_answer_says_what_the_token_is_for(backend: Backend) -> None:
    """A program reads it from `scope`; nobody else finds a scope there that they know."""
    assert made_for(backend)["scope"] == "password:change"


def test_every_other_session_of_it_ends_with_it(backend: Backend) -> None:
    """Who saw the password on its way may have signed in with it; asked or not."""
    thief, ada = made_for(backend), backend.login("ada", password=MADE)
    body = {"current_password": MADE, "new_password": NEW_PASSWORD, "end_other_sessions": False}
    assert (
        backend.bearer_client(ada["access_token"]).post("/me/password", json=body).status_code
        == 200
    )
    stolen = {"refresh_token": thief["refresh_token"]}
    assert backend.client().post("/auth/refresh", json=stolen).status_code == 401


def test_another_password_opens_the_rest(backend: Backend) -> None:
    """With the tokens of the answer; those from before are revoked."""
    tokens = made_for(backend)
    answer = changed(backend.bearer_client(tokens["access_token"]))
    assert backend.bearer_client(answer.get_json()["access_token"]).get("/items").status_code == 200
    assert backend.bearer_client(tokens["access_token"]).get("/items").status_code == 401


def test_another_password_is_no_one_time_one(backend: Backend) -> None:
    """It is good for ever, in this session and in the next (S-131)."""
    changed(backend.bearer_client(made_for(backend)["access_token"]))
    backend.clock.advance(days=400)
    assert backend.login("ada", password=NEW_PASSWORD)["scope"] == "items:read items:write"


def test_the_same_password_is_no_change(backend: Backend) -> None:
    """Or what was made for somebody would be theirs for ever."""
    client = backend.bearer_client(made_for(backend)["access_token"])
    assert changed(client, new=MADE).status_code == 422
    assert client.get("/items").status_code == 403


def test_a_refresh_gives_no_more(backend: Backend) -> None:
    """Whatever scope it asks for; after the change it gives all."""
    refresh = made_for(backend)["refresh_token"]
    body = {"refresh_token": refresh, "scope": "items:read"}
    tokens = backend.client().post("/auth/refresh", json=body).get_json()
    assert tokens["scope"] == "password:change"
    renewed = changed(backend.bearer_client(tokens["access_token"])).get_json()
    body = {"refresh_token": renewed["refresh_token"]}
    assert "items:read" in backend.client().post("/auth/refresh", json=body).get_json()["scope"]


def test_introspection_calls_neither_token_active(backend: Backend) -> None:
    """Whoever asks would let it in (RFC 7662 section 2.2)."""
    tokens = made_for(backend)
    admin = backend.signed_in_client("root", "admin")
    for kind in ("access_token", "refresh_token"):
        answer = admin.post("/oauth/introspect", data={"token": tokens[kind]})
        assert answer.get_json() == {"active": False}


def test_signing_out_works(backend: Backend) -> None:
    """Nobody is held in a session."""
    client = backend.bearer_client(made_for(backend)["access_token"])
    assert client.post("/auth/logout").status_code == 204
    assert changed(client).status_code == 401


def test_after_a_week_it_is_a_wrong_password(backend: Backend) -> None:
    """The same answer, to the last word (S-184)."""
    made_for(backend)
    answers = []
    for password, days in ((MADE, 7), ("wrong wrong wrong", 0)):
        backend.clock.advance(days=days)
        body = {"username": "ada", "password": password}
        answers.append(backend.client().post("/auth/login", json=body))
    said = [{**answer.get_json(), "request_id": ""} for answer in answers]
    assert answers[0].status_code == 401
    assert said[0] == said[1]


def test_within_the_week_it_is_right(backend: Backend) -> None:
    """To its last second."""
    made_for(backend)
    backend.clock.advance(days=7, seconds=-1)
    assert backend.login("ada", password=MADE)["scope"] == "password:change"


def test_after_a_week_no_session_of_it_goes_on(backend: Backend) -> None:
    """Neither by refreshing nor by a change with the token that is left."""
    backend.services.users.create(COMMAND_LINE, "ada", MADE, ("member",), temporary=True)
    backend.clock.advance(days=7, seconds=-10)
    tokens = backend.login("ada", password=MADE)
    backend.clock.advance(seconds=10)
    body = {"refresh_token": tokens["refresh_token"]}
    assert backend.client().post("/auth/refresh", json=body).status_code == 401
    assert changed(backend.bearer_client(tokens["access_token"])).status_code == 422


def test_a_page_cannot_take_its_scope(make_backend: Callable[..., Backend]) -> None:
    """An admin would have it, and be shut out of all the rest."""
    page = Blueprint("host", __name__, scopes=[Scope("password:change", "Mine")])
    with pytest.raises(UnguardedRoute, match="password:change is kept"):
        make_backend(page)


@pytest.fixture(params=["development", "production"])
def shell(request: pytest.FixtureRequest, tmp_path: Path, database_url: str) -> Shell:
    """A shell in each profile."""
    strict = PRODUCTION if request.param == "production" else {}
    return shell_at(tmp_path, database_url=database_url, **strict)


def scope_of(backend: Backend, password: str) -> str:
    """Sign in, and return what that is good for."""
    return str(backend.login("ada", password=password)["scope"])


@pytest.mark.parametrize("again", [False, True])
def test_a_made_password_is_used_once_in_production_alone(
    shell: Shell, backend: Backend, again: bool
) -> None:
    """In development a newcomer's first request meets no hurdle, and no word of it."""
    strict = "profile" in shell.settings
    done = shell.run("users", "add", "ada", "--role", "reader")
    if again:
        done = shell.run("users", "set-password", "ada")
    password = done.out.split("Password: ")[1].split()[0]
    assert scope_of(backend, password) == ("password:change" if strict else "items:read")
    assert ("7 days" in done.out) == strict


@pytest.mark.parametrize("must", [False, True])
@pytest.mark.parametrize("again", [False, True])
def test_a_given_password_is_as_the_operator_wants_it(
    shell: Shell, backend: Backend, again: bool, must: bool
) -> None:
    """In both profiles."""
    words = ["--password-stdin", *["--must-change"] * must]
    if again:
        shell.run("users", "add", "ada", "--role", "reader")
        shell.run("users", "set-password", "ada", *words, stdin=NEW_PASSWORD)
    else:
        shell.run("users", "add", "ada", "--role", "reader", *words, stdin=NEW_PASSWORD)
    assert scope_of(backend, NEW_PASSWORD) == ("password:change" if must else "items:read")


@pytest.mark.parametrize("more", [{}, {"must_change": False}, {"must_change": True}])
@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize("changes", [{}, PRODUCTION])
def test_a_password_that_is_sent_is_as_the_operator_wants_it(
    make_backend: Callable[..., Backend],
    changes: dict[str, str],
    again: bool,
    more: dict[str, bool],
) -> None:
    """In both profiles, as on the command line."""
    backend = make_backend(**changes)
    root, wish = backend.signed_in_client("root", "admin"), {"password": NEW_PASSWORD} | more
    if again:
        ada = backend.create_user("ada", "reader")
        assert root.put(f"/users/{ada}/password", json=wish).status_code == 204
    else:
        body = wish | {"username": "ada", "roles": ["reader"]}
        assert root.post("/users", json=body).status_code == 201
    must = more.get("must_change", False)
    assert scope_of(backend, NEW_PASSWORD) == ("password:change" if must else "items:read")


@pytest.mark.parametrize("profile", ["development", "production"])
def test_the_first_admins_password_is_used_once_in_production(
    make_backend: Callable[..., Backend], profile: str
) -> None:
    """As `serve --admin` makes it."""
    changes = PRODUCTION if profile == "production" else {}
    backend = make_backend(**changes)
    password = backend.services.users.create_first_admin("ada")
    assert password is not None
    assert (scope_of(backend, password) == "password:change") == (profile == "production")
