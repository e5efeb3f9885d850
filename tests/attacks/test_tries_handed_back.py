"""A try that nobody could judge costs nothing, and who cannot be counted does not come in (S-079).

Each step of the database is let fail in turn, on real databases; `steps` finds how many there are.
"""

from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace

import pytest
from sqlalchemy import text

from itemsapi.accounts.hashing_queue import HashingQueue
from itemsapi.accounts.passwords import PasswordService
from itemsapi.issuer.sessions import end_all_sessions
from itemsapi.problems import Busy
from itemsapi.rate_limits import Limit, PendingAttempt
from itemsapi.tokens import key_set, revocation
from support.app_factory import PASSWORD, Backend
from support.database_faults import FaultMode, failing_database
from support.operator_client import NEW_PASSWORD

WRONG = "not the password at all"
LEAST = 8  # steps that a sign-in takes at the very least, or they were not counted


@pytest.fixture(autouse=True)
def nothing_is_asked_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys and revocations are read once: no step is such a reading, which may fail."""
    for module in (key_set, revocation):
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: 0.0))


@pytest.fixture(autouse=True)
def ada(backend: Backend) -> str:
    """A member."""
    return backend.create_user("ada", "member")


def status(backend: Backend, password: str = PASSWORD, **more: str) -> int:
    """Try to sign in; return the status."""
    wish = {"username": "ada", "password": password} | more
    return backend.client().post("/auth/login", json=wish).status_code


def change(backend: Backend, token: str, current: str = PASSWORD, new: str = NEW_PASSWORD) -> int:
    """Try to change the password; return the status."""
    body = {"current_password": current, "new_password": new}
    return backend.bearer_client(token).post("/me/password", json=body).status_code


def count(backend: Backend, job: Callable[[], int]) -> int:
    """Return how many steps something takes that goes well."""
    with failing_database(backend.services.database) as steps:
        assert job() == 200
    assert steps.count > LEAST
    return steps.count


@pytest.mark.slow
@pytest.mark.parametrize("how", ["once", "from then on", "answer lost"])
def test_the_eleventh_sign_in_works_whichever_step_failed_before(
    backend: Backend, how: FaultMode
) -> None:
    """S-079: ten right sign-ins fail at the same step, then the database works again."""
    status(backend)
    total, spoilt = count(backend, lambda: status(backend)), set()
    for at in range(1, total + 1):
        for _ in range(10):
            with failing_database(backend.services.database, at, how) as steps:
                assert status(backend) in ({503} if how != "answer lost" else {200, 503})
            assert steps.failed
        if status(backend) != 200:
            spoilt.add(at)
    assert spoilt == set()


@pytest.mark.slow
@pytest.mark.parametrize("how", ["once", "from then on"])
def test_the_eleventh_change_works_whichever_step_failed_before(
    backend: Backend, how: FaultMode
) -> None:
    """S-079: the current password was right each time."""
    token = backend.login("ada")["access_token"]
    passwords = [PASSWORD, NEW_PASSWORD]
    total = count(backend, lambda: change(backend, token, *passwords))
    for at in range(1, total + 1):
        passwords.reverse()
        token = backend.login("ada", password=passwords[0])["access_token"]
        for _ in range(10):
            with failing_database(backend.services.database, at, how):
                assert change(backend, token, *passwords) == 503
        assert change(backend, token, *passwords) == 200, at


def test_a_wrong_password_is_answered_only_when_it_is_counted(backend: Backend) -> None:
    """S-079: 503 whichever step fails, or who breaks a step would guess without end."""
    status(backend)
    with failing_database(backend.services.database) as steps:
        assert status(backend, WRONG) == 401
    for at in range(1, steps.count + 1):
        with failing_database(backend.services.database, at):
            assert status(backend, WRONG) == 503
        backend.clock.advance(minutes=16)


@pytest.mark.parametrize("table", ["itemsapi_attempt", "itemsapi_pending_attempt"])
@pytest.mark.parametrize("password", [PASSWORD, WRONG])
def test_nobody_comes_in_who_cannot_be_counted(backend: Backend, table: str, password: str) -> None:
    """The limits fail closed: not even a known client, with the right password (S-045)."""
    status(backend)
    with backend.services.database.transaction() as tx:
        tx.execute(text(f"ALTER TABLE {table} RENAME TO away"))
    assert status(backend, password) == 503


def test_no_password_is_changed_by_who_cannot_be_counted(backend: Backend) -> None:
    """At this door neither (S-045)."""
    token = backend.login("ada")["access_token"]
    with backend.services.database.transaction() as tx:
        tx.execute(text("ALTER TABLE itemsapi_attempt RENAME TO away"))
    assert change(backend, token) == 503


@pytest.fixture
def crowd(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Let all places be taken just after each try was held, until the crowd goes home."""
    passwords, free = (
        backend.services.issuer.password_service,
        backend.services.issuer.password_service._queue,  # noqa: SLF001
    )
    monkeypatch.setattr(passwords, "_queue", HashingQueue(max_running=0, max_waiting=0))
    monkeypatch.setattr(passwords, "require_capacity", lambda: None)

    def go_home() -> None:
        monkeypatch.setattr(passwords, "_queue", free)

    return go_home


