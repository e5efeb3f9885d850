"""The name of the users that a database is for, directly in the database."""

from contextlib import suppress

import pytest
from sqlalchemy import select

from itemsapi.accounts.models import Role
from itemsapi.db import Database, Lookup
from itemsapi.db.user_set import UserSet, UsersOfOthers


def claim(database: Database, users: UserSet) -> None:
    """Claim the database in a transaction of its own."""
    with database.transaction() as tx:
        users.claim(tx)


def test_the_later_of_two_claims_is_refused(database: Database) -> None:
    """S-122: neither had found a name before."""
    shop, office = UserSet("customer"), UserSet("staff")
    with database.reading() as connection:
        shop.require(connection)
        office.require(connection)
    claim(database, shop)
    with pytest.raises(UsersOfOthers) as refused:
        claim(database, office)
    assert refused.value.cause.startswith("database: it is for the users of `customer`, and these")


def test_a_look_up_is_refused_when_the_database_is_for_other_users(database: Database) -> None:
    """S-122: also on a connection of the driver."""
    claim(database, UserSet("customer"))
    database.user_set = UserSet("staff")
    with pytest.raises(UsersOfOthers):
        database.fetch(Lookup(select(Role.core().c.name)), {})


def test_a_claim_that_is_rolled_back_claims_nothing(database: Database) -> None:
    """The sign-in failed."""
    with suppress(KeyError), database.transaction() as tx:
        UserSet("customer").claim(tx)
        raise KeyError
    claim(database, UserSet("staff"))


def test_the_same_users_may_claim_twice(database: Database) -> None:
    """Two processes at their first sign-in."""
    claim(database, UserSet("customer"))
    claim(database, UserSet("customer"))


def test_nothing_is_read_once_the_users_are_known(database: Database) -> None:
    """No statement more in a request: the row could be gone."""
    shop = UserSet("customer")
    claim(database, shop)
    with database.transaction() as tx:
        shop.require(tx.connection())
        tx.connection().exec_driver_sql("DELETE FROM itemsapi_user_set")
        UserSet("staff").claim(tx)
        shop.require(tx.connection())
