"""Threads that add and release unreleased attempts at once lose none (S-079).

The queue simulates the switch between two threads, so that the order is fixed.
"""

from collections import deque
from collections.abc import Callable, Iterator
from datetime import timedelta

from itemsapi.attempt_limits import MAX_UNRELEASED, Limit, PendingAttempt
from support.app_factory import Backend


class SwitchingQueue(deque[str]):
    """A queue that another thread changes while this one reads or removes an element."""

    meanwhile: Callable[["SwitchingQueue"], object] = len  # called once

    def _switch(self) -> None:
        other_thread, self.meanwhile = self.meanwhile, len
        other_thread(self)

    def popleft(self) -> str:
        """Remove an element, after the other thread ran."""
        self._switch()
        return super().popleft()

    def __iter__(self) -> Iterator[str]:
        """Read all elements, before the other thread runs."""
        yield from list(super().__iter__())
        self._switch()


def release_while(backend: Backend, meanwhile: Callable[[SwitchingQueue], object]) -> None:
    """Release a finished attempt while another thread does `meanwhile`."""
    attempt_limiter = backend.services.issuer.attempt_limiter
    limit = Limit(("a",), 10, timedelta(minutes=15))
    shared = SwitchingQueue(maxlen=MAX_UNRELEASED)
    attempt_limiter._unreleased = shared  # noqa: SLF001 - shared by threads
    first, shared.meanwhile = attempt_limiter.reserve([limit]), meanwhile
    attempt_limiter.release(first)


def test_a_reservation_that_another_thread_releases_first_is_no_error(backend: Backend) -> None:
    """S-079: it existed when this thread looked."""
    release_while(backend, lambda shared: shared.pop())
    assert not backend.services.issuer.attempt_limiter._unreleased  # noqa: SLF001 - shared by threads


def test_a_reservation_added_while_another_thread_releases_is_released(backend: Backend) -> None:
    """S-079: now or with the next attempt."""
    late = backend.services.issuer.attempt_limiter.reserve(
        [Limit(("b",), 10, timedelta(minutes=15))]
    )
    release_while(backend, lambda shared: shared.append(late.id))
    backend.client().post("/auth/login", json={"username": "ada", "password": "wrong" * 4})
    with backend.services.database.reading() as connection:
        assert connection.execute(PendingAttempt.core().select()).all() == []
