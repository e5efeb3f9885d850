"""The row of a user's state: the lock of the user."""

import pytest
from sqlalchemy import text

from itemsapi.accounts.user_state import UserState, lock_user, read_user_state, set_epochs
from itemsapi.db import Database
from itemsapi.problems import DatabaseUnavailable


@pytest.mark.postgres
@pytest.mark.dialect("postgresql")
def test_another_transaction_waits_for_a_locked_user(database: Database) -> None:
    """Sign-ins, refreshes and changes of one user take turns (S-124, S-183)."""
    with database.transaction() as tx:
        lock_user(tx, "7")
    with database.transaction() as tx:
        lock_user(tx, "7")
        with pytest.raises(DatabaseUnavailable):
            lock_impatiently(database, "7")


def lock_impatiently(database: Database, user_id: str) -> None:
    """Lock a user in another transaction, which waits for a moment only."""
    with database.transaction() as tx:
        tx.execute(text("SET LOCAL lock_timeout = '50ms'"))
        lock_user(tx, user_id)


def test_the_state_of_an_unknown_user_is_empty(database: Database) -> None:
    """And reading it stores nothing."""
    with database.reading() as connection:
        assert read_user_state(connection, "7") == UserState(0, None)
        rows = connection.exec_driver_sql("SELECT count(*) FROM itemsapi_user_state")
        assert rows.scalar_one() == 0


def test_an_epoch_is_stored_for_the_locked_users(database: Database) -> None:
    """Others keep theirs."""
    with database.transaction() as tx:
        for user_id in ("7", "8"):
            lock_user(tx, user_id)
        set_epochs(tx, ["7"], 99)
        assert [lock_user(tx, user_id).epoch for user_id in ("7", "8")] == [99, 0]
