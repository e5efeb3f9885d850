"""The hashing queue: no client takes the places of all others (S-048, R-13)."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from itemsapi.accounts.hashing_queue import HashingQueue
from itemsapi.problems import Busy

WITHIN = 20.0  # seconds, on a machine that does other things too
FLOOD, OTHER, THIRD, FOURTH = "198.51.100.7", "203.0.113.9", "192.0.2.1", "192.0.2.2"


@dataclass
class Worker:
    """A thread that hashes until it is stopped."""

    client: str
    went: threading.Event = field(default_factory=threading.Event)
    refused: threading.Event = field(default_factory=threading.Event)
    may_leave: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread | None = None

    def run(self, queue: HashingQueue) -> None:
        """Take a place and keep it."""
        try:
            with queue.slot(self.client, WITHIN):
                self.went.set()
                self.may_leave.wait(WITHIN)
        except Busy:
            self.refused.set()

    def leave(self) -> None:
        """Stop and wait for the end of the thread."""
        self.may_leave.set()
        assert self.thread is not None
        self.thread.join(WITHIN)


Comes = Callable[[str], Worker]


@pytest.fixture
def queue() -> HashingQueue:
    """One at work, two waiting."""
    return HashingQueue(max_running=1, max_waiting=2)


@pytest.fixture
def start_worker(queue: HashingQueue) -> Iterator[Comes]:
    """Start a worker of a client; return when it works, waits or was rejected."""
    guests: list[Worker] = []

    def come(client: str) -> Worker:
        guest = Worker(client)
        guest.thread = threading.Thread(target=guest.run, args=(queue,), daemon=True)
        before = places_by_client(queue)
        guest.thread.start()
        guests.append(guest)
        wait_until(
            lambda: (
                places_by_client(queue) != before or guest.refused.is_set() or guest.went.is_set()
            )
        )
        return guest

    yield come
    for guest in guests:  # all of them first: who waits is called by who leaves
        guest.may_leave.set()
    for guest in guests:
        guest.leave()


def places_by_client(queue: HashingQueue) -> dict[str, int]:
    """Return how many places each client has."""
    with queue._lock:  # noqa: SLF001 - nobody else tells who waits
        return {one: queue._slots(one) for one in (FLOOD, OTHER, THIRD, FOURTH)}  # noqa: SLF001


def wait_until(done: Callable[[], bool]) -> None:
    """Wait until a condition is true."""
    ends = time.monotonic() + WITHIN
    while not done():
        assert time.monotonic() < ends


def test_a_single_client_may_use_all_places(start_worker: Comes) -> None:
    """And is rejected at once when it wants more."""
    guests = [start_worker(FLOOD) for _ in range(4)]
    assert [guest.refused.is_set() for guest in guests] == [False, False, False, True]


def test_a_new_client_goes_before_the_second_job_of_a_flooder(start_worker: Comes) -> None:
    """However long that one has been waiting."""
    first, second, newcomer = start_worker(FLOOD), start_worker(FLOOD), start_worker(OTHER)
    first.leave()
    assert newcomer.went.wait(WITHIN)
    assert not second.went.is_set()


def test_a_new_client_displaces_the_client_with_the_most_places(start_worker: Comes) -> None:
    """Only the last job of the flooder is rejected."""
    first, second, third = start_worker(FLOOD), start_worker(FLOOD), start_worker(FLOOD)
    newcomer = start_worker(OTHER)
    assert third.refused.wait(WITHIN)
    assert [guest.refused.is_set() for guest in (first, second, newcomer)] == [False] * 3


def test_a_client_does_not_displace_its_own_jobs(start_worker: Comes) -> None:
    """Otherwise its jobs would wait for nothing."""
    waiting, late = [start_worker(FLOOD) for _ in range(3)], start_worker(FLOOD)
    assert late.refused.is_set()
    assert not any(guest.refused.is_set() for guest in waiting)


def test_a_client_with_one_place_keeps_it(start_worker: Comes) -> None:
    """A fourth client is rejected: there is nothing left to share (S-048)."""
    guests = [start_worker(client) for client in (FLOOD, OTHER, THIRD, FOURTH)]
    assert [guest.refused.is_set() for guest in guests] == [False, False, False, True]


def test_clients_are_served_round_robin(start_worker: Comes) -> None:
    """One job of each after the other."""
    first, second, other = start_worker(FLOOD), start_worker(FLOOD), start_worker(OTHER)
    first.leave()
    other.leave()
    assert second.went.wait(WITHIN)


def test_whether_the_queue_is_full_depends_on_the_client(
    start_worker: Comes, queue: HashingQueue
) -> None:
    """The flooder is rejected before any work, a new client is not."""
    for _ in range(3):
        start_worker(FLOOD)
    queue.require_capacity(OTHER)
    with pytest.raises(Busy):
        queue.require_capacity(FLOOD)


def test_a_job_that_waits_too_long_releases_its_place(
    start_worker: Comes, queue: HashingQueue
) -> None:
    """No job waits for ever."""
    start_worker(FLOOD)
    before = places_by_client(queue)
    with pytest.raises(Busy), queue.slot(OTHER, 0.01):
        raise AssertionError("went")
    assert places_by_client(queue) == before


def test_a_client_without_jobs_is_forgotten(start_worker: Comes, queue: HashingQueue) -> None:
    """Otherwise every address would be kept."""
    for guest in [start_worker(FLOOD), start_worker(OTHER), start_worker(FLOOD)]:
        guest.leave()
    assert (queue._running, queue._waiters, queue._last_admitted) == ({}, {}, {})  # noqa: SLF001


def test_an_exception_releases_the_place(queue: HashingQueue) -> None:
    """Any exception."""
    with pytest.raises(ZeroDivisionError), queue.slot(FLOOD, WITHIN):
        raise ZeroDivisionError
    assert places_by_client(queue)[FLOOD] == 0


def test_a_new_client_displaces_the_flooder_and_no_other_client(start_worker: Comes) -> None:
    """The client with the most places, wherever it waits (S-048)."""
    start_worker(FLOOD)
    second, other = start_worker(FLOOD), start_worker(OTHER)
    newcomer = start_worker(THIRD)
    assert second.refused.wait(WITHIN)
    assert [guest.refused.is_set() for guest in (other, newcomer)] == [False, False]


def test_a_client_with_one_place_more_keeps_it(start_worker: Comes) -> None:
    """Otherwise both would displace each other for ever."""
    start_worker(FLOOD)
    second, other = start_worker(FLOOD), start_worker(OTHER)
    late = start_worker(OTHER)
    assert late.refused.is_set()
    assert not any(guest.refused.is_set() for guest in (second, other))


def test_a_place_is_free_when_nothing_may_wait() -> None:
    """One hash may run, and the next is rejected at once."""
    queue = HashingQueue(max_running=1, max_waiting=0)
    queue.require_capacity(FLOOD)
    with queue.slot(FLOOD, WITHIN), pytest.raises(Busy):
        queue.require_capacity(OTHER)


def test_as_many_hashes_run_at_once_as_are_allowed() -> None:
    """Two, and then none waits."""
    queue = HashingQueue(max_running=2, max_waiting=0)
    with queue.slot(FLOOD, WITHIN), queue.slot(FLOOD, WITHIN), pytest.raises(Busy):
        queue.require_capacity(OTHER)
    queue.require_capacity(OTHER)


def test_the_client_that_was_served_longest_ago_goes_first(start_worker: Comes) -> None:
    """Not the one that arrived first (S-048)."""
    first = start_worker(FLOOD)
    second, other = start_worker(FLOOD), start_worker(OTHER)
    first.leave()
    assert other.went.wait(WITHIN)
    third = start_worker(THIRD)
    other.leave()
    assert third.went.wait(WITHIN)
    assert not second.went.is_set()
