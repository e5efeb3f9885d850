"""Places: who may hash a password now, and who waits; no client takes the places of all others.

Those who wait go in turns, one of each client after the other, as requests do at the server. When
all places are taken, whoever comes from a client that has fewer of them takes the last one of the
client that has the most, who is turned away. So a client that floods is refused itself.
"""

import threading
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from itemsapi.problems import Busy


@dataclass(eq=False, slots=True)
class _Waiter:
    """Somebody who waits to be called: to go, or to leave."""

    client: str
    called: threading.Event = field(default_factory=threading.Event)
    goes: bool = False


class HashingQueue:
    """So many at work, so many waiting; the rest is turned away at once."""

    def __init__(self, *, at_work: int, waiting: int) -> None:
        """Take how many may work at once, and how many more may wait for that."""
        self._at_work, self._waiting = at_work, waiting
        self._lock = threading.Lock()
        self._working = Counter[str]()
        self._lines: dict[str, deque[_Waiter]] = {}  # in the order in which their clients came
        self._last: dict[str, int] = {}  # when clients who work or wait had their last turn
        self._turns = 0

    def demand(self, client: str) -> None:
        """Raise `Busy` when there is no place for a client."""
        with self._lock:
            self._room(client)

    @contextmanager
    def taken(self, client: str, patience: float) -> Iterator[None]:
        """Wait for a turn, seconds at most, and work. Raises `Busy`."""
        waiter = self._join(client)
        if not waiter.called.wait(patience):
            self._give_up(waiter)
        if not waiter.goes:
            raise Busy
        try:
            yield
        finally:
            self._leave(client)

    def _join(self, client: str) -> _Waiter:
        waiter = _Waiter(client)
        with self._lock:
            most = self._room(client)
            if most is not None:
                self._lines[most].pop().called.set()
                self._tidy(most)
            self._lines.setdefault(client, deque()).append(waiter)
            self._call()
        return waiter

    def _room(self, client: str) -> str | None:
        """Return which client makes room, None if there is some. Raises `Busy`."""
        if self._working.total() < self._at_work or self._in_line() < self._waiting:
            return None
        most = max(self._lines, key=self._held, default=None)
        if most is None or self._held(most) <= self._held(client) + 1:
            raise Busy
        return most

    def _held(self, client: str) -> int:
        return self._working[client] + len(self._lines.get(client, ()))

    def _in_line(self) -> int:
        return sum(map(len, self._lines.values()))

    def _call(self) -> None:
        """Let as many go as may, those first whose client's last turn is the longest ago."""
        while self._lines and self._working.total() < self._at_work:
            client = min(self._lines, key=lambda one: self._last.get(one, 0))
            waiter = self._lines[client].popleft()
            self._turns += 1
            self._last[client] = self._turns
            self._working[client] += 1
            self._tidy(client)
            waiter.goes = True
            waiter.called.set()

    def _leave(self, client: str) -> None:
        with self._lock:
            self._working[client] -= 1
            self._tidy(client)
            self._call()

    def _give_up(self, waiter: _Waiter) -> None:
        with self._lock:
            if not waiter.called.is_set():
                self._lines[waiter.client].remove(waiter)
                self._tidy(waiter.client)

    def _tidy(self, client: str) -> None:
        """Forget a client that neither works nor waits, or all that ever came would be kept."""
        if not self._lines.get(client):
            self._lines.pop(client, None)
            if not self._working[client]:
                del self._working[client]
                self._last.pop(client, None)
