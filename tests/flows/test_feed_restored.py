"""A backup is put back under running processes: numbers of revocations are given out again."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import update

from house import House
from itemsapi.clock import new_id
from itemsapi.problems import TokenInvalid
from itemsapi.tokens.revocations import Feed, Revocation, session_target


@pytest.fixture
def house(make_house: Callable[..., House]) -> House:
    """A house whose feed asks at every look."""
    return make_house(revocation_lag=timedelta(0))


def look(feed: Feed, sid: str) -> bool:
    """Tell whether a session's tokens pass."""
    try:
        feed.check(sid=sid, user_id="", iat=2**40)
    except TokenInvalid:
        return False
    return True


def test_another_revocation_under_a_known_number_is_seen(house: House) -> None:
    """The last row known is compared whole, not by its number (R-28)."""
    feed, database, before, after = house.services.feed, house.services.database, new_id(), new_id()
    with database.transaction() as tx:
        feed.revoke(tx, session_target(before))
    assert (look(feed, before), look(feed, after)) == (False, True)
    with database.transaction() as tx:
        tx.execute(update(Revocation).values(target=session_target(after)))
    assert (look(feed, before), look(feed, after)) == (False, False)
