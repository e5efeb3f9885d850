"""`auth.users_changed(connection=)`: it happens at the commit of the application's transaction."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, create_engine, delete, event, insert, select, text, update
from sqlalchemy.exc import DataError
from sqlalchemy.orm import Session

from itemsapi import SqlUsers, UserAccount
from itemsapi.issuer.sessions import list_open_sessions
from itemsapi.problems import DatabaseUnavailable, Problem
from itemsapi.testing import PASSWORD
from support.host_app import Host, HostUser, MakeHost, cheap_hash
from support.log_records import LogRecords
from support.manual_timer import ManualTimer
from support.race import race


@pytest.fixture
def host(make_host: MakeHost) -> Host:
    """An application whose users make API keys."""
    return make_host(include={"api_keys"})


@pytest.fixture(autouse=True)
def in_app(host: Host) -> Iterator[None]:
    """Run each test in the context of the application."""
    with host.app.app_context():
        yield


def status(host: Host, tokens: dict[str, Any], timer: ManualTimer) -> int:
    """Return the status of a request once every process has read the revocations."""
    timer.advance(1.1)
    return host.client(tokens).get("/orders").status_code


@pytest.mark.parametrize("end", ["commit", "rollback", "savepoint"])
def test_tokens_are_refused_only_once_the_application_has_committed(
    host: Host, timer: ManualTimer, end: str
) -> None:
    """S-183: not before, and not if it takes the change back."""
    user_id, tokens = host.create_user(), host.login()
    with host.engine.connect() as connection:
        connection.execute(update(HostUser).values(scopes="orders:read"))
        savepoint = connection.begin_nested()
        host.auth.users_changed(user_id, connection=connection)
        before = status(host, tokens, timer)
        savepoint.rollback() if end == "savepoint" else savepoint.commit()
        connection.rollback() if end == "rollback" else connection.commit()
    assert (before, status(host, tokens, timer)) == (200, 401 if end == "commit" else 200)


@pytest.mark.postgres
@pytest.mark.dialect("postgresql")
def test_the_first_of_two_phases_contains_the_revocation(host: Host) -> None:
    """Nothing can be written after it."""
    user_id, counts = host.create_user(), []

    def look(connection: Connection, _: object) -> None:
        counts.append(connection.scalar(text("SELECT count(*) FROM itemsapi_revocation")))
        raise ZeroDivisionError  # by default a server prepares no transactions

    with host.engine.connect() as connection:
        transaction = connection.begin_twophase()
        host.auth.users_changed(user_id, connection=connection)
        event.listen(connection, "prepare_twophase", look)
        with suppress(ZeroDivisionError):
            transaction.prepare()
        transaction.rollback()
    assert counts == [1]


@pytest.mark.postgres
@pytest.mark.dialect("postgresql")
def test_a_transaction_in_two_phases_is_committed_without_the_first(
    host: Host, timer: ManualTimer
) -> None:
    """SQLAlchemy does so if it was not prepared."""
    user_id, tokens = host.create_user(), host.login()
    with host.engine.connect() as connection:
        transaction = connection.begin_twophase()
        host.auth.users_changed(user_id, connection=connection)
        transaction.commit()
    assert status(host, tokens, timer) == 401


def test_a_token_of_a_user_who_was_read_before_the_commit_is_refused(
    make_host: MakeHost, timer: ManualTimer
) -> None:
    """S-183: the sign-in goes on after the commit, with what it read before."""
    jobs: list[Callable[[], None]] = []

    def scopes(_: object) -> list[str]:
        if jobs:
            jobs.pop()()
        return ["orders:read"]

    host = make_host(scopes=scopes)
    user_id = host.create_user()

    def change() -> None:
        with host.app.app_context(), host.engine.begin() as connection:
            host.auth.users_changed(user_id, connection=connection)

    jobs.append(change)
    assert (status(host, host.login(), timer), status(host, host.login(), timer)) == (401, 200)


def test_a_later_change_of_the_same_transaction_counts(host: Host, timer: ManualTimer) -> None:
    """S-067: the users are read as the transaction leaves them."""
    user_id, tokens = host.create_user(), host.login()
    with Session(host.engine) as session:
        host.auth.users_changed(user_id, connection=session)
        session.get_one(HostUser, user_id).active = False
        host.auth.users_changed(user_id, connection=session)
        session.commit()
    assert list_open_sessions(host.services.issuer, str(user_id)) == []
    assert status(host, tokens, timer) == 401


def test_a_user_who_was_missing_once_loses_the_keys_although_the_id_returns(
    host: Host, timer: ManualTimer
) -> None:
    """S-122: in one transaction the id goes to another user."""
    user_id, tokens = host.create_user(), host.login()
    body = {"name": "export", "scopes": ["orders:read"]}
    key = host.client(tokens).post("/me/api-keys", json=body).get_json()["key"]
    with host.engine.connect() as connection:
        connection.execute(delete(HostUser))
        host.auth.users_changed(user_id, connection=connection)
        mallory = {"id": user_id, "username": "mallory", "password_hash": cheap_hash()}
        connection.execute(insert(HostUser).values(mallory))
        host.auth.users_changed(user_id, connection=connection)
        connection.commit()
    assert status(host, {"access_token": key}, timer) == 401


@pytest.mark.dialect("sqlite")
def test_a_user_is_read_in_the_transaction_whatever_the_url_of_its_database_is(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S-067: a path, like a server, is written in several ways."""
    user_id, _ = host.create_user(), host.login()
    file = Path(str(host.engine.url.database))
    monkeypatch.chdir(file.parent)
    engine = create_engine(f"sqlite:///{file.name}")
    with engine.begin() as connection:
        connection.execute(delete(HostUser))
        host.auth.users_changed(user_id, connection=connection)
    engine.dispose()
    assert list_open_sessions(host.services.issuer, str(user_id)) == []


