"""Limits and response times do not reveal whether a user exists (S-113)."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from itemsapi.accounts.models import COMMAND_LINE
from itemsapi.attempt_limits import AttemptCounter, Limit
from itemsapi.testing import PASSWORD
from support.app_factory import Backend
from support.password_counter import count_verifications
from support.responses import visible_parts

WRONG = "not the password at all"
HERE, HOME = "203.0.113.9", "198.51.100.7"
NAMES = ["existing", "known-here", "unknown", "disabled", "disabled-known", "outdated"]


@pytest.fixture
def backend(make_backend: Callable[..., Backend]) -> Backend:
    """A backend with all kinds of users; the parameters of hashing changed after one signed in."""
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
    """Attempt to sign in from an address."""
    client: FlaskClient = backend.client()
    client.environ_base["REMOTE_ADDR"] = address
    return client.post("/auth/login", json={"username": name, "password": password})


def status(backend: Backend, name: str, password: str, *, address: str = HERE) -> int:
    """Attempt to sign in; return the status."""
    return sign_in(backend, name, password, address=address).status_code


def count_attempts(backend: Backend, key: tuple[str, ...], count: int) -> None:
    """Count so many attempts, without making them."""
    digest = Limit(key, 1, timedelta(1)).digest
    with backend.services.database.transaction() as tx:
        tx.merge(AttemptCounter(key=digest, started_at=backend.clock(), failures=count))


def use_up(backend: Backend, limit: str, remaining: int = 0) -> None:
    """Use up a limit for all names, except for so many attempts."""
    if limit == "client":
        count_attempts(backend, ("client", HERE), 100 - remaining)
    for name in NAMES:
        if limit == "user and client":
            count_attempts(backend, ("user and client", name, HERE), 10 - remaining)
        if limit == "user":
            count_attempts(backend, ("user", name), 200 - remaining)


def outcomes(backend: Backend, name: str) -> list[object]:
    """Return what a client sees of three attempts with a wrong password."""
    return [visible_parts(sign_in(backend, name, WRONG)) for _ in range(3)]


@pytest.mark.parametrize("limit", ["user and client", "user"])
@pytest.mark.parametrize("remaining", [0, 1, 2])
def test_a_used_up_limit_looks_the_same_for_all_names(
    backend: Backend, limit: str, remaining: int
) -> None:
    """S-113: status, body and headers, at the attempt that uses it up and after it."""
    use_up(backend, limit, remaining)
    seen_by_name = {name: outcomes(backend, name) for name in NAMES}
    assert {name for name in NAMES if seen_by_name[name] != seen_by_name["unknown"]} == set()


@pytest.mark.parametrize("name", NAMES)
def test_a_used_up_address_is_rejected_for_all_names(backend: Backend, name: str) -> None:
    """S-113: no name bypasses the limit of a client at all users."""
    use_up(backend, "client")
    assert status(backend, name, WRONG) == 429
    assert status(backend, name, PASSWORD) == 429


@pytest.mark.parametrize("name", NAMES)
def test_an_address_is_used_up_as_fast_with_each_name(backend: Backend, name: str) -> None:
    """S-113: wrong passwords of known clients count like others."""
    use_up(backend, "client", remaining=2)
    assert [status(backend, name, WRONG) for _ in range(3)] == [401, 401, 429]


def test_a_limit_used_up_by_requests_looks_the_same_for_all_names(backend: Backend) -> None:
    """S-113: a hundred real attempts from one address, then one attempt for each name."""
    for number in range(100):
        assert status(backend, f"nobody-{number}", WRONG) == 401
    seen_by_name = {name: visible_parts(sign_in(backend, name, WRONG)) for name in NAMES}
    assert {name for name in NAMES if seen_by_name[name] != seen_by_name["unknown"]} == set()


def test_a_client_at_the_same_address_does_not_notice_a_sign_in(backend: Backend) -> None:
    """S-113: otherwise it would know that the user exists."""
    use_up(backend, "user and client", remaining=2)
    status(backend, "known-here", PASSWORD)
    seen_by_name = {name: outcomes(backend, name) for name in ("known-here", "unknown")}
    assert seen_by_name["known-here"] == seen_by_name["unknown"]


def test_the_owner_can_sign_in_when_unknown_clients_used_up_the_limit(backend: Backend) -> None:
    """S-044: from an address of an earlier sign-in."""
    use_up(backend, "user")
    assert status(backend, "known-here", WRONG) == 429
    assert status(backend, "known-here", PASSWORD) == 200
    assert status(backend, "known-here", PASSWORD, address=HOME) == 429


def test_a_known_client_has_ten_attempts_when_the_limit_is_used_up(backend: Backend) -> None:
    """S-044, S-045: the owner's address does not bypass the limits."""
    use_up(backend, "user")
    for _ in range(10):
        status(backend, "known-here", WRONG)
    assert status(backend, "known-here", PASSWORD) == 429


