"""Guessing passwords: from one address, from many, at once, at every endpoint (S-044, S-045)."""

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient

from itemsapi.attempt_limits import AttemptCounter, Limit
from itemsapi.issuer import known_clients
from itemsapi.testing import PASSWORD
from itemsapi.web_addresses import UNKNOWN_ADDRESS, client_key
from support.app_factory import Backend
from support.operator_client import NEW_PASSWORD, events
from support.race import race

WRONG = "not the password at all"
HOME, AWAY = "198.51.100.7", "203.0.113.9"
WINDOW = timedelta(minutes=15)


@pytest.fixture(autouse=True)
def ada(backend: Backend) -> str:
    """A member whose password is guessed."""
    return backend.create_user("ada", "member")


def sign_in(backend: Backend, password: str, *, address: str = AWAY, name: str = "ada") -> int:
    """Attempt to sign in from an address; return the status."""
    client = backend.client()
    client.environ_base["REMOTE_ADDR"] = address
    body = {"username": name, "password": password}
    return client.post("/auth/login", json=body).status_code


def use_up_attempts(backend: Backend, key: tuple[str, ...], count: int) -> None:
    """Count as many attempts as the limit allows, without making them."""
    row = {
        "key": Limit(key, count, WINDOW).digest,
        "started_at": backend.clock(),
        "failures": count,
    }
    with backend.services.database.transaction() as tx:
        tx.merge(AttemptCounter(**row))


def test_one_client_has_ten_attempts(backend: Backend) -> None:
    """The eleventh is rejected, even with the right password (S-044)."""
    statuses = [sign_in(backend, WRONG) for _ in range(10)]
    assert statuses == [401] * 10
    assert sign_in(backend, PASSWORD) == 429


def test_the_owner_can_sign_in_from_another_address(backend: Backend) -> None:
    """Guessing from one address locks nobody out at another (S-044)."""
    for _ in range(10):
        sign_in(backend, WRONG)
    assert sign_in(backend, PASSWORD, address=HOME) == 200


def test_retry_after_is_exact(backend: Backend) -> None:
    """Not earlier, and then the attempt is accepted (S-155)."""
    for _ in range(10):
        sign_in(backend, WRONG)
    body = {"username": "ada", "password": PASSWORD}
    wait = int(
        backend.client()
        .post("/auth/login", json=body, environ_base={"REMOTE_ADDR": AWAY})
        .headers["Retry-After"]
    )
    backend.clock.advance(seconds=wait - 1)
    assert sign_in(backend, PASSWORD) == 429
    backend.clock.advance(seconds=1)
    assert sign_in(backend, PASSWORD) == 200


@pytest.mark.parametrize("name", ["ADA", "Ada", "aDa"])
def test_spellings_of_a_username_share_one_limit(backend: Backend, name: str) -> None:
    """Names are counted in their normal form (S-044)."""
    for _ in range(10):
        sign_in(backend, WRONG)
    assert sign_in(backend, PASSWORD, name=name) == 429


def test_a_right_password_is_not_counted(backend: Backend) -> None:
    """However often somebody signs in (S-044)."""
    for _ in range(9):
        sign_in(backend, WRONG)
    assert [sign_in(backend, PASSWORD) for _ in range(11)] == [200] * 11


def test_a_right_password_does_not_reset_the_limit(backend: Backend) -> None:
    """Another user of the same address would get ten times more, and notice (S-045, S-113)."""
    for _ in range(9):
        sign_in(backend, WRONG)
    sign_in(backend, PASSWORD)
    assert [sign_in(backend, WRONG), sign_in(backend, WRONG)] == [401, 429]


def test_the_window_is_fifteen_minutes(backend: Backend) -> None:
    """Counted from the first wrong attempt (S-044)."""
    for _ in range(10):
        sign_in(backend, WRONG)
        backend.clock.advance(seconds=30)
    backend.clock.advance(seconds=599)
    assert sign_in(backend, PASSWORD) == 429
    backend.clock.advance(seconds=1)
    assert [sign_in(backend, WRONG) for _ in range(11)] == [401] * 10 + [429]


def test_retry_after_is_rounded_up(backend: Backend) -> None:
    """Otherwise a client that waits as told would be rejected again (S-155)."""
    for _ in range(10):
        sign_in(backend, WRONG)
    backend.clock.advance(seconds=0.25)
    body = {"username": "ada", "password": PASSWORD}
    headers = (
        backend.client().post("/auth/login", json=body, environ_base={"REMOTE_ADDR": AWAY}).headers
    )
    assert headers["Retry-After"] == "900"


def test_one_client_has_a_hundred_attempts_at_all_users(backend: Backend) -> None:
    """A hundred attempts over all users (S-044)."""
    use_up_attempts(backend, ("client", AWAY), 99)
    assert [sign_in(backend, WRONG), sign_in(backend, PASSWORD)] == [401, 429]
    assert sign_in(backend, PASSWORD, address=HOME) == 200


