"""An attempt that was not evaluated costs nothing; one that cannot be counted fails (S-079).

Each step of the database is let fail in turn, on real databases; `steps` finds how many there are.
The timer stands still, so that keys and revocations are loaded once: a reload may fail without an
effect.
"""

from collections.abc import Callable
from datetime import timedelta
from http import HTTPStatus

import pytest
from sqlalchemy import text

from itemsapi.accounts.hashing_queue import HashingQueue
from itemsapi.accounts.passwords import PasswordService
from itemsapi.attempt_limits import Limit, PendingAttempt
from itemsapi.issuer.sessions import end_all_sessions
from itemsapi.problems import Busy
from itemsapi.testing import PASSWORD
from support.app_factory import Backend
from support.database_faults import FaultInjector, FaultMode, failing_database
from support.operator_client import NEW_PASSWORD

WRONG = "not the password at all"
LEAST = 8  # steps that a sign-in takes at the very least, or they were not counted


@pytest.fixture(autouse=True)
def ada(backend: Backend) -> str:
    """A member."""
    return backend.create_user("ada", "member")


def status(backend: Backend, password: str = PASSWORD, **fields: str) -> int:
    """Attempt to sign in; return the status."""
    credentials = {"username": "ada", "password": password} | fields
    return backend.client().post("/auth/login", json=credentials).status_code


def change_password(
    backend: Backend, token: str, current: str = PASSWORD, new: str = NEW_PASSWORD
) -> int:
    """Attempt to change the password; return the status."""
    body = {"current_password": current, "new_password": new}
    return backend.bearer_client(token).post("/me/password", json=body).status_code


def count_steps(backend: Backend, job: Callable[[], int]) -> int:
    """Return how many database steps a successful operation has."""
    with failing_database(backend.services.database) as steps:
        assert job() == 200
    assert steps.count > LEAST
    return steps.count


def possible_answers(how: FaultMode, steps: FaultInjector, total: int) -> set[int]:
    """Return how an operation of `total` steps may end when one of them failed.

    A look-up on SQLite's driver is repeated by SQLAlchemy, which is a step more, so one fault of it
    is not noticed. More steps also follow when the attempt is returned.
    """
    may_succeed = how == "answer lost" or (how == "once" and steps.count > total)
    return {200, 503} if may_succeed else {503}


@pytest.mark.slow
@pytest.mark.parametrize("how", ["once", "from then on", "answer lost"])
def test_an_eleventh_sign_in_succeeds_after_ten_failed_at_any_step(
    backend: Backend, how: FaultMode
) -> None:
    """S-079: ten right sign-ins fail at the same step, then the database works again."""
    status(backend)
    total, spoilt = count_steps(backend, lambda: status(backend)), set()
    for at in range(1, total + 1):
        for _ in range(10):
            with failing_database(backend.services.database, at, how) as steps:
                answer = status(backend)
            assert answer in possible_answers(how, steps, total)
            assert steps.failed
        if status(backend) != 200:
            spoilt.add(at)
    assert spoilt == set()


@pytest.mark.slow
@pytest.mark.parametrize("how", ["once", "from then on"])
def test_an_eleventh_change_succeeds_after_ten_failed_at_any_step(
    backend: Backend, how: FaultMode
) -> None:
    """S-079: the current password was right each time."""
    token = backend.login("ada")["access_token"]
    passwords = [PASSWORD, NEW_PASSWORD]
    total = count_steps(backend, lambda: change_password(backend, token, *passwords))
    for at in range(1, total + 1):
        passwords.reverse()
        token = backend.login("ada", password=passwords[0])["access_token"]
        for _ in range(10):
            with failing_database(backend.services.database, at, how) as steps:
                answer = change_password(backend, token, *passwords)
            assert answer in possible_answers(how, steps, total)
            if answer == HTTPStatus.OK:
                break  # the look-up was repeated, and the password is changed
        else:
            assert change_password(backend, token, *passwords) == 200, at


def test_a_wrong_password_gets_401_only_when_it_is_counted(backend: Backend) -> None:
    """S-079: otherwise 503, or a failing step would allow unlimited guessing."""
    status(backend)
    with failing_database(backend.services.database) as steps:
        assert status(backend, WRONG) == 401
    for at in range(1, steps.count + 1):
        with failing_database(backend.services.database, at):
            assert status(backend, WRONG) == 503
        backend.clock.advance(minutes=16)


@pytest.mark.parametrize("table", ["itemsapi_attempt", "itemsapi_pending_attempt"])
@pytest.mark.parametrize("password", [PASSWORD, WRONG])
def test_a_sign_in_fails_when_it_cannot_be_counted(
    backend: Backend, table: str, password: str
) -> None:
    """The limits fail closed, even for a known client with the right password (S-045)."""
    status(backend)
    with backend.services.database.transaction() as tx:
        tx.execute(text(f"ALTER TABLE {table} RENAME TO away"))
    assert status(backend, password) == 503


