"""Who may hash now: no client takes the places of all others (S-048, R-13)."""

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
class Guest:
    """Somebody who hashes until told to leave."""

    client: str
    went: threading.Event = field(default_factory=threading.Event)
    refused: threading.Event = field(default_factory=threading.Event)
    may_leave: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread | None = None

    def run(self, places: HashingQueue) -> None:
        """Take a place and stay."""
        try:
            with places.slot(self.client, WITHIN):
                self.went.set()
                self.may_leave.wait(WITHIN)
        except Busy:
            self.refused.set()

    def leave(self) -> None:
        """Stop, and be gone."""
        self.may_leave.set()
        assert self.thread is not None
        self.thread.join(WITHIN)


Comes = Callable[[str], Guest]


@pytest.fixture
def places() -> HashingQueue:
    """One at work, two waiting."""
    return HashingQueue(max_running=1, max_waiting=2)


@pytest.fixture
def comes(places: HashingQueue) -> Iterator[Comes]:
    """Let somebody come from a client; they work, wait, or were refused when this returns."""
    guests: list[Guest] = []

    def come(client: str) -> Guest:
        guest = Guest(client)
        guest.thread = threading.Thread(target=guest.run, args=(places,), daemon=True)
        held = holding(places)
        guest.thread.start()
        guests.append(guest)
        until(lambda: holding(places) != held or guest.refused.is_set() or guest.went.is_set())
        return guest

    yield come
    for guest in guests:  # all of them first: who waits is called by who leaves
        guest.may_leave.set()
    for guest in guests:
        guest.leave()


def holding(places: HashingQueue) -> dict[str, int]:
    """Return how many places each client has."""
    with places._lock:  # noqa: SLF001 - nobody else tells who waits
        return {one: places._slots(one) for one in (FLOOD, OTHER, THIRD, FOURTH)}  # noqa: SLF001


def until(done: Callable[[], bool]) -> None:
    """Wait for something."""
    ends = time.monotonic() + WITHIN
    while not done():
        assert time.monotonic() < ends


def test_one_client_alone_may_have_all_places(comes: Comes) -> None:
    """And is refused at once when it wants more."""
    guests = [comes(FLOOD) for _ in range(4)]
    assert [guest.refused.is_set() for guest in guests] == [False, False, False, True]


def test_a_newcomer_goes_before_the_flooders_second(comes: Comes) -> None:
    """However long that one has been waiting."""
    first, second, newcomer = comes(FLOOD), comes(FLOOD), comes(OTHER)
    first.leave()
    assert newcomer.went.wait(WITHIN)
    assert not second.went.is_set()


def test_a_newcomer_takes_a_place_of_who_has_the_most(comes: Comes) -> None:
    """The last of the flooder's is turned away, and nobody else."""
    first, second, third = comes(FLOOD), comes(FLOOD), comes(FLOOD)
    newcomer = comes(OTHER)
    assert third.refused.wait(WITHIN)
    assert [guest.refused.is_set() for guest in (first, second, newcomer)] == [False] * 3


def test_nobody_is_turned_away_for_one_of_the_same_client(comes: Comes) -> None:
    """A flood does not push itself out, or it would wait for nothing."""
    waiting, late = [comes(FLOOD) for _ in range(3)], comes(FLOOD)
    assert late.refused.is_set()
    assert not any(guest.refused.is_set() for guest in waiting)


def test_who_has_one_place_keeps_it(comes: Comes) -> None:
    """Beyond three clients the fourth is refused: there is no more to share (S-048)."""
    guests = [comes(client) for client in (FLOOD, OTHER, THIRD, FOURTH)]
    assert [guest.refused.is_set() for guest in guests] == [False, False, False, True]


def test_clients_take_turns(comes: Comes) -> None:
    """One of each after the other."""
    first, second, other = comes(FLOOD), comes(FLOOD), comes(OTHER)
    first.leave()
    other.leave()
    assert second.went.wait(WITHIN)


def test_whether_there_is_room_depends_on_who_asks(comes: Comes, places: HashingQueue) -> None:
    """The flooder is refused before any work, the newcomer is not."""
    for _ in range(3):
        comes(FLOOD)
    places.require_capacity(OTHER)
    with pytest.raises(Busy):
        places.require_capacity(FLOOD)


def test_whose_turn_does_not_come_gives_the_place_back(comes: Comes, places: HashingQueue) -> None:
    """Nobody waits for ever."""
    comes(FLOOD)
    before = holding(places)
    with pytest.raises(Busy), places.slot(OTHER, 0.01):
        raise AssertionError("went")
    assert holding(places) == before


def test_who_is_gone_is_forgotten(comes: Comes, places: HashingQueue) -> None:
    """Or every address that ever came would be kept."""
    for guest in [comes(FLOOD), comes(OTHER), comes(FLOOD)]:
        guest.leave()
    assert (places._running, places._waiters, places._last_admitted) == ({}, {}, {})  # noqa: SLF001


def test_a_fault_at_work_frees_the_place(places: HashingQueue) -> None:
    """Whatever goes wrong."""
    with pytest.raises(ZeroDivisionError), places.slot(FLOOD, WITHIN):
        raise ZeroDivisionError
    assert holding(places)[FLOOD] == 0
