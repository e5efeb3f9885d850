"""Whether an account exists cannot be told through the limits, nor through the work (S-113)."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from itemsapi.accounts.permissions import COMMAND_LINE
from itemsapi.rate_limits import AttemptCounter, Limit
from support.app_factory import PASSWORD, Backend
from support.password_counter import count_verifications

WRONG = "not the password at all"
HERE, HOME = "203.0.113.9", "198.51.100.7"
NAMES = ["existing", "known-here", "unknown", "disabled", "disabled-known", "outdated"]


@pytest.fixture
def backend(make_backend: Callable[..., Backend]) -> Backend:
    """A backend with everybody in it, whose parameters have changed since one signed in."""
    make_backend(argon2_time=3).create_user("outdated", "member")
    backend = make_backend(argon2_time=4)
    for name in ("existing", "known-here", "disabled", "disabled-known"):
        backend.create_user(name, "member")
    assert [status(backend, name, PASSWORD) for name in ("known-here", "disabled-known")] == [
        200
    ] * 2
    for name in ("disabled", "disabled-known"):
        user_id = backend.services.users.get_by_name(name).id
        backend.services.users.change(COMMAND_LINE, user_id, None, disabled=True)
    return backend


def sign_in(backend: Backend, name: str, password: str, *, address: str = HERE) -> TestResponse:
    """Try to sign in from an address."""
    client: FlaskClient = backend.client()
    client.environ_base["REMOTE_ADDR"] = address
    return client.post("/auth/login", json={"username": name, "password": password})


def status(backend: Backend, name: str, password: str, *, address: str = HERE) -> int:
    """Try to sign in; return the status."""
    return sign_in(backend, name, password, address=address).status_code


def seen(answer: TestResponse) -> tuple[int, dict[str, Any], dict[str, str]]:
    """Return all that an answer tells, but the id of its request."""
    body = {**answer.get_json(), "request_id": ""}
    headers = {name: value for name, value in answer.headers if name != "X-Request-Id"}
    return answer.status_code, body, headers


def count(backend: Backend, key: tuple[str, ...], tries: int) -> None:
    """Count so many tries, without making them."""
    digest = Limit(key, 1, timedelta(1)).digest
    with backend.services.database.transaction() as tx:
        tx.merge(AttemptCounter(key=digest, started_at=backend.clock(), failures=tries))


def burn(backend: Backend, limit: str, left: int = 0) -> None:
    """Use up a limit, for all names alike, but for so many tries."""
    if limit == "client":
        count(backend, ("client", HERE), 100 - left)
    for name in NAMES:
        if limit == "here":
            count(backend, ("here", name, HERE), 10 - left)
        if limit == "account":
            count(backend, ("account", name), 200 - left)


def judged(backend: Backend, name: str) -> list[object]:
    """Return all that three wrong passwords are told."""
    return [seen(sign_in(backend, name, WRONG)) for _ in range(3)]


@pytest.mark.parametrize("limit", ["here", "account"])
@pytest.mark.parametrize("left", [0, 1, 2])
def test_a_used_up_limit_reads_the_same_for_all(backend: Backend, limit: str, left: int) -> None:
    """S-113: status, body and headers, at the try that uses it up and after it."""
    burn(backend, limit, left)
    told = {name: judged(backend, name) for name in NAMES}
    assert {name for name in NAMES if told[name] != told["unknown"]} == set()


@pytest.mark.parametrize("name", NAMES)
def test_a_used_up_address_is_refused_whatever_the_name(backend: Backend, name: str) -> None:
    """S-113: no name passes the limit of a client at all accounts."""
    burn(backend, "client")
    assert status(backend, name, WRONG) == 429
    assert status(backend, name, PASSWORD) == 429


@pytest.mark.parametrize("name", NAMES)
def test_an_address_is_used_up_as_fast_with_each_name(backend: Backend, name: str) -> None:
    """S-113: wrong passwords of known clients count as those of others."""
    burn(backend, "client", left=2)
    assert [status(backend, name, WRONG) for _ in range(3)] == [401, 401, 429]


def test_every_limit_burnt_by_hand_reads_the_same(backend: Backend) -> None:
    """S-113: a hundred real tries from one address, then a probe of each name."""
    for number in range(100):
        assert status(backend, f"nobody-{number}", WRONG) == 401
    told = {name: seen(sign_in(backend, name, WRONG)) for name in NAMES}
    assert {name for name in NAMES if told[name] != told["unknown"]} == set()


def test_a_neighbour_does_not_learn_that_somebody_signed_in(backend: Backend) -> None:
    """S-113: who shares an address would know that the account exists."""
    burn(backend, "here", left=2)
    status(backend, "known-here", PASSWORD)
    told = {name: judged(backend, name) for name in ("known-here", "unknown")}
    assert told["known-here"] == told["unknown"]


def test_the_owner_gets_in_where_strangers_used_up_the_account(backend: Backend) -> None:
    """S-044: from where they got in before, whatever wrong passwords are told there."""
    burn(backend, "account")
    assert status(backend, "known-here", WRONG) == 429
    assert status(backend, "known-here", PASSWORD) == 200
    assert status(backend, "known-here", PASSWORD, address=HOME) == 429


def test_a_known_client_has_ten_tries_at_a_used_up_account(backend: Backend) -> None:
    """S-044, S-045: the owner's address is no way round the limits."""
    burn(backend, "account")
    for _ in range(10):
        status(backend, "known-here", WRONG)
    assert status(backend, "known-here", PASSWORD) == 429


