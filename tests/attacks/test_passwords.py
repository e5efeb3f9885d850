"""Attacks on passwords: storing them weakly, learning them, changing them without knowing them."""

from collections.abc import Callable

import pytest
from argon2 import extract_parameters

from itemsapi.accounts.models import User
from itemsapi.accounts.predictability import common_passwords
from itemsapi.audit import AuditEvent
from itemsapi.rate_limits import AttemptCounter
from support.app_factory import PASSWORD, Backend
from support.operator_client import NEW_PASSWORD, operator_client

CANARY = "canary-4f1c9e-sings-in-the-mine"


def stored(backend: Backend, user_id: str) -> str:
    """Return what is stored of a password."""
    with backend.services.database.transaction() as tx:
        return tx.get_one(User, user_id).password_hash


def test_an_old_hash_is_renewed_at_sign_in(make_backend: Callable[..., Backend]) -> None:
    """When the parameters change (S-047)."""
    user_id = make_backend(argon2_time=3).create_user("ada", "member")
    backend = make_backend(argon2_time=4)
    backend.login("ada")
    assert extract_parameters(stored(backend, user_id)).time_cost == 4


def test_a_wrong_password_renews_nothing(make_backend: Callable[..., Backend]) -> None:
    """It would store what the attacker sent (S-047)."""
    backend = make_backend(argon2_time=3)
    user_id = backend.create_user("ada", "member")
    before = stored(backend, user_id)
    later = make_backend(argon2_time=4)
    later.client().post("/auth/login", json={"username": "ada", "password": "wrong"})
    assert stored(later, user_id) == before


@pytest.mark.parametrize("length", [257, 1000])
def test_an_over_long_password_is_no_password(backend: Backend, length: int) -> None:
    """It is not cut to one that matches, and refused for whatever name (S-040, S-184)."""
    backend.create_user("ada", password="x" * 256)
    told = [
        backend.client().post("/auth/login", json={"username": name, "password": "x" * length})
        for name in ("ada", "nobody")
    ]
    assert [answer.status_code for answer in told] == [422, 422]
    assert told[0].get_json()["errors"] == told[1].get_json()["errors"]


@pytest.mark.parametrize("length", [64, 72, 73, 128, 129, 255, 256])
def test_a_long_password_is_taken_whole(backend: Backend, length: int) -> None:
    """At every door alike (S-040)."""
    backend.create_user("ada", password="x" * length)
    assert backend.login("ada", password="x" * length)
    wish = {"username": "ada", "password": "x" * (length - 1)}
    assert backend.client().post("/auth/login", json=wish).status_code == 401


def test_one_that_grows_too_long_in_its_normal_form_is_no_password(backend: Backend) -> None:
    """U+0958 becomes two code points; nobody could have set it (S-040)."""
    backend.create_user("ada")
    wish = {"username": "ada", "password": "\u0958" * 256}
    assert backend.client().post("/auth/login", json=wish).status_code == 401


def test_a_megabyte_costs_no_hash(backend: Backend) -> None:
    """The body is too long before it is a password (S-048)."""
    wish = {"username": "ada", "password": "x" * 1_000_000}
    assert backend.client().post("/auth/login", json=wish).status_code in {413, 422}


def test_common_passwords_are_refused_at_every_door(backend: Backend) -> None:
    """Creation, change and reset (S-041)."""
    bad = next(word for word in sorted(common_passwords()) if len(word) >= 15)
    ada = backend.create_user("ada", "member")
    client = operator_client(backend, "users:write", "items:read", "items:write")
    doors = [
        client.post("/users", json={"username": "eve", "password": bad}),
        client.put(f"/users/{ada}/password", json={"password": bad}),
        client.post("/me/password", json={"current_password": PASSWORD, "new_password": bad}),
    ]
    assert [answer.status_code for answer in doors] == [422, 422, 422]


def test_no_password_is_stored_in_clear_or_logged(
    capsys: pytest.CaptureFixture[str], backend: Backend
) -> None:
    """Right ones, wrong ones, and those typed as user name (S-150)."""
    backend.create_user("ada", "member", password=CANARY)
    tries = [("ada", CANARY), ("ada", f"{CANARY}!"), (CANARY, CANARY)]
    for username, password in tries:
        backend.client().post("/auth/login", json={"username": username, "password": password})
    assert CANARY not in capsys.readouterr().err
    assert CANARY not in rows(backend)


def rows(backend: Backend) -> str:
    """Return all that is written down about people, events and tries, as text."""
    with backend.services.database.reading() as connection:
        tables = [model.core() for model in (User, AuditEvent, AttemptCounter)]
        return str([connection.execute(table.select()).all() for table in tables])


def test_no_secret_shows_in_what_is_printed(backend: Backend) -> None:
    """Neither settings, services nor configuration (S-148)."""
    secret = backend.services.settings.secret_key
    shown = f"{backend.services!r}{backend.app.config!r}{backend.services.issuer!r}"
    assert secret not in shown


def test_no_token_is_logged(capsys: pytest.CaptureFixture[str], backend: Backend) -> None:
    """Neither the access nor the refresh token (S-150)."""
    backend.create_user("ada", "member")
    tokens = backend.login("ada")
    backend.client().post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]})
    logged = capsys.readouterr().err
    assert tokens["access_token"] not in logged
    assert tokens["refresh_token"] not in logged


def test_a_stolen_token_does_not_set_a_password(backend: Backend) -> None:
    """Without the current one there is no way to another (S-042)."""
    client = backend.signed_in_client("root", "admin")
    me = backend.services.users.get_by_name("root").id
    answer = client.put(f"/users/{me}/password", json={"password": NEW_PASSWORD})
    assert answer.status_code == 403
    assert backend.login("root")


def test_a_user_name_forges_no_log_line(
    capsys: pytest.CaptureFixture[str], backend: Backend
) -> None:
    """Line breaks and escapes are not written (S-151)."""
    name = 'x\r\n{"event":"forged"}\x1b[2J'
    backend.client().post("/auth/login", json={"username": name, "password": "wrong"})
    assert "forged" not in capsys.readouterr().err
