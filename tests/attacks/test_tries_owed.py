"""Threads of a process that owe and pay for held tries at once lose none (S-079).

The place where they meet switches threads itself, so that nothing is left to chance.
"""

from collections import deque
from collections.abc import Callable, Iterator
from datetime import timedelta

from itemsapi.rate_limits import MAX_UNRELEASED, Limit, PendingAttempt
from support.app_factory import Backend


class Shared(deque[str]):
    """What is owed, of which another thread takes or adds just when one looks or takes."""

    meanwhile: Callable[["Shared"], object] = len  # once; then nothing more happens

    def _switch(self) -> None:
        then, self.meanwhile = self.meanwhile, len
        then(self)

    def popleft(self) -> str:
        """Take one, after the other thread had its turn."""
        self._switch()
        return super().popleft()

    def __iter__(self) -> Iterator[str]:
        """Look at all, before the other thread has its turn."""
        yield from list(super().__iter__())
        self._switch()


def owed(backend: Backend, meanwhile: Callable[[Shared], object]) -> None:
    """Owe a hold that is over, have `meanwhile` be done in between, and pay."""
    attempt_limiter, limit = (
        backend.services.issuer.attempt_limiter,
        Limit(("a",), 10, timedelta(minutes=15)),
    )
    shared = Shared(maxlen=MAX_UNRELEASED)
    attempt_limiter._unreleased = shared  # noqa: SLF001 - where two threads meet
    first, shared.meanwhile = attempt_limiter.reserve([limit]), meanwhile
    attempt_limiter.release(first)


def test_a_hold_that_another_thread_lets_go_of_first_is_no_fault(backend: Backend) -> None:
    """S-079: the last one was there a moment ago."""
    owed(backend, lambda shared: shared.pop())
    assert not backend.services.issuer.attempt_limiter._unreleased  # noqa: SLF001 - where two threads meet


def test_a_hold_that_is_owed_while_another_thread_pays_is_not_forgotten(backend: Backend) -> None:
    """S-079: it is let go of as well, now or with the next try."""
    late = backend.services.issuer.attempt_limiter.reserve(
        [Limit(("b",), 10, timedelta(minutes=15))]
    )
    owed(backend, lambda shared: shared.append(late.id))
    backend.client().post("/auth/login", json={"username": "ada", "password": "wrong" * 4})
    with backend.services.database.reading() as connection:
        assert connection.execute(PendingAttempt.core().select()).all() == []
