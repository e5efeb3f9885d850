"""Attacks by guessing: from one place, from many, at once, at every door (S-044, S-045)."""

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from support.race import race

from itemsapi.accounts import known_clients
from itemsapi.rate_limits import AttemptCounter, Limit
from itemsapi.web_addresses import UNKNOWN_ADDRESS, client_key
from support.app_factory import PASSWORD, Backend
from support.operator_client import NEW_PASSWORD, events

WRONG = "not the password at all"
HOME, AWAY = "198.51.100.7", "203.0.113.9"
WINDOW = timedelta(minutes=15)


@pytest.fixture(autouse=True)
def ada(backend: Backend) -> str:
    """A member, whose password others would like to know."""
    return backend.create_user("ada", "member")


def sign_in(backend: Backend, password: str, *, address: str = AWAY, name: str = "ada") -> int:
    """Try to sign in from an address; return the status."""
    client = backend.client()
    client.environ_base["REMOTE_ADDR"] = address
    body = {"username": name, "password": password}
    return client.post("/auth/login", json=body).status_code


def use_up(backend: Backend, key: tuple[str, ...], tries: int) -> None:
    """Count as many tries as there may be, without making them."""
    row = {
        "key": Limit(key, tries, WINDOW).digest,
        "started_at": backend.clock(),
        "failures": tries,
    }
    with backend.services.database.transaction() as tx:
        tx.merge(AttemptCounter(**row))


def test_one_client_has_ten_tries(backend: Backend) -> None:
    """The eleventh is not looked at, were it the right one (S-044)."""
    statuses = [sign_in(backend, WRONG) for _ in range(10)]
    assert statuses == [401] * 10
    assert sign_in(backend, PASSWORD) == 429


def test_the_owner_gets_in_from_elsewhere_meanwhile(backend: Backend) -> None:
    """Guessing from one place locks nobody out at another (S-044)."""
    for _ in range(10):
        sign_in(backend, WRONG)
    assert sign_in(backend, PASSWORD, address=HOME) == 200


def test_the_wait_that_is_told_is_true(backend: Backend) -> None:
    """Not before `Retry-After`, and then yes (S-155)."""
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
def test_another_spelling_is_no_other_account(backend: Backend, name: str) -> None:
    """Names are counted in their normal form (S-044)."""
    for _ in range(10):
        sign_in(backend, WRONG)
    assert sign_in(backend, PASSWORD, name=name) == 429


def test_a_right_password_is_not_counted(backend: Backend) -> None:
    """However often somebody signs in (S-044)."""
    for _ in range(9):
        sign_in(backend, WRONG)
    assert [sign_in(backend, PASSWORD) for _ in range(11)] == [200] * 11


def test_a_right_password_buys_no_tries(backend: Backend) -> None:
    """Who shares the owner's address would guess ten times more, and learn of it (S-045, S-113)."""
    for _ in range(9):
        sign_in(backend, WRONG)
    sign_in(backend, PASSWORD)
    assert [sign_in(backend, WRONG), sign_in(backend, WRONG)] == [401, 429]


def test_the_window_is_fifteen_minutes(backend: Backend) -> None:
    """From the first wrong try on (S-044)."""
    for _ in range(10):
        sign_in(backend, WRONG)
        backend.clock.advance(seconds=30)
    backend.clock.advance(seconds=599)
    assert sign_in(backend, PASSWORD) == 429
    backend.clock.advance(seconds=1)
    assert [sign_in(backend, WRONG) for _ in range(11)] == [401] * 10 + [429]


def test_a_wait_is_rounded_up(backend: Backend) -> None:
    """Or who came back when told would be refused again (S-155)."""
    for _ in range(10):
        sign_in(backend, WRONG)
    backend.clock.advance(seconds=0.25)
    body = {"username": "ada", "password": PASSWORD}
    headers = (
        backend.client().post("/auth/login", json=body, environ_base={"REMOTE_ADDR": AWAY}).headers
    )
    assert headers["Retry-After"] == "900"


def test_many_accounts_are_guarded_against_one_client(backend: Backend) -> None:
    """A hundred tries over all accounts (S-044)."""
    use_up(backend, ("client", AWAY), 99)
    assert [sign_in(backend, WRONG), sign_in(backend, PASSWORD)] == [401, 429]
    assert sign_in(backend, PASSWORD, address=HOME) == 200