@pytest.mark.parametrize("name", ["before_flush", "after_flush"])
def test_a_handler_of_the_flush_tells_of_a_change(host: Host, name: str) -> None:
    """S-067: also before the change is written."""
    user_id, _ = host.create_user(), host.login()
    with Session(host.engine) as session:
        tell = lambda *_: host.auth.users_changed(user_id, connection=session)  # noqa: E731
        event.listen(session, name, tell)
        session.get_one(HostUser, user_id).active = False
        session.commit()
    assert list_open_sessions(host.services.issuer, str(user_id)) == []


def test_users_that_read_with_the_committing_session_do_not_end_its_commit(host: Host) -> None:
    """They are read at the call only: a session that commits reads nothing."""
    user_id, _ = host.create_user(), host.login()

    class PlainUsers:
        def find_by_id(self, user_id: str) -> UserAccount:
            user = host.session.get_one(HostUser, int(user_id))
            return UserAccount(user_id, user.username, user.password_hash, bool(user.active))

    object.__setattr__(host.services.issuer.users, "users", PlainUsers())
    host.session.execute(update(HostUser).values(active=False))
    host.auth.users_changed(user_id, connection=host.session)
    host.session.commit()
    assert list_open_sessions(host.services.issuer, str(user_id)) == []


@pytest.mark.postgres
@pytest.mark.dialect("postgresql")
def test_two_transactions_that_change_the_same_users_both_commit(host: Host) -> None:
    """In whatever order they tell of them: the locks are taken in one order, at the commit."""
    users = [host.create_user(name) for name in ("ada", "grace")]

    def change(order: list[int]) -> Callable[[], object]:
        def run() -> None:
            with host.app.app_context(), host.engine.begin() as connection:
                for user_id in order:
                    host.auth.users_changed(user_id, connection=connection)
                    connection.execute(text("SELECT pg_sleep(0.05)"))

        return run

    outcomes = race(*[change(users), change(users[::-1])] * 3, catch=Problem)
    assert outcomes == [None] * 6


@pytest.mark.postgres
@pytest.mark.dialect("postgresql")
def test_a_user_signs_out_while_a_transaction_of_the_application_is_open(host: Host) -> None:
    """It holds no lock of the layer before its commit, however long it goes on."""
    user_id, _ = host.create_user("ada"), host.create_user()
    client = host.client(host.login())
    with host.engine.connect() as connection:
        host.auth.users_changed(user_id, connection=connection)
        assert client.post("/auth/logout").status_code == 204


@pytest.mark.postgres
@pytest.mark.dialect("postgresql")
def test_a_changed_user_sets_a_password_while_the_transaction_is_open(host: Host) -> None:
    """Nobody waits for the user before the commit."""
    user_id = host.create_user()
    body = {"current_password": PASSWORD, "new_password": "seven quiet geese cross the river"}
    client = host.client(host.login())
    with host.engine.connect() as connection:
        host.auth.users_changed(user_id, connection=connection)
        assert client.post("/me/password", json=body).status_code == 200