def test_a_password_change_fails_when_it_cannot_be_counted(backend: Backend) -> None:
    """Like a sign-in (S-045)."""
    token = backend.login("ada")["access_token"]
    with backend.services.database.transaction() as tx:
        tx.execute(text("ALTER TABLE itemsapi_attempt RENAME TO away"))
    assert change_password(backend, token) == 503


@pytest.fixture
def full_hashing_queue(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Fill the hashing queue just after each attempt was reserved, for the duration of a block."""
    passwords, free = (
        backend.services.issuer.password_service,
        backend.services.issuer.password_service._queue,  # noqa: SLF001
    )
    monkeypatch.setattr(passwords, "_queue", HashingQueue(max_running=0, max_waiting=0))
    monkeypatch.setattr(passwords, "require_capacity", lambda: None)

    def go_home() -> None:
        monkeypatch.setattr(passwords, "_queue", free)

    return go_home


def test_an_attempt_rejected_by_the_hashing_queue_is_not_counted(
    backend: Backend, full_hashing_queue: Callable[[], None]
) -> None:
    """S-079, S-044: no password was verified; the clock stands still."""
    assert [status(backend) for _ in range(11)] == [503] * 11
    full_hashing_queue()
    assert [status(backend, WRONG) for _ in range(11)] == [401] * 10 + [429]


def test_an_attempt_rejected_by_the_hashing_queue_gets_retry_after(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S-048, R-13: one second."""
    passwords = backend.services.issuer.password_service
    monkeypatch.setattr(passwords, "_queue", HashingQueue(max_running=0, max_waiting=0))
    credentials = {"username": "ada", "password": PASSWORD}
    response = backend.client().post("/auth/login", json=credentials)
    assert (response.status_code, response.headers["Retry-After"]) == (503, "1")
    assert response.get_json()["code"] == "busy"


def test_each_address_has_its_own_place_in_the_hashing_queue(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S-048: a flood from one address must not displace others."""
    clients: list[str] = []

    class Watched(HashingQueue):
        def require_capacity(self, client: str) -> None:
            clients.append(client)
            super().require_capacity(client)

    watched = Watched(max_running=1, max_waiting=2)
    monkeypatch.setattr(backend.services.issuer.password_service, "_queue", watched)
    for address in ("203.0.113.9", "203.0.113.9", "198.51.100.7"):
        client = backend.client()
        client.environ_base["REMOTE_ADDR"] = address
        client.post("/auth/login", json={"username": "ada", "password": PASSWORD})
    assert clients[0] == clients[1] != clients[2]


def test_a_full_hashing_queue_for_the_new_password_costs_no_attempt(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S-079: the current password was right."""
    token = backend.login("ada")["access_token"]

    def busy(_self: PasswordService, _password: str) -> str:
        raise Busy

    with monkeypatch.context() as patch:
        patch.setattr(PasswordService, "hash", busy)
        assert [change_password(backend, token) for _ in range(11)] == [503] * 11
    assert change_password(backend, token) == 200


def test_a_session_that_ends_meanwhile_costs_no_attempt(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S-079: 401 for the token says nothing about the password."""
    hashing = PasswordService.hash

    def meanwhile(self: PasswordService, password: str) -> str:
        end_all_sessions(backend.services.issuer, why="a test")
        return hashing(self, password)

    for _ in range(10):
        token = backend.login("ada")["access_token"]
        with monkeypatch.context() as patch:
            patch.setattr(PasswordService, "hash", meanwhile)
            assert change_password(backend, token) == 401
    assert status(backend) == 200


def test_a_forbidden_scope_costs_no_attempt(backend: Backend) -> None:
    """S-079: the password was right, and the attempt leaves a trace (S-149)."""
    assert [status(backend, scope="users:write") for _ in range(11)] == [400] * 11
    assert status(backend) == 200


def test_attempts_of_a_killed_process_count_for_half_a_minute(backend: Backend) -> None:
    """S-045 while they might be in progress, S-079 afterwards."""
    here = Limit(("user and client", "ada", "127.0.0.1"), 10, timedelta(minutes=15))
    for _ in range(10):
        backend.services.issuer.attempt_limiter.reserve([here])
    backend.clock.advance(seconds=29.5)
    assert status(backend) == 429
    backend.clock.advance(seconds=0.5)
    assert status(backend) == 200


def test_a_new_window_allows_all_attempts_at_once(backend: Backend) -> None:
    """S-045: attempts of the window before do not count."""
    here = Limit(("user and client", "ada", "127.0.0.1"), 10, timedelta(minutes=15))
    status(backend, WRONG)
    backend.clock.advance(minutes=15)
    for _ in range(10):
        backend.services.issuer.attempt_limiter.reserve([here])
    assert status(backend) == 429


def test_no_row_is_left_of_finished_attempts(backend: Backend) -> None:
    """Neither of right nor of wrong ones: the table has only those in progress."""
    status(backend)
    status(backend, WRONG)
    with backend.services.database.reading() as connection:
        assert connection.execute(PendingAttempt.core().select()).all() == []