def test_an_own_account_buys_no_tries_at_others(backend: Backend) -> None:
    """A right password gives back the one try that it took, no more (S-044)."""
    backend.create_user("eve", "member")
    use_up(backend, ("client", AWAY), 99)
    assert sign_in(backend, PASSWORD, name="eve") == 200
    assert [sign_in(backend, WRONG), sign_in(backend, WRONG)] == [401, 429]


def test_one_account_is_guarded_against_many_clients(backend: Backend) -> None:
    """Two hundred tries from wherever (S-044)."""
    use_up(backend, ("account", "ada"), 199)
    assert [sign_in(backend, WRONG), sign_in(backend, PASSWORD)] == [401, 429]


def test_many_strangers_do_not_lock_a_known_client_out(backend: Backend) -> None:
    """Who got in from here before is not counted with them (S-044)."""
    assert sign_in(backend, PASSWORD, address=HOME) == 200
    use_up_again(backend)
    assert sign_in(backend, PASSWORD, address=HOME) == 200
    assert sign_in(backend, PASSWORD, address=AWAY) == 429


def use_up_again(backend: Backend) -> None:
    """Use up what strangers have at the account, whatever was counted so far."""
    key = ("account", "ada")
    with backend.services.database.transaction() as tx:
        digest = Limit(key, 200, WINDOW).digest
        tx.execute(AttemptCounter.core().delete().where(AttemptCounter.core().c.key == digest))
    use_up(backend, key, 200)


def test_a_known_client_still_has_ten_tries(backend: Backend) -> None:
    """A thief at the owner's desk guesses no faster (S-044)."""
    sign_in(backend, PASSWORD, address=HOME)
    statuses = [sign_in(backend, WRONG, address=HOME) for _ in range(11)]
    assert statuses[-1] == 429


def test_a_client_is_known_to_the_account_it_got_into_alone(backend: Backend) -> None:
    """Signing in as oneself makes nobody else's account easier to guess (S-044)."""
    backend.create_user("eve", "member")
    sign_in(backend, PASSWORD, name="eve")
    use_up(backend, ("account", "ada"), 200)
    assert sign_in(backend, PASSWORD) == 429


def test_each_sign_in_makes_a_client_known_for_another_month(backend: Backend) -> None:
    """Who signs in every other week is never a stranger (S-044)."""
    for _ in range(3):
        sign_in(backend, PASSWORD, address=HOME)
        backend.clock.advance(days=20)
    use_up_again(backend)
    assert sign_in(backend, PASSWORD, address=HOME) == 200


def test_a_client_is_known_for_thirty_days(backend: Backend) -> None:
    """To the last of them (S-044)."""
    sign_in(backend, PASSWORD, address=HOME)
    backend.clock.advance(days=30, seconds=-1)
    use_up_again(backend)
    assert sign_in(backend, PASSWORD, address=HOME) == 200


def test_a_client_is_forgotten_after_a_month(backend: Backend) -> None:
    """Addresses change hands."""
    sign_in(backend, PASSWORD, address=HOME)
    backend.clock.advance(days=30)
    use_up_again(backend)
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
def test_a_network_of_ipv6_is_one_client(backend: Backend, address: str) -> None:
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
    """However it is written (CVE-2026-45364)."""
    assert client_key(address) == key


@pytest.mark.parametrize("header", ["X-Forwarded-For", "X-Real-IP", "Forwarded", "Client-IP"])
def test_a_header_makes_no_other_client(backend: Backend, header: str) -> None:
    """Nobody behind us vouches for it (S-007)."""
    client = backend.client()
    body = {"username": "ada", "password": WRONG}
    for number in range(10):
        client.post("/auth/login", json=body, headers={header: f"192.0.2.{number}"})
    assert client.post("/auth/login", json=body, headers={header: HOME}).status_code == 429


def behind_a_proxy(backend: Backend, told: str, password: str) -> int:
    """Try to sign in with an address that a proxy tells; return the status."""
    body = {"username": "ada", "password": password}
    headers = {"X-Forwarded-For": told}
    return backend.client().post("/auth/login", json=body, headers=headers).status_code