@pytest.mark.postgres
@pytest.mark.dialect("postgresql")
@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
def test_a_transaction_with_a_snapshot_is_refused(host: Host, level: str) -> None:
    """S-183: it would write a revocation below one that others have read, and miss sessions."""
    user_id = host.create_user()
    with host.engine.connect().execution_options(isolation_level=level) as connection:
        with pytest.raises(ValueError, match=rf"{level}: call it without connection="):
            host.auth.users_changed(user_id, connection=connection)
        host.auth.record("order_placed", connection=connection)
        connection.commit()
    assert host.services.audit.latest(before=None, limit=1)[0].event == "order_placed"


@pytest.mark.postgres
@pytest.mark.dialect("postgresql")
def test_nothing_is_committed_if_the_revocation_fails(host: Host) -> None:
    """The commit of the application raises, so nobody believes that the user was disabled."""
    user_id = host.create_user()
    with Session(host.engine) as session:
        session.get_one(HostUser, user_id).active = False
        host.auth.users_changed(user_id, connection=session)
        session.execute(text("ALTER TABLE itemsapi_session RENAME TO gone"))
        with pytest.raises(DatabaseUnavailable):
            session.commit()
    with host.engine.begin() as connection:  # it may be the same connection of the pool
        assert connection.scalar(select(HostUser.active)) is True


@pytest.mark.parametrize("user_id", ["a\0b", "x" * 129, "\ud800", ""])
def test_a_text_that_is_no_id_revokes_nothing(host: Host, user_id: str) -> None:
    """No token can have it as its user."""
    host.users_changed(user_id)
    assert host.services.audit.latest(before=None, limit=1) == []


@pytest.mark.postgres
@pytest.mark.dialect("postgresql")
@pytest.mark.filterwarnings("ignore:nested transaction already deassociated")
@pytest.mark.parametrize(("order", "is_revoked"), [("inner", False), ("outer", True)])
def test_a_return_to_an_outer_savepoint_takes_back_what_was_told_since(
    host: Host, timer: ManualTimer, order: str, is_revoked: bool
) -> None:
    """S-183: also before an inner savepoint was opened that is still open; and nothing else."""
    user_id, tokens = host.create_user(), host.login()
    with host.engine.connect() as connection:
        if order == "outer":
            host.auth.users_changed(user_id, connection=connection)
        outer = connection.begin_nested()
        if order == "inner":
            host.auth.users_changed(user_id, connection=connection)
        connection.begin_nested()
        outer.rollback()
        connection.commit()
    assert status(host, tokens, timer) == (401 if is_revoked else 200)


@pytest.mark.postgres
@pytest.mark.dialect("postgresql")
@pytest.mark.filterwarnings("ignore:nested transaction already deassociated")
def test_the_end_of_an_outer_savepoint_keeps_what_was_told_since(
    host: Host, timer: ManualTimer
) -> None:
    """S-183: in an inner savepoint that nobody closed, and one that was open before."""
    user_id, tokens = host.create_user(), host.login()
    with host.engine.connect() as connection:
        outer = connection.begin_nested()
        connection.begin_nested()
        host.auth.users_changed(user_id, connection=connection)
        connection.begin_nested()
        outer.commit()
        connection.commit()
    assert status(host, tokens, timer) == 401


@pytest.mark.postgres
@pytest.mark.dialect("postgresql")
def test_a_user_cannot_be_read_in_a_transaction_that_has_failed(host: Host) -> None:
    """PostgreSQL refuses every statement there, a savepoint too (R-35)."""
    users = SqlUsers(host.session, HostUser)
    with host.engine.connect() as connection:
        with suppress(DataError):
            connection.exec_driver_sql("SELECT 1 / 0")
        with pytest.raises(DatabaseUnavailable):
            users.find_in_transaction("7", connection)


@pytest.mark.postgres
@pytest.mark.dialect("postgresql")
@pytest.mark.parametrize("end", ["COMMIT", "ROLLBACK", ""])
def test_the_log_tells_of_a_revocation_that_sql_text_ended(
    host: Host, log_records: LogRecords, end: str
) -> None:
    """SQLAlchemy does not see a `COMMIT` in a text, and nothing is revoked."""
    with host.engine.connect() as connection:
        host.auth.users_changed(host.create_user(), connection=connection)
        if end:
            connection.exec_driver_sql(end)
    assert ("transaction_ended_by_sql" in "\n".join(log_records.lines())) is bool(end)