def test_signing_in_as_oneself_gives_no_attempts_at_other_users(backend: Backend) -> None:
    """A right password returns only the attempt that it took (S-044)."""
    backend.create_user("eve", "member")
    use_up_attempts(backend, ("client", AWAY), 99)
    assert sign_in(backend, PASSWORD, name="eve") == 200
    assert [sign_in(backend, WRONG), sign_in(backend, WRONG)] == [401, 429]


def test_many_clients_have_two_hundred_attempts_at_one_user(backend: Backend) -> None:
    """From any addresses (S-044)."""
    use_up_attempts(backend, ("user", "ada"), 199)
    assert [sign_in(backend, WRONG), sign_in(backend, PASSWORD)] == [401, 429]


def test_a_known_client_is_not_locked_out_by_unknown_clients(backend: Backend) -> None:
    """A client that signed in before has a limit of its own (S-044)."""
    assert sign_in(backend, PASSWORD, address=HOME) == 200
    use_up_unknown_clients(backend)
    assert sign_in(backend, PASSWORD, address=HOME) == 200
    assert sign_in(backend, PASSWORD, address=AWAY) == 429


def use_up_unknown_clients(backend: Backend) -> None:
    """Use up the attempts of unknown clients at the user."""
    key = ("user", "ada")
    with backend.services.database.transaction() as tx:
        digest = Limit(key, 200, WINDOW).digest
        tx.execute(AttemptCounter.core().delete().where(AttemptCounter.core().c.key == digest))
    use_up_attempts(backend, key, 200)


def test_a_known_client_still_has_ten_attempts(backend: Backend) -> None:
    """An attacker at the owner's address is limited too (S-044)."""
    sign_in(backend, PASSWORD, address=HOME)
    statuses = [sign_in(backend, WRONG, address=HOME) for _ in range(11)]
    assert statuses[-1] == 429


def test_a_client_is_known_only_to_the_user_who_signed_in(backend: Backend) -> None:
    """Signing in as oneself gives no advantage at other users (S-044)."""
    backend.create_user("eve", "member")
    sign_in(backend, PASSWORD, name="eve")
    use_up_attempts(backend, ("user", "ada"), 200)
    assert sign_in(backend, PASSWORD) == 429


def test_each_sign_in_keeps_a_client_known_for_another_month(backend: Backend) -> None:
    """A client that signs in every other week stays known (S-044)."""
    for _ in range(3):
        sign_in(backend, PASSWORD, address=HOME)
        backend.clock.advance(days=20)
    use_up_unknown_clients(backend)
    assert sign_in(backend, PASSWORD, address=HOME) == 200


def test_a_client_is_known_for_thirty_days(backend: Backend) -> None:
    """Including the last one (S-044)."""
    sign_in(backend, PASSWORD, address=HOME)
    backend.clock.advance(days=30, seconds=-1)
    use_up_unknown_clients(backend)
    assert sign_in(backend, PASSWORD, address=HOME) == 200


def test_a_client_is_forgotten_after_a_month(backend: Backend) -> None:
    """Addresses get new owners."""
    sign_in(backend, PASSWORD, address=HOME)
    backend.clock.advance(days=30)
    use_up_unknown_clients(backend)
    assert sign_in(backend, PASSWORD, address=HOME) == 429


@pytest.mark.parametrize(
    "address",
    [
        "2001:db8:1:2::2",
        "2001:DB8:1:2::3",
        "2001:0db8:0001:0002:ffff:ffff:ffff:ffff",
        "2001:db8:1:2:0:0:192.0.2.1",
    ],
)
def test_an_ipv6_network_is_one_client(backend: Backend, address: str) -> None:
    """A /64 has 2^64 addresses and many spellings (CVE-2026-45364, S-044)."""
    for _ in range(10):
        sign_in(backend, WRONG, address="2001:db8:1:2::1")
    assert sign_in(backend, PASSWORD, address=address) == 429


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("unix:", "unknown"),
        ("", "unknown"),
    ],
)
def test_an_address_has_one_key(address: str, key: str) -> None:
    """In every spelling (CVE-2026-45364)."""
    assert client_key(address) == key


@pytest.mark.parametrize("header", ["X-Forwarded-For", "X-Real-IP", "Forwarded", "Client-IP"])
def test_a_header_does_not_change_the_client(backend: Backend, header: str) -> None:
    """No proxy is configured (S-007)."""
    client = backend.client()
    body = {"username": "ada", "password": WRONG}
    for number in range(10):
        client.post("/auth/login", json=body, headers={header: f"192.0.2.{number}"})
    assert client.post("/auth/login", json=body, headers={header: HOME}).status_code == 429


def sign_in_behind_a_proxy(backend: Backend, forwarded_for: str, password: str) -> int:
    """Attempt to sign in with a forwarded address; return the status."""
    body = {"username": "ada", "password": password}
    headers = {"X-Forwarded-For": forwarded_for}
    return backend.client().post("/auth/login", json=body, headers=headers).status_code


