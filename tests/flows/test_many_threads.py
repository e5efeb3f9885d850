"""Sixteen threads in one process: no deadlock, no starvation, nothing half-done (S-195)."""

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
from support.app_factory import PASSWORD, Backend
from support.rounds import rounds
from support.tokens import look

THREADS = 16
ROUNDS = rounds(100, 3)
SOURCE = str(Path(itemsapi.__file__).parent)
WITHIN = 300.0  # seconds after which it is a deadlock


class Order:
    """Which lock was taken while which was held, by the places in our source that made them."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.after: set[tuple[str, str]] = set()
        self.places: set[str] = set()
        self.mine = threading.local()

    def held(self) -> list[str]:
        """Return the places of the locks that this thread holds."""
        found: list[str] = vars(self.mine).setdefault("held", [])
        return found

    def circles(self) -> set[str]:
        """Return the places from which "while" leads back to them: two threads could meet."""
        found = set()
        for place in self.places:
            seen, front = set[str](), {place}
            while front:
                front = {later for was, later in self.after if was in front} - seen
                seen |= front
            if place in seen:
                found.add(place)
        return found


class Watched:
    """A lock that notes in what order it is taken."""

    def __init__(self, order: Order, place: str) -> None:
        """Make a real one."""
        self.lock, self.order, self.place = _thread.allocate_lock(), order, place
        order.places.add(place)

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:  # noqa: FBT002 - as Python's own
        """Take it; only who waits can be waited for in a circle."""
        if blocking:
            self.order.after |= {(held, self.place) for held in self.order.held()}
        taken = self.lock.acquire(blocking, timeout)
        if taken:
            self.order.held().append(self.place)
        return taken

    def release(self) -> None:
        """Give it back."""
        self.order.held().remove(self.place)
        self.lock.release()

    def locked(self) -> bool:
        """Tell whether somebody has it."""
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
def order(monkeypatch: pytest.MonkeyPatch) -> Order:
    """Locks that our source makes from now on are watched; all others are Python's own."""
    watched = Order()

    def made() -> Any:
        caller = sys._getframe(1)  # noqa: SLF001 - the only way to know who asks
        file = caller.f_code.co_filename
        if not file.startswith(SOURCE):
            return _thread.allocate_lock()
        return Watched(watched, f"{file.removeprefix(SOURCE)}:{caller.f_lineno}")

    monkeypatch.setattr(threading, "Lock", made)
    return watched


class Person:
    """One thread: somebody with a session and items, who is told to come again and does."""

    def __init__(self, backend: Backend, name: str) -> None:
        """Sign in later, in the thread."""
        self.backend, self.name = backend, name
        self.did: Counter[int] = Counter()

    def ask(self, method: str, path: str, **more: Any) -> TestResponse:
        """Ask until the answer is no 503."""
        while True:
            answer = self.backend.client().open(path, method=method, **more)
            self.did[answer.status_code] += 1
            if answer.status_code != 503:
                return answer

    def live(self) -> int:
        """Sign in, work, refresh, look, sign out; return how many rounds were done."""
        for at in range(ROUNDS):
            body = {"username": self.name, "password": PASSWORD}
            opened = self.ask("POST", "/auth/login", json=body).get_json()
            bearer = {"Authorization": f"Bearer {opened['access_token']}"}
            item = {"name": f"{self.name} {at}", "price": "1", "currency": "EUR"}
            made = self.ask("POST", "/items", json=item, headers=bearer)
            assert made.status_code == 201, made.get_json()
            token = {"refresh_token": opened["refresh_token"]}
            renewed = self.ask("POST", "/auth/refresh", json=token).get_json()
            assert self.ask("GET", "/look", headers=bearer).status_code == 204
            left = self.ask(
                "POST", "/auth/logout", json={"refresh_token": renewed["refresh_token"]}
            )
            assert left.status_code == 204
            assert self.ask("GET", "/look", headers=bearer).status_code == 401
        return ROUNDS


@pytest.fixture
def crowd(order: Order, make_backend: Callable[..., Backend]) -> list[Person]:
    """Sixteen people in a backend whose locks are watched."""
    backend = make_backend(look)
    users = [Person(backend, f"user{at}") for at in range(THREADS)]
    for user in users:
        backend.create_user(user.name, "member")
    return users


@pytest.mark.full
def test_sixteen_threads_all_get_through_and_take_locks_in_one_order(
    order: Order, crowd: list[Person]
) -> None:
    """S-195: everybody finishes as many rounds; no two locks are taken crosswise."""
    with ThreadPoolExecutor(THREADS) as pool:
        lives = [pool.submit(user.live) for user in crowd]
        done = [life.result(WITHIN) for life in lives]
    statuses = set().union(*(user.did for user in crowd))
    assert done == [ROUNDS] * THREADS
    assert statuses <= {200, 201, 204, 401, 503}
    assert len(order.places) > 5, "no lock was watched"
    assert order.circles() == set()


def test_a_circle_is_seen() -> None:
    """A proof that could not fail is none."""
    order = Order()
    one, two = Watched(order, "one"), Watched(order, "two")
    with one, two:
        pass
    with two, one:
        pass
    assert order.circles() == {"one", "two"}
