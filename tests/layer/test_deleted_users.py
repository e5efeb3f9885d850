"""What a user of an application leaves behind: sessions end, and API keys reach nobody else."""

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import delete, update
from sqlalchemy.orm import Session

from itemsapi.db import sqlite
from itemsapi.issuer.sessions import list_open_sessions
from itemsapi.problems import DatabaseUnavailable, TokenInvalid
from support.host_app import Host, HostUser, MakeHost, cheap_hash


@pytest.fixture
def host(make_host: MakeHost) -> Host:
    """An application whose users make API keys."""
    return make_host(include={"api_keys"})


def make_key(host: Host, tokens: dict[str, Any]) -> str:
    """Make a key of the signed-in user; return it."""
    body = {"name": "export", "scopes": ["orders:read"]}
    response = host.client(tokens).post("/me/api-keys", json=body)
    assert response.status_code == 201, response.get_json()
    return str(response.get_json()["key"])


def try_key(host: Host, key: str) -> int:
    """Return the status of a request with a key, in a process that does not remember it."""
    host.services.api_key_lookup._remembered.clear()  # noqa: SLF001 - as after a second
    client: FlaskClient = host.app.test_client()
    return client.get("/orders", headers={"Authorization": f"Bearer {key}"}).status_code


def events(host: Host, name: str) -> list[str | None]:
    """Return the users of the audit events of one name."""
    latest = host.services.audit.latest(before=None, limit=20)
    return [event.user_id for event in latest if event.event == name]


def count_open_sessions(host: Host, user_id: object) -> int:
    """Return the number of a user's sessions."""
    return len(list_open_sessions(host.services.issuer, str(user_id)))


def test_a_key_does_not_reach_the_next_user_with_the_id(host: Host) -> None:
    """S-122: SQLite gives the id of the newest user again; the application tells of the end."""
    user_id = host.create_user()
    key = make_key(host, host.login())
    host.delete_user(user_id)
    host.users_changed(user_id)
    host.create_user("mallory", id=user_id)
    assert try_key(host, key) == 401
    assert events(host, "api_key_revoked") == [str(user_id)]


@pytest.mark.parametrize("told_by", ["key", "refresh"])
def test_a_key_is_revoked_for_good_once_its_user_was_missing(host: Host, told_by: str) -> None:
    """S-122: also if the application said nothing."""
    user_id = host.create_user()
    tokens = host.login()
    key = make_key(host, tokens)
    host.delete_user(user_id)
    found = try_key(host, key) if told_by == "key" else host.refresh(tokens).status_code
    host.create_user("mallory", id=user_id)
    assert (found, try_key(host, key)) == (401, 401)


def test_sessions_end_once_the_user_was_missing(host: Host) -> None:
    """S-122: a user who comes back with the same password has none of them."""
    user_id, tokens = host.create_user(), host.login()
    kept = host.stored_hash(user_id)
    host.delete_user(user_id)
    host.refresh(tokens)
    host.create_user(id=user_id, password_hash=kept)
    assert host.refresh(tokens).status_code == 401


def end_by_call(host: Host, user_id: int) -> None:
    """Delete a user and tell the layer."""
    host.delete_user(user_id)
    host.users_changed(user_id)


def end_by_key(host: Host, user_id: int) -> None:
    """Delete a user, and let the layer find it out while the id belongs to nobody."""
    key = make_key(host, host.login())
    host.delete_user(user_id)
    try_key(host, key)


@pytest.mark.parametrize("end", [end_by_call, end_by_key, Host.delete_user])
def test_no_key_is_made_when_its_user_is_deleted_after_the_gate(
    host: Host, end: Callable[[Host, int], None]
) -> None:
    """S-122: nothing would revoke it, and it would reach the next user with the id."""
    user_id, tokens = host.create_user(), host.login()
    token = host.services.token_codec.verify_access_token(tokens["access_token"])
    end(host, user_id)
    if end != Host.delete_user:
        host.create_user("mallory", id=user_id)
    with pytest.raises(TokenInvalid):
        host.services.api_keys.create(token, name="export", scopes=["orders:read"], days=1)


