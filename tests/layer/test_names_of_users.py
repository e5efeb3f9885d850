"""Names of an application's users: what counts as the same name, and for what."""

from datetime import timedelta

import pytest

from itemsapi.attempt_limits import AttemptCounter, Limit
from itemsapi.testing import PASSWORD
from support.host_app import Host, cheap_hash

HOME, ELSEWHERE = "198.51.100.7", "203.0.113.9"
THIRTY_DAYS = timedelta(days=30)


def status(host: Host, username: str, *, address: str, password: str = PASSWORD) -> int:
    """Sign in from an address; return the status."""
    client = host.app.test_client()
    client.environ_base["REMOTE_ADDR"] = address
    body = {"username": username, "password": password}
    return client.post("/auth/login", json=body).status_code


def lock_account(host: Host, name: str) -> None:
    """Use up the attempts of all clients at the password of a name."""
    digest = Limit(("user", name), 1, THIRTY_DAYS).digest
    with host.services.database.transaction() as tx:
        tx.merge(AttemptCounter(key=digest, started_at=host.clock(), failures=200))


@pytest.fixture
def similar(host: Host) -> Host:
    """An application with the users `jose` and `josé`, who signed in at home."""
    host.create_user("jose")
    host.create_user("jos\u00e9", password_hash=cheap_hash("another horse battery"))
    assert status(host, "jos\u00e9", address=HOME, password="another horse battery") == 200
    return host


def test_a_known_client_of_a_similar_name_is_locked_out_with_all_others(similar: Host) -> None:
    """S-045: names that count together are still two users, and each has clients of their own."""
    lock_account(similar, "jose")
    assert status(similar, "jose", address=HOME) == 429


def test_a_known_client_signs_in_when_a_similar_name_is_guessed(similar: Host) -> None:
    """S-044: the attempts count together, and the owner is not locked out."""
    lock_account(similar, "jose")
    assert status(similar, "jos\u00e9", address=HOME, password="another horse battery") == 200


def test_a_known_client_stays_known_when_the_user_gets_another_name(host: Host) -> None:
    """S-044: it is the client of a user, not of a name."""
    user_id = host.create_user()
    assert status(host, "grace", address=HOME) == 200
    host.change_user(user_id, username="hopper")
    lock_account(host, "hopper")
    assert [status(host, "hopper", address=each) for each in (HOME, ELSEWHERE)] == [200, 429]


@pytest.mark.parametrize("name", ["\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", "a\u00a0b"])
def test_a_user_signs_in_by_a_name_of_any_characters(host: Host, name: str) -> None:
    """A joiner and a wide space are characters of a name like others."""
    host.create_user(name)
    assert host.try_login(name).status_code == 200


@pytest.mark.parametrize("name", ["a\0b", "a\ud800b"])
def test_a_name_that_no_database_can_have_is_unknown(host: Host, name: str) -> None:
    """No error of the driver, whose time or status would differ (S-184)."""
    assert host.services.issuer.users.find_by_name(name) is None