def test_who_is_turned_away_loses_no_try(backend: Backend, crowd: Callable[[], None]) -> None:
    """S-079, S-044: nobody looked at the password; the clock stands still."""
    assert [status(backend) for _ in range(11)] == [503] * 11
    crowd()
    assert [status(backend, WRONG) for _ in range(11)] == [401] * 10 + [429]


def test_who_is_turned_away_is_told_when_to_come_again(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S-048, R-13: in a second."""
    passwords = backend.services.issuer.password_service
    monkeypatch.setattr(passwords, "_queue", HashingQueue(max_running=0, max_waiting=0))
    wish = {"username": "ada", "password": PASSWORD}
    answer = backend.client().post("/auth/login", json=wish)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert answer.get_json()["code"] == "busy"


def test_each_address_has_a_place_of_its_own(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S-048: or a flood from one would turn away the others."""
    there: list[str] = []

    class Watched(HashingQueue):
        def demand(self, client: str) -> None:
            there.append(client)
            super().require_capacity(client)

    watched = Watched(max_running=1, max_waiting=2)
    monkeypatch.setattr(backend.services.issuer.password_service, "_queue", watched)
    for address in ("203.0.113.9", "203.0.113.9", "198.51.100.7"):
        client = backend.client()
        client.environ_base["REMOTE_ADDR"] = address
        client.post("/auth/login", json={"username": "ada", "password": PASSWORD})
    assert there[0] == there[1] != there[2]


def test_a_full_house_while_a_new_password_is_hashed_costs_no_try(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S-079: the current one was right."""
    token = backend.login("ada")["access_token"]

    def busy(_self: PasswordService, _password: str) -> str:
        raise Busy

    with monkeypatch.context() as patch:
        patch.setattr(PasswordService, "hash", busy)
        assert [change(backend, token) for _ in range(11)] == [503] * 11
    assert change(backend, token) == 200


def test_a_session_that_ends_meanwhile_costs_no_try(
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
            assert change(backend, token) == 401
    assert status(backend) == 200


def test_a_scope_that_one_may_not_have_costs_no_try(backend: Backend) -> None:
    """S-079: the password was right; who learns that leaves a trace (S-149)."""
    assert [status(backend, scope="users:write") for _ in range(11)] == [400] * 11
    assert status(backend) == 200


def test_tries_of_a_process_that_was_killed_count_for_half_a_minute(backend: Backend) -> None:
    """S-045 while they might be under way, S-079 afterwards."""
    here = Limit(("here", "ada", "127.0.0.1"), 10, timedelta(minutes=15))
    for _ in range(10):
        backend.services.issuer.attempt_limiter.reserve([here])
    backend.clock.advance(seconds=29.5)
    assert status(backend) == 429
    backend.clock.advance(seconds=0.5)
    assert status(backend) == 200


def test_a_new_window_has_room_for_all_tries_at_once(backend: Backend) -> None:
    """S-045: what was counted in the one before counts for nothing."""
    here = Limit(("here", "ada", "127.0.0.1"), 10, timedelta(minutes=15))
    status(backend, WRONG)
    backend.clock.advance(minutes=15)
    for _ in range(10):
        backend.services.issuer.attempt_limiter.reserve([here])
    assert status(backend) == 429


def test_nothing_is_left_of_tries_that_are_over(backend: Backend) -> None:
    """Neither of right nor of wrong ones: the table stays as small as what is under way."""
    status(backend)
    status(backend, WRONG)
    with backend.services.database.reading() as connection:
        assert connection.execute(PendingAttempt.core().select()).all() == []
