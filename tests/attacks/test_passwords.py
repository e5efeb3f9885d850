"""Attacks on passwords: how they are stored, logged and changed."""

from collections.abc import Callable

import pytest
from argon2 import extract_parameters

from itemsapi.accounts.models import User
from itemsapi.accounts.predictability import common_passwords
from itemsapi.attempt_limits import AttemptCounter
from itemsapi.audit import AuditEvent
from itemsapi.testing import PASSWORD
from support.app_factory import Backend
from support.operator_client import NEW_PASSWORD, operator_client

CANARY = "canary-4f1c9e-sings-in-the-mine"


def stored_hash(backend: Backend, user_id: str) -> str:
    """Return the stored hash of a password."""
    with backend.services.database.transaction() as tx:
        return tx.get_one(User, user_id).password_hash


def test_an_old_hash_is_renewed_at_sign_in(make_backend: Callable[..., Backend]) -> None:
    """When the parameters change (S-047)."""
    user_id = make_backend(argon2_time=3).create_user("ada", "member")
    backend = make_backend(argon2_time=4)
    backend.login("ada")
    assert extract_parameters(stored_hash(backend, user_id)).time_cost == 4


def test_a_wrong_password_renews_no_hash(make_backend: Callable[..., Backend]) -> None:
    """It would store the attacker's password (S-047)."""
    backend = make_backend(argon2_time=3)
    user_id = backend.create_user("ada", "member")
    before = stored_hash(backend, user_id)
    later = make_backend(argon2_time=4)
    later.client().post("/auth/login", json={"username": "ada", "password": "wrong"})
    assert stored_hash(later, user_id) == before


@pytest.mark.parametrize("length", [257, 1000])
def test_a_sign_in_fails_when_the_password_is_too_long(backend: Backend, length: int) -> None:
    """It is not truncated, and fails for every name (S-040, S-184)."""
    backend.create_user("ada", password="x" * 256)
    responses = [
        backend.client().post("/auth/login", json={"username": name, "password": "x" * length})
        for name in ("ada", "nobody")
    ]
    assert [response.status_code for response in responses] == [422, 422]
    assert responses[0].get_json()["errors"] == responses[1].get_json()["errors"]


@pytest.mark.parametrize("length", [64, 72, 73, 128, 129, 255, 256])
def test_a_long_password_is_compared_completely(backend: Backend, length: int) -> None:
    """At every endpoint (S-040)."""
    backend.create_user("ada", password="x" * length)
    assert backend.login("ada", password="x" * length)
    credentials = {"username": "ada", "password": "x" * (length - 1)}
    assert backend.client().post("/auth/login", json=credentials).status_code == 401


def test_a_sign_in_fails_when_the_normalized_password_is_too_long(backend: Backend) -> None:
    """U+0958 becomes two code points; nobody could have set it (S-040)."""
    backend.create_user("ada")
    credentials = {"username": "ada", "password": "\u0958" * 256}
    assert backend.client().post("/auth/login", json=credentials).status_code == 401


def test_a_password_of_a_megabyte_is_not_hashed(backend: Backend) -> None:
    """The body is too long (S-048)."""
    credentials = {"username": "ada", "password": "x" * 1_000_000}
    assert backend.client().post("/auth/login", json=credentials).status_code in {413, 422}


def test_a_common_password_is_rejected_at_every_endpoint(backend: Backend) -> None:
    """Creation, change and reset (S-041)."""
    common = next(password for password in sorted(common_passwords()) if len(password) >= 15)
    ada = backend.create_user("ada", "member")
    client = operator_client(backend, "users:write", "items:read", "items:write")
    responses = [
        client.post("/users", json={"username": "eve", "password": common}),
        client.put(f"/users/{ada}/password", json={"password": common}),
        client.post("/me/password", json={"current_password": PASSWORD, "new_password": common}),
    ]
    assert [response.status_code for response in responses] == [422, 422, 422]


def test_no_password_is_stored_or_logged_in_plain_text(
    capsys: pytest.CaptureFixture[str], backend: Backend
) -> None:
    """Right ones, wrong ones, and those entered as username (S-150)."""
    backend.create_user("ada", "member", password=CANARY)
    attempts = [("ada", CANARY), ("ada", f"{CANARY}!"), (CANARY, CANARY)]
    for username, password in attempts:
        backend.client().post("/auth/login", json={"username": username, "password": password})
    assert CANARY not in capsys.readouterr().err
    assert CANARY not in rows(backend)


def rows(backend: Backend) -> str:
    """Return all stored rows about users, events and attempts, as text."""
    with backend.services.database.reading() as connection:
        tables = [model.core() for model in (User, AuditEvent, AttemptCounter)]
        return str([connection.execute(table.select()).all() for table in tables])


def test_no_secret_is_in_a_repr(backend: Backend) -> None:
    """Neither of settings, services nor configuration (S-148)."""
    secret = backend.services.settings.secret_key
    text = f"{backend.services!r}{backend.app.config!r}{backend.services.issuer!r}"
    assert secret not in text


def test_no_token_is_logged(capsys: pytest.CaptureFixture[str], backend: Backend) -> None:
    """Neither the access nor the refresh token (S-150)."""
    backend.create_user("ada", "member")
    tokens = backend.login("ada")
    backend.client().post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]})
    logged = capsys.readouterr().err
    assert tokens["access_token"] not in logged
    assert tokens["refresh_token"] not in logged


def test_a_stolen_token_cannot_change_the_password(backend: Backend) -> None:
    """The current password is required (S-042)."""
    client = backend.signed_in_client("root", "admin")
    me = backend.services.users.get_by_name("root").id
    response = client.put(f"/users/{me}/password", json={"password": NEW_PASSWORD})
    assert response.status_code == 403
    assert backend.login("root")


def test_a_username_cannot_forge_a_log_line(
    capsys: pytest.CaptureFixture[str], backend: Backend
) -> None:
    """Line breaks and escape sequences are escaped (S-151)."""
    name = 'x\r\n{"event":"forged"}\x1b[2J'
    backend.client().post("/auth/login", json={"username": name, "password": "wrong"})
    assert "forged" not in capsys.readouterr().err