def test_a_client_with_a_port_is_a_client_of_its_own(make_backend: Callable[..., Backend]) -> None:
    """Somebody else's tries, at other ports, lock no owner out (S-044, S-114)."""
    backend = make_backend(trusted_proxies=1)
    for port in range(10):
        behind_a_proxy(backend, f"{AWAY}:{2000 + port}", WRONG)
    assert behind_a_proxy(backend, f"{AWAY}:3000", PASSWORD) == 429
    assert behind_a_proxy(backend, f"{HOME}:2000", PASSWORD) == 200


@pytest.mark.parametrize("told", ["unknown", "_hidden", "", "203.0.113.9:_x"])
def test_who_hides_takes_no_tries_from_others(
    make_backend: Callable[..., Backend], told: str
) -> None:
    """All who hide are one client, and no other (S-114)."""
    backend = make_backend(trusted_proxies=1)
    for _ in range(10):
        behind_a_proxy(backend, told, WRONG)
    assert behind_a_proxy(backend, "_other", PASSWORD) == 429
    assert behind_a_proxy(backend, HOME, PASSWORD) == 200


def test_who_hides_is_never_known(make_backend: Callable[..., Backend]) -> None:
    """Or anybody could borrow the owner's trust by hiding (S-044, S-114)."""
    backend = make_backend(trusted_proxies=1)
    assert behind_a_proxy(backend, "unknown", PASSWORD) == 200
    use_up(backend, ("account", "ada"), 200)
    assert behind_a_proxy(backend, "_hidden", PASSWORD) == 429


def test_who_was_known_as_unknown_is_not(backend: Backend) -> None:
    """Rows of before do not count (S-114)."""
    with backend.services.database.transaction() as tx:
        known_clients.remember_client(tx, "ada", UNKNOWN_ADDRESS, backend.clock())
    use_up(backend, ("account", "ada"), 200)
    assert sign_in(backend, PASSWORD, address="unix:") == 429


def test_a_storm_gets_no_more_tries(backend: Backend) -> None:
    """Thirty at once: ten are looked at, whatever the order (CVE-2024-1722, S-045).

    Fifty at real workers: tests/faults/test_guessing_storm.py.
    """
    outcomes = storm(backend, 30, lambda: sign_in(backend, WRONG))
    assert outcomes == {401: 10, 429: 20}


def storm(backend: Backend, size: int, job: Callable[[], int]) -> Counter[int]:
    """Run `size` attempts at once, repeat those that get 503; count the final statuses."""

    def attempt() -> int:
        while (status := job()) == 503:
            pass
        return status

    return Counter(race(*[attempt] * size))


def test_the_count_holds_over_processes_and_restarts(
    make_backend: Callable[..., Backend], backend: Backend
) -> None:
    """It is in the database (S-045)."""
    for _ in range(5):
        sign_in(backend, WRONG)
        sign_in(make_backend(), WRONG)
    assert sign_in(make_backend(), PASSWORD) == 429


def change(client: FlaskClient, current: str) -> int:
    """Try to change the password; return the status."""
    client.environ_base["REMOTE_ADDR"] = AWAY
    body = {"current_password": current, "new_password": NEW_PASSWORD}
    return client.post("/me/password", json=body).status_code


@pytest.fixture
def thief(backend: Backend) -> FlaskClient:
    """Somebody with a stolen access token."""
    token: dict[str, Any] = backend.login("ada")
    return backend.bearer_client(token["access_token"])


def test_the_current_password_is_guessed_no_faster(backend: Backend, thief: FlaskClient) -> None:
    """A stolen access token is no way to the password (S-042, S-045)."""
    assert [change(thief, WRONG) for _ in range(10)] == [422] * 10
    assert change(thief, PASSWORD) == 429


def test_all_doors_count_together(backend: Backend, thief: FlaskClient) -> None:
    """Half of the tries at one, half at the other (CVE-2026-9798, S-045)."""
    for _ in range(5):
        sign_in(backend, WRONG)
        change(thief, WRONG)
    assert (sign_in(backend, PASSWORD), change(thief, PASSWORD)) == (429, 429)


def test_a_lock_is_written_down_once(backend: Backend, ada: str) -> None:
    """With whose account and which counter; not with every try that follows (S-149)."""
    for _ in range(13):
        sign_in(backend, WRONG)
    (event,) = events(backend, "authn_login_lock", user_id=ada)
    assert event["details"] == '{"counter": "here"}'
