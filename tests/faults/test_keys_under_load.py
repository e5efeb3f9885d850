"""Keys change while clients work: no valid token is rejected (R-20)."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from itemsapi.clock import Timer
from itemsapi.tokens import key_set
from itemsapi.tokens.key_store import PUBLISHED_BEFORE_SIGNING, SigningKey
from support.app_factory import Backend
from support.keys import is_token_accepted, kid_of, login_ada, signing_and_next_kids

Build = Callable[..., Backend]

LOAD_SECONDS = 3.0
CLIENTS = 8


@pytest.fixture
def timer() -> Timer:
    """The real timer: the copies of the keys age while clients work."""
    return time.monotonic


@pytest.fixture
def backends(make_backend: Build) -> list[Backend]:
    """Two processes on one database, with the default revocation lag."""
    backends = [make_backend(), make_backend()]
    backends[0].create_user("ada", "member")
    return backends


def publish_next_key(backend: Backend) -> None:
    """Age the keys so that the next one has been published long enough."""
    backend.services.key_set.snapshot()
    made = datetime.now(UTC) - 2 * PUBLISHED_BEFORE_SIGNING
    with backend.services.database.transaction() as tx:
        tx.execute(update(SigningKey).values(created_at=made))


def client(backends: list[Backend], tokens: dict[str, str], stop: threading.Event) -> Iterator[str]:
    """Send requests to both processes in turn until stopped; yield the outcomes."""
    refresh_token, access_token = tokens["refresh_token"], tokens["access_token"]
    turn = 0
    while not stop.is_set():
        backend = backends[turn % 2]
        response = backend.bearer_client(access_token).get("/auth/sessions")
        yield f"list {response.status_code}"
        turn += 1
        if turn % 5 == 0:
            body = {"refresh_token": refresh_token}
            response = backend.client().post("/auth/refresh", json=body)
            yield f"refresh {response.status_code}"
            if response.status_code == 200:
                access_token = response.get_json()["access_token"]
                refresh_token = response.get_json()["refresh_token"]


def under_load(backends: list[Backend], change: Callable[[], object]) -> Counter[str]:
    """Run clients, make a change meanwhile, and count their outcomes."""
    stop, seen = threading.Event(), Counter[str]()
    tokens = [backends[0].login("ada") for _ in range(CLIENTS)]

    def work(own: dict[str, str]) -> None:
        seen.update(client(backends, own, stop))

    threads = [threading.Thread(target=work, args=(own,)) for own in tokens]
    for thread in threads:
        thread.start()
    stop.wait(LOAD_SECONDS / 2)
    change()
    stop.wait(LOAD_SECONDS / 2)
    stop.set()
    for thread in threads:
        thread.join()
    return seen


@pytest.mark.slow
def test_a_planned_rotation_rejects_no_token(backends: list[Backend]) -> None:
    """R-20: no errors in the process that rotated, nor in the other one."""
    publish_next_key(backends[0])
    seen = under_load(backends, backends[0].services.key_set.key_store.rotate)
    assert seen.keys() == {"list 200", "refresh 200"}
    assert seen.total() > 100


@pytest.mark.slow
def test_a_withdrawal_ends_no_session(backends: list[Backend]) -> None:
    """R-20: access tokens are rejected, refresh tokens never."""
    first = signing_and_next_kids(backends[0])[0]
    seen = under_load(backends, lambda: backends[0].services.key_set.key_store.withdraw(first))
    assert seen.keys() == {"list 200", "list 401", "refresh 200"}


def accepted_seconds(backend: Backend, token: str) -> float:
    """Use a token until it is rejected; return how long it was accepted.

    The time of the last accepted request counts, not how long the rejection took.
    """
    began, pause, last = time.monotonic(), threading.Event(), 0.0
    shown = began
    while is_token_accepted(backend, token):
        last = shown - began
        assert last < 60
        pause.wait(0.02)
        shown = time.monotonic()
    return last


@pytest.mark.slow
def test_a_withdrawn_key_is_rejected_in_every_process_within_two_seconds(
    backends: list[Backend],
) -> None:
    """R-20, S-147: with the default revocation lag."""
    here, there = backends
    token = login_ada(here)
    assert is_token_accepted(there, token)
    here.services.key_set.key_store.withdraw(kid_of(token))
    assert accepted_seconds(there, token) < 2


@pytest.mark.slow
def test_an_idle_process_rejects_a_withdrawn_key_at_once(
    backends: list[Backend], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its copy of the keys is older than the lag: no concurrent request uses it."""
    monkeypatch.setattr(key_set, "RELOAD_WAIT_SECONDS", 10.0)  # for slow machines
    here, there = backends
    token = login_ada(here)
    assert is_token_accepted(there, token)
    here.services.key_set.key_store.withdraw(kid_of(token))
    there.services.key_set._loaded_at = there.services.key_set._checked_at = 0.0  # noqa: SLF001 - idle for a long time
    found: list[bool] = []
    threads = [
        threading.Thread(target=lambda: found.append(is_token_accepted(there, token)))
        for _ in range(CLIENTS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [False] * CLIENTS


def test_a_scheduled_rotation_happens_once(make_backend: Build) -> None:
    """S-194: of two processes that find it due at once, one rotates."""
    schedule_settings = {"key_rotation": timedelta(days=30), "revocation_lag": timedelta(0)}
    backends = [make_backend(**schedule_settings), make_backend(**schedule_settings)]
    backends[0].services.key_set.snapshot()
    backends[0].clock.advance(days=31)
    threads = [threading.Thread(target=one.services.key_set.snapshot) for one in backends * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(row.state for row in backends[0].services.key_set.key_store.load_all()) == [
        "current", "next", "retired",
    ]  # fmt: skip
