"""Sixteen threads in one process: no deadlock, no starvation, no partial changes (S-195)."""

import _thread
import sys
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest
from werkzeug.test import TestResponse

import itemsapi
from itemsapi.testing import PASSWORD
from support.app_factory import Backend
from support.rounds import rounds
from support.tokens import look

THREADS = 16
ROUNDS = rounds(100, 3)
SOURCE = str(Path(itemsapi.__file__).parent)
DEADLOCK_SECONDS = 300.0


class LockOrder:
    """Which lock was acquired while which was held, by the lines that created them."""

    def __init__(self) -> None:
        """Start empty."""
        self.after: set[tuple[str, str]] = set()
        self.places: set[str] = set()
        self.mine = threading.local()

    def held_by_thread(self) -> list[str]:
        """Return the source lines of the locks that this thread holds."""
        places: list[str] = vars(self.mine).setdefault("held", [])
        return places

    def cycles(self) -> set[str]:
        """Return the source lines of locks that form a cycle: two threads could deadlock."""
        in_cycles = set()
        for place in self.places:
            reached, front = set[str](), {place}
            while front:
                front = {later for earlier, later in self.after if earlier in front} - reached
                reached |= front
            if place in reached:
                in_cycles.add(place)
        return in_cycles


class WatchedLock:
    """A lock that records the order of acquisition."""

    def __init__(self, order: LockOrder, place: str) -> None:
        """Create a real lock."""
        self.lock, self.order, self.place = _thread.allocate_lock(), order, place
        order.places.add(place)

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:  # noqa: FBT002 - as Python's own
        """Acquire the lock; only a blocking call can deadlock."""
        if blocking:
            self.order.after |= {(held, self.place) for held in self.order.held_by_thread()}
        acquired = self.lock.acquire(blocking, timeout)
        if acquired:
            self.order.held_by_thread().append(self.place)
        return acquired

    def release(self) -> None:
        """Release the lock."""
        self.order.held_by_thread().remove(self.place)
        self.lock.release()

    def locked(self) -> bool:
        """Return whether the lock is held."""
        return self.lock.locked()

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.release()


@pytest.fixture
def order(monkeypatch: pytest.MonkeyPatch) -> LockOrder:
    """Watch the locks that the package creates from now on; all others are Python's own."""
    watched = LockOrder()

    def make_lock() -> Any:
        caller = sys._getframe(1)  # noqa: SLF001 - the only way to find the caller
        file = caller.f_code.co_filename
        if not file.startswith(SOURCE):
            return _thread.allocate_lock()
        return WatchedLock(watched, f"{file.removeprefix(SOURCE)}:{caller.f_lineno}")

    monkeypatch.setattr(threading, "Lock", make_lock)
    return watched


class SimulatedUser:
    """A thread: a user with a session and items who retries after each 503."""

    def __init__(self, backend: Backend, name: str) -> None:
        """Sign in later, in the thread."""
        self.backend, self.name = backend, name
        self.statuses: Counter[int] = Counter()

    def request(self, method: str, path: str, **options: Any) -> TestResponse:
        """Send a request until the response is not 503."""
        while True:
            response = self.backend.client().open(path, method=method, **options)
            self.statuses[response.status_code] += 1
            if response.status_code != 503:
                return response

    def run(self) -> int:
        """Sign in, create, refresh, read and sign out; return the number of rounds."""
        for n in range(ROUNDS):
            body = {"username": self.name, "password": PASSWORD}
            session = self.request("POST", "/auth/login", json=body).get_json()
            bearer = {"Authorization": f"Bearer {session['access_token']}"}
            item = {"name": f"{self.name} {n}", "price": "1", "currency": "EUR"}
            created = self.request("POST", "/items", json=item, headers=bearer)
            assert created.status_code == 201, created.get_json()
            token = {"refresh_token": session["refresh_token"]}
            refreshed = self.request("POST", "/auth/refresh", json=token).get_json()
            assert self.request("GET", "/look", headers=bearer).status_code == 204
            logout = self.request(
                "POST", "/auth/logout", json={"refresh_token": refreshed["refresh_token"]}
            )
            assert logout.status_code == 204
            assert self.request("GET", "/look", headers=bearer).status_code == 401
        return ROUNDS


@pytest.fixture
def users(order: LockOrder, make_backend: Callable[..., Backend]) -> list[SimulatedUser]:
    """Sixteen users of an application whose locks are watched."""
    backend = make_backend(look)
    users = [SimulatedUser(backend, f"user{n}") for n in range(THREADS)]
    for user in users:
        backend.create_user(user.name, "member")
    return users


@pytest.mark.full
def test_sixteen_threads_finish_and_acquire_locks_in_one_order(
    order: LockOrder, users: list[SimulatedUser]
) -> None:
    """S-195: all users finish all rounds; no two locks are acquired in both orders."""
    with ThreadPoolExecutor(THREADS) as pool:
        runs = [pool.submit(user.run) for user in users]
        rounds_done = [run.result(DEADLOCK_SECONDS) for run in runs]
    statuses = set().union(*(user.statuses for user in users))
    assert rounds_done == [ROUNDS] * THREADS
    assert statuses <= {200, 201, 204, 401, 503}
    assert len(order.places) > 5, "no lock was watched"
    assert order.cycles() == set()


def test_a_cycle_of_locks_is_detected() -> None:
    """The other test could fail."""
    order = LockOrder()
    one, two = WatchedLock(order, "one"), WatchedLock(order, "two")
    with one, two:
        pass
    with two, one:
        pass
    assert order.cycles() == {"one", "two"}