@pytest.mark.parametrize("is_flushed", [True, False])
def test_a_user_who_is_deleted_in_the_joined_transaction_is_missing(
    host: Host,
    is_flushed: bool,
) -> None:
    """S-122: both are committed together, and the layer sees what is not committed yet."""
    user_id = host.create_user()
    key = make_key(host, host.login())
    with host.app.app_context(), Session(host.engine, autoflush=False) as session:
        session.delete(session.get_one(HostUser, user_id))
        if is_flushed:
            session.flush()
        host.auth.users_changed(user_id, connection=session)
        session.commit()
    host.create_user("mallory", id=user_id)
    assert try_key(host, key) == 401


def test_a_key_stays_good_when_the_deletion_is_rolled_back(host: Host) -> None:
    """The revocation is part of the transaction of the application."""
    user_id = host.create_user()
    key = make_key(host, host.login())
    with host.app.app_context(), host.engine.connect() as connection:
        connection.execute(delete(HostUser))
        host.auth.users_changed(user_id, connection=connection)
        connection.rollback()
    assert try_key(host, key) == 200


def test_the_sessions_of_a_disabled_user_end_when_the_application_says_so(host: Host) -> None:
    """S-067: they do not come back with the user."""
    user_id, tokens = host.create_user(), host.login()
    host.change_user(user_id, active=False)
    host.users_changed(user_id)
    host.change_user(user_id, active=True)
    assert (host.refresh(tokens).status_code, count_open_sessions(host, user_id)) == (401, 0)


def test_the_keys_of_a_disabled_user_come_back_with_the_user(host: Host) -> None:
    """S-163: as they do for the layer's own users."""
    user_id = host.create_user()
    key = make_key(host, host.login())
    host.change_user(user_id, active=False)
    host.users_changed(user_id)
    off = try_key(host, key)
    host.change_user(user_id, active=True)
    assert (off, try_key(host, key)) == (401, 200)


def test_the_keys_and_sessions_of_others_stay_when_users_are_missing(host: Host) -> None:
    """Of several changed users, only those who are gone lose them."""
    gone, other = host.create_user(), host.create_user("alan")
    host.login()
    key = make_key(host, host.login("alan"))
    host.delete_user(gone)
    host.users_changed(other, gone)
    assert (try_key(host, key), count_open_sessions(host, other)) == (200, 1)


def test_a_key_outlives_a_change_of_the_password(host: Host) -> None:
    """S-163: a program is not signed out; users revoke a key that they do not trust."""
    user_id = host.create_user()
    key = make_key(host, host.login())
    host.change_user(user_id, password_hash=cheap_hash("another password"))
    host.users_changed(user_id)
    assert try_key(host, key) == 200


@pytest.mark.parametrize("user_id", ["", "x" * 129, "a\0b", "\ud800"])
def test_an_id_that_no_token_can_have_changes_nothing(host: Host, user_id: str) -> None:
    """And is no error of the database."""
    host.users_changed(user_id)
    assert events(host, "authz_change") == []


@pytest.mark.dialect("sqlite")
def test_the_error_says_what_to_pass_when_the_application_keeps_a_write_open(
    make_host: MakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the log and in the traceback: the layer cannot write before the application commits."""
    monkeypatch.setitem(sqlite.CONNECT_ARGS, "timeout", 0.1)
    host = make_host()
    user_id = host.create_user()
    with host.engine.begin() as connection:
        connection.execute(update(HostUser).values(active=False))
        with pytest.raises(DatabaseUnavailable) as raised:
            host.users_changed(user_id)
    assert "pass it as connection=" in raised.value.cause
    assert raised.value.__notes__ == [raised.value.cause]