def test_the_port_of_an_address_is_ignored(make_backend: Callable[..., Backend]) -> None:
    """Attempts from other addresses lock no owner out (S-044, S-114)."""
    backend = make_backend(trusted_proxies=1)
    for port in range(10):
        sign_in_behind_a_proxy(backend, f"{AWAY}:{2000 + port}", WRONG)
    assert sign_in_behind_a_proxy(backend, f"{AWAY}:3000", PASSWORD) == 429
    assert sign_in_behind_a_proxy(backend, f"{HOME}:2000", PASSWORD) == 200


@pytest.mark.parametrize("forwarded_for", ["unknown", "_hidden", "", "203.0.113.9:_x"])
def test_unreadable_addresses_share_one_limit(
    make_backend: Callable[..., Backend], forwarded_for: str
) -> None:
    """And take no attempts from readable ones (S-114)."""
    backend = make_backend(trusted_proxies=1)
    for _ in range(10):
        sign_in_behind_a_proxy(backend, forwarded_for, WRONG)
    assert sign_in_behind_a_proxy(backend, "_other", PASSWORD) == 429
    assert sign_in_behind_a_proxy(backend, HOME, PASSWORD) == 200


def test_a_client_with_an_unreadable_address_is_never_known(
    make_backend: Callable[..., Backend],
) -> None:
    """Otherwise anybody could pass for a known client (S-044, S-114)."""
    backend = make_backend(trusted_proxies=1)
    assert sign_in_behind_a_proxy(backend, "unknown", PASSWORD) == 200
    use_up_attempts(backend, ("user", "ada"), 200)
    assert sign_in_behind_a_proxy(backend, "_hidden", PASSWORD) == 429


def test_a_stored_unknown_address_is_not_a_known_client(backend: Backend) -> None:
    """Old rows do not count (S-114)."""
    with backend.services.database.transaction() as tx:
        ada = backend.services.users.get_by_name("ada").id
        known_clients.remember_client(tx, ada, UNKNOWN_ADDRESS, backend.clock())
    use_up_attempts(backend, ("user", "ada"), 200)
    assert sign_in(backend, PASSWORD, address="unix:") == 429


def test_a_storm_gets_no_more_tries(backend: Backend) -> None:
    """Thirty at once: ten are looked at, whatever the order (CVE-2024-1722, S-045).

    Fifty at real workers: tests/faults/test_guessing_storm.py.
    """
    outcomes = send_attempts_at_once(backend, 30, lambda: sign_in(backend, WRONG))
    assert outcomes == {401: 10, 429: 20}


def send_attempts_at_once(backend: Backend, size: int, job: Callable[[], int]) -> Counter[int]:
    """Make `size` attempts at once, repeat those that get 503; count the final statuses."""

    def attempt() -> int:
        while (status := job()) == 503:
            pass
        return status

    return Counter(race(*[attempt] * size))


def test_the_limit_is_shared_by_processes_and_survives_restarts(
    make_backend: Callable[..., Backend], backend: Backend
) -> None:
    """It is in the database (S-045)."""
    for _ in range(5):
        sign_in(backend, WRONG)
        sign_in(make_backend(), WRONG)
    assert sign_in(make_backend(), PASSWORD) == 429


def change_password(client: FlaskClient, current: str) -> int:
    """Attempt to change the password; return the status."""
    client.environ_base["REMOTE_ADDR"] = AWAY
    body = {"current_password": current, "new_password": NEW_PASSWORD}
    return client.post("/me/password", json=body).status_code


@pytest.fixture
def thief(backend: Backend) -> FlaskClient:
    """A client with a stolen access token."""
    token: dict[str, Any] = backend.login("ada")
    return backend.bearer_client(token["access_token"])


def test_guessing_the_current_password_is_limited(backend: Backend, thief: FlaskClient) -> None:
    """A stolen access token must not lead to the password (S-042, S-045)."""
    assert [change_password(thief, WRONG) for _ in range(10)] == [422] * 10
    assert change_password(thief, PASSWORD) == 429


def test_all_endpoints_share_one_limit(backend: Backend, thief: FlaskClient) -> None:
    """Half of the attempts at one, half at the other (CVE-2026-9798, S-045)."""
    for _ in range(5):
        sign_in(backend, WRONG)
        change_password(thief, WRONG)
    assert (sign_in(backend, PASSWORD), change_password(thief, PASSWORD)) == (429, 429)


def test_a_lock_is_audited_once(backend: Backend, ada: str) -> None:
    """With the user and the counter, not for each further attempt (S-149)."""
    for _ in range(13):
        sign_in(backend, WRONG)
    (event,) = events(backend, "authn_login_lock", user_id=ada)
    assert event["details"] == '{"counter": "user and client"}'
