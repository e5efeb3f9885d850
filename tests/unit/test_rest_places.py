"""Places for those who wait for a body: few for one client, fewer than threads for all."""

import threading
from contextlib import ExitStack

import pytest

from itemsapi.problems import Unavailable
from itemsapi.rest.places import ALL, HERE, Places


def hold(places: Places, stack: ExitStack, *clients: str) -> None:
    """Take a place for each client."""
    for client in clients:
        stack.enter_context(places.one(client))


def test_one_client_holds_few_places() -> None:
    """The next body of that client is refused (R-14)."""
    places = Places()
    with ExitStack() as stack:
        hold(places, stack, *["a"] * HERE)
        with pytest.raises(Unavailable), places.one("a"):
            pass
        hold(places, stack, "b")


def test_all_clients_together_hold_fewer_places_than_there_are_threads() -> None:
    """Whoever comes then is refused, so that threads are left for those who read (R-14)."""
    places = Places()
    with ExitStack() as stack:
        hold(places, stack, *map(str, range(ALL)))
        with pytest.raises(Unavailable), places.one("another"):
            pass


def test_places_are_free_again_when_bodies_came_or_broke_off() -> None:
    """However often, and whoever it was."""
    places = Places()
    for at in range(3 * ALL):
        with pytest.raises(ConnectionError), places.one(f"client {at % 2}"):
            raise ConnectionError
    assert places._held == []  # noqa: SLF001 - nobody is remembered


def test_a_place_that_is_given_back_in_time_is_taken() -> None:
    """Short waiting is no refusal: the bodies of a burst are read one after another."""
    places, first = Places(), ExitStack()
    hold(places, first, *["a"] * HERE)
    timer = threading.Timer(0.02, first.close)
    timer.start()
    with places.one("a"):
        timer.join()
