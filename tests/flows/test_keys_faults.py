"""What goes wrong with keys: unreadable rows, a wrong secret, no database."""

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from itemsapi.db import AnyRow
from itemsapi.problems import GateUnavailable
from itemsapi.settings import SettingsError
from itemsapi.tokens.key_set import MAX_KEY_AGE_SECONDS, MOMENT
from support.app_factory import PASSWORD, House
from support.database_faults import failing
from support.keys import access, jwks, keys, kid, kids, poison, rotated, works

Build = Callable[..., House]

ANOTHER_SECRET = "an0ther-test-secret-0123456789-abcdefghijklmnop"
NO_LAG = timedelta(0)


@pytest.fixture
def house(make_house: Build) -> House:
    """A process that looks at the keys at every request, with ada in the house."""
    house = make_house(revocation_lag=NO_LAG)
    house.user("ada", "member")
    return house


@pytest.fixture
def other(make_house: Build, house: House) -> House:
    """Another process on the same database."""
    return make_house(revocation_lag=NO_LAG)


def counted(house: House, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Count how often the keys are read from the database."""
    store, reads = house.services.key_set.key_store, [0]
    read = store.live

    def live() -> list[AnyRow]:
        reads[0] += 1
        return read()

    monkeypatch.setattr(store, "live", live)
    return reads


def test_unknown_kids_cost_no_reading(make_house: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    """At most one reading a lag, whatever strangers send."""
    house = make_house(revocation_lag=timedelta(seconds=5))
    house.user("ada")
    token = access(house)
    reads = counted(house, monkeypatch)
    for _ in range(50):
        works(house, "e30" + token)
        house.services.key_set.find("nobody's")
    assert reads[0] <= 1


def test_one_unreadable_key_harms_no_other(house: House, other: House) -> None:
    """R-29: tokens of that key are refused, all others serve on."""
    old = access(house)
    rotated(house)
    poison(house, "secret = 'AAAA'", "state = 'retired'")
    assert not works(other, old)
    assert works(other, access(other))


POISON = ["secret = ''", "secret = '!'", "secret = 'AAAA'", "alg = 'RS256'", "state = 'odd'"]


@pytest.mark.parametrize("change", POISON)
def test_an_unreadable_key_is_in_the_log(house: House, other: House, change: str) -> None:
    """R-29: one line names it."""
    first, next_kid = kids(house)
    poison(house, change, f"kid = '{next_kid}'")
    with capture_logs() as lines:
        assert [jwks(other), jwks(other)] == [[first], [first]]
    told = [(one["event"], one["kid"]) for one in lines if "kid" in one]
    assert told == [("signing_key_unreadable", next_kid)]


def test_nobody_signs_in_when_the_key_that_signs_is_unreadable(house: House, other: House) -> None:
    """R-29: 503 and not 500; refresh tokens are not used up."""
    tokens = house.login("ada")
    poison(house, "secret = 'AAAA'", "state = 'current'")
    answer = other.client().post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]})
    assert (answer.status_code, answer.get_json()["code"]) == (503, "gate_unavailable")
    assert jwks(other) == [kids(house)[1]]


def test_withdrawing_the_unreadable_key_helps(house: House, other: House) -> None:
    """The next one takes its place."""
    token = access(house)
    poison(house, "secret = 'AAAA'", "state = 'current'")
    other.services.key_set.withdraw(kid(token))
    assert works(other, access(other))


def test_an_unreadable_key_that_is_mended_serves_again(house: House) -> None:
    """No restart is needed."""
    token = access(house)
    (row,) = (r for r in house.services.key_set.key_store.listed() if r.kid == kid(token))
    poison(house, "secret = 'AAAA'", "state = 'current'")
    assert house.bearer(token).get("/auth/sessions").status_code == 401
    poison(house, f"secret = '{row.secret}'", "state = 'current'")
    assert works(house, token)


def test_the_next_key_signs_when_none_does(house: House, other: House) -> None:
    """R-29: the row of the current key is gone; it mends itself."""
    access(house)
    second = kids(house)[1]
    with house.services.database.transaction() as tx:
        tx.connection().exec_driver_sql("DELETE FROM itemsapi_signing_key WHERE state = 'current'")
    other.client().get("/.well-known/jwks.json")
    assert kid(access(other)) == second


def test_two_keys_that_sign_are_one_too_many_and_no_outage(house: House, other: House) -> None:
    """R-29: the younger one signs, both verify."""
    token = access(house)
    poison(house, "state = 'current'", "state = 'next'")
    assert works(other, token)
    assert works(other, access(other))


def test_keys_that_were_all_withdrawn_are_replaced(house: House) -> None:
    """The operator tidied too much up: new keys, and everybody refreshes."""
    tokens = house.login("ada")
    poison(house, "state = 'withdrawn'", "1 = 1")
    body = {"refresh_token": tokens["refresh_token"]}
    answer = house.client().post("/auth/refresh", json=body)
    assert works(house, answer.get_json()["access_token"])


WRONG_SECRET: list[tuple[str, str, dict[str, Any]]] = [
    ("POST", "/auth/login", {"json": {"username": "ada", "password": PASSWORD}}),
    ("POST", "/auth/refresh", {"json": {"refresh_token": "a.b.c"}}),
    ("POST", "/oauth/revoke", {"data": {"token": "a.b.c"}}),
    ("GET", "/auth/sessions", {"headers": {"Authorization": "Bearer a.b.c"}}),
    ("GET", "/.well-known/jwks.json", {}),
    ("GET", "/health/ready", {}),
]


@pytest.mark.parametrize(("method", "path", "sent"), WRONG_SECRET)
def test_a_wrong_secret_key_is_no_answer_about_a_token(
    make_house: Build, house: House, method: str, path: str, sent: dict[str, Any]
) -> None:
    """R-24: 503, or every browser would sign its user out on a 401."""
    access(house)
    stranger = make_house(secret_key=ANOTHER_SECRET)
    answer = stranger.client().open(path, method=method, **sent)
    assert answer.status_code == 503


def test_a_wrong_secret_key_is_found_at_boot(make_house: Build, house: House) -> None:
    """R-24: one line that names the setting."""
    access(house)
    with pytest.raises(SettingsError, match="ITEMSAPI_SECRET_KEY does not fit") as refused:
        make_house(secret_key=ANOTHER_SECRET).services.key_set.key_store.check()
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("step", ["rotate", "withdraw"])
def test_a_wrong_secret_key_changes_no_key(make_house: Build, house: House, step: str) -> None:
    """It would seal new keys so that the others could not read them."""
    access(house)
    house.clock.forward(minutes=5)
    before = keys(house)
    store = make_house(secret_key=ANOTHER_SECRET).services.key_set.key_store
    with pytest.raises(SettingsError):
        store.rotate() if step == "rotate" else store.withdraw(next(iter(before)))
    assert keys(house) == before


def test_the_right_secret_key_passes_the_check(house: House) -> None:
    """R-24: before the first request and after."""
    house.services.key_set.key_store.check()
    access(house)
    house.services.key_set.key_store.check()


def away(house: House) -> None:
    """Take the database away from the keys."""
    with house.services.database.transaction() as tx:
        tx.connection().exec_driver_sql("ALTER TABLE itemsapi_signing_key RENAME TO away")


def test_the_copy_serves_on_without_the_database(house: House) -> None:
    """R-03: JWKS and checks need no database for a while."""
    first = jwks(house)
    away(house)
    assert jwks(house) == first


def test_nobody_is_let_in_without_any_copy(house: House, other: House) -> None:
    """R-03: a process that starts now knows no key."""
    access(house)
    away(house)
    with pytest.raises(GateUnavailable):
        other.services.key_set.now()


def test_keys_that_cannot_be_read_are_asked_for_once_a_lag(
    make_house: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R-03: twenty requests in one second ask a database that is away no twenty times."""
    house, seconds = make_house(revocation_lag=timedelta(seconds=1)), [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: seconds[0])
    house.services.key_set.now()
    seconds[0] += 1
    with failing(house.services.database, 1, "from then on") as steps:
        for _ in range(20):
            house.services.key_set.now()
    assert steps.failed == 1


def test_a_copy_that_is_too_old_lets_nobody_in_between_two_tries(
    make_house: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R-03: its minute is over while the last try to read the keys is younger than the lag."""
    house, seconds = make_house(revocation_lag=timedelta(seconds=5)), [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: seconds[0])
    key_set = house.services.key_set
    key_set.now()
    away(house)
    seconds[0] += MAX_KEY_AGE_SECONDS - 1
    assert key_set.now().verifying
    seconds[0] += 2
    with pytest.raises(GateUnavailable):
        key_set.now()


def test_a_stale_copy_waits_a_moment_for_who_renews_it(
    make_house: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S-147: where a withdrawn key must be refused within two seconds, it is asked for before."""
    house, seconds = make_house(revocation_lag=timedelta(seconds=1)), [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: seconds[0])
    key_set = house.services.key_set
    key_set.now()
    seconds[0] += 1.75
    begun = time.perf_counter()
    with key_set._lock:  # noqa: SLF001 - another request reads the keys, and gets no answer
        key_set.now()
    assert time.perf_counter() - begun > MOMENT / 2