@pytest.fixture
def work(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the parameters of the hashes that one attempt verifies, in a new process."""
    return count_verifications(monkeypatch)


@pytest.mark.parametrize("limit", ["none", "user"])
@pytest.mark.parametrize("name", NAMES)
def test_the_hashing_work_is_the_same_for_all_names(
    make_backend: Callable[..., Backend], backend: Backend, work: list[str], name: str, limit: str
) -> None:
    """S-113, S-184: one hash with each set of parameters in use, in a new process."""
    use_up(backend, limit)
    status(make_backend(argon2_time=4), name, WRONG)
    assert sorted(work) == [f"$argon2id$v=19$m=64,t={passes},p=1" for passes in (3, 4)]


@pytest.mark.parametrize("limit", ["user and client", "client"])
@pytest.mark.parametrize("name", NAMES)
def test_a_rejected_attempt_verifies_no_hash(
    backend: Backend, work: list[str], name: str, limit: str
) -> None:
    """S-048, S-113: for any name."""
    use_up(backend, limit)
    status(backend, name, WRONG)
    assert work == []


def test_a_window_in_the_future_locks_nobody_out(backend: Backend) -> None:
    """The clock of a host was a month ahead during an attack, and was then corrected (R-19)."""
    backend.clock.advance(days=30)
    seen_by_name = [status(backend, "existing", WRONG) for _ in range(11)]
    backend.clock.advance(days=-30)
    assert seen_by_name == [401] * 10 + [429]
    assert status(backend, "existing", PASSWORD) == 200


def test_attempts_count_after_a_window_in_the_future(backend: Backend) -> None:
    """Such a window does not disable the limit."""
    backend.clock.advance(days=30)
    status(backend, "existing", WRONG)
    backend.clock.advance(days=-30)
    assert [status(backend, "existing", WRONG) for _ in range(11)] == [401] * 10 + [429]


def leave_pending_attempts(backend: Backend, **ahead: float) -> None:
    """Reserve all attempts of HERE, as a killed process whose clock was ahead would."""
    backend.clock.advance(**ahead)
    for _ in range(10):
        backend.services.issuer.attempt_limiter.reserve(
            [Limit(("user and client", "existing", HERE), 10, timedelta(minutes=15))]
        )
    backend.clock.advance(**{unit: -much for unit, much in ahead.items()})


@pytest.mark.parametrize("ahead", [{"minutes": 1, "seconds": 1}, {"days": 30}])
def test_attempts_reserved_in_the_future_lock_nobody_out(
    backend: Backend, ahead: dict[str, float]
) -> None:
    """The clock of a host was ahead when its process was killed (S-079, R-19)."""
    leave_pending_attempts(backend, **ahead)
    assert status(backend, "existing", PASSWORD) == 200


@pytest.mark.parametrize("seconds", [0, 5, 29])
def test_attempts_count_when_the_clock_of_a_host_is_slightly_ahead(
    backend: Backend, seconds: int
) -> None:
    """Clocks differ by seconds: that must not bypass the limit (S-045)."""
    leave_pending_attempts(backend, seconds=seconds)
    assert status(backend, "existing", PASSWORD) == 429
