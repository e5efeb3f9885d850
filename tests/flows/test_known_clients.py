"""Known clients, directly in the database: who signed in as whom, and for how long (S-044)."""

import pytest

from itemsapi.db import Database
from itemsapi.issuer.known_clients import is_known_client, remember_client
from itemsapi.testing import MovableClock

HOME, AWAY = "198.51.100.7", "203.0.113.9"


@pytest.fixture(autouse=True)
def _ada_signed_in_at_home(database: Database, clock: MovableClock) -> None:
    """Remember one client of one user."""
    with database.transaction() as tx:
        remember_client(tx, "ada", HOME, clock())


def is_known(database: Database, clock: MovableClock, name: str, client: str) -> bool:
    """Return whether a client is known at the present."""
    return is_known_client(database, name, client, clock())


@pytest.mark.parametrize(
    ("name", "client", "known"),
    [("ada", HOME, True), ("ada", AWAY, False), ("eve", HOME, False), ("eve", AWAY, False)],
)
def test_a_client_is_known_when_it_signed_in_as_this_user(
    database: Database, clock: MovableClock, name: str, client: str, known: bool
) -> None:
    """Both conditions of the `select` and each `bindparam` count (S-044)."""
    assert is_known(database, clock, name, client) is known


@pytest.mark.parametrize(("seconds", "known"), [(-1, True), (0, False)])
def test_a_client_is_known_until_thirty_days_have_passed(
    database: Database, clock: MovableClock, seconds: int, known: bool
) -> None:
    """`KNOWN_CLIENT_LIFETIME`: to the second (S-044)."""
    clock.advance(days=30, seconds=seconds)
    assert is_known(database, clock, "ada", HOME) is known


def test_a_client_stays_known_when_it_signs_in_again(
    database: Database, clock: MovableClock
) -> None:
    """Its one row has the later time (S-044)."""
    clock.advance(days=29)
    with database.transaction() as tx:
        remember_client(tx, "ada", HOME, clock())
    clock.advance(days=29)
    assert is_known(database, clock, "ada", HOME)