@pytest.fixture
def work(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is verified, by its parameters; a process that has just started does it."""
    return count_verifications(monkeypatch)


@pytest.mark.parametrize("limit", ["none", "account"])
@pytest.mark.parametrize("name", NAMES)
def test_the_work_is_the_same_for_all(
    make_backend: Callable[..., Backend], backend: Backend, work: list[str], name: str, limit: str
) -> None:
    """S-113, S-184: one hash with each set of parameters in use, by a process that just started."""
    burn(backend, limit)
    status(make_backend(argon2_time=4), name, WRONG)
    assert sorted(work) == [f"$argon2id$v=19$m=64,t={passes},p=1" for passes in (3, 4)]


@pytest.mark.parametrize("limit", ["here", "client"])
@pytest.mark.parametrize("name", NAMES)
def test_what_is_refused_costs_nothing(
    backend: Backend, work: list[str], name: str, limit: str
) -> None:
    """S-048, S-113: for whatever name."""
    burn(backend, limit)
    status(backend, name, WRONG)
    assert work == []


def test_a_window_that_was_written_ahead_of_time_locks_nobody_out(backend: Backend) -> None:
    """A host's clock was a month ahead while somebody guessed; then it was set right (R-19)."""
    backend.clock.advance(days=30)
    told = [status(backend, "existing", WRONG) for _ in range(11)]
    backend.clock.advance(days=-30)
    assert told == [401] * 10 + [429]
    assert status(backend, "existing", PASSWORD) == 200


def test_tries_count_from_then_on(backend: Backend) -> None:
    """Nor is a window that was written ahead of time one in which nothing counts."""
    backend.clock.advance(days=30)
    status(backend, "existing", WRONG)
    backend.clock.advance(days=-30)
    assert [status(backend, "existing", WRONG) for _ in range(11)] == [401] * 10 + [429]


def left_behind(backend: Backend, **ahead: float) -> None:
    """Hold all tries that HERE has, as a process that is killed then, by a clock that is ahead."""
    backend.clock.advance(**ahead)
    for _ in range(10):
        backend.services.issuer.attempt_limiter.reserve(
            [Limit(("here", "existing", HERE), 10, timedelta(minutes=15))]
        )
    backend.clock.advance(**{unit: -much for unit, much in ahead.items()})


@pytest.mark.parametrize("ahead", [{"minutes": 1, "seconds": 1}, {"days": 30}])
def test_tries_that_were_held_ahead_of_time_lock_nobody_out(
    backend: Backend, ahead: dict[str, float]
) -> None:
    """A host's clock was ahead when its process was killed (S-079, R-19)."""
    left_behind(backend, **ahead)
    assert status(backend, "existing", PASSWORD) == 200


@pytest.mark.parametrize("seconds", [0, 5, 29])
def test_tries_of_a_host_whose_clock_is_a_little_ahead_count(
    backend: Backend, seconds: int
) -> None:
    """Clocks differ by seconds: no way round the limit for tries at once (S-045)."""
    left_behind(backend, seconds=seconds)
    assert status(backend, "existing", PASSWORD) == 429
