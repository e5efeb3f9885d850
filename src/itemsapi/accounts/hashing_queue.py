"""Hashing queue: limit the concurrent password hashes, with a fair share for each client.

Waiting requests are admitted in rotation, one of each client after the other, like requests at the
server. When all slots are taken, a request of a client with fewer slots displaces the last waiting
request of the client with the most, which is rejected. So a flood of
requests from one client causes only its own requests to be rejected.
"""

import threading
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from itemsapi.problems import Busy


@dataclass(eq=False, slots=True)
class _Waiter:
    """A waiting request; it is notified when it is admitted or displaced."""

    client: str
    notified: threading.Event = field(default_factory=threading.Event)
    is_admitted: bool = False


class HashingQueue:
    """A bounded number of running and waiting hashes; further ones are rejected at once."""

    def __init__(self, *, max_running: int, max_waiting: int) -> None:
        """Limit the hashes that run at once, and those that wait."""
        self._max_running, self._max_waiting = max_running, max_waiting
        self._lock = threading.Lock()
        self._running = Counter[str]()
        self._waiters: dict[str, deque[_Waiter]] = {}  # by client, in order of arrival
        self._last_admitted: dict[str, int] = {}  # by active client: a sequence number
        self._admitted = 0

    def require_capacity(self, client: str) -> None:
        """Raise `Busy` if there is no slot for a client."""
        with self._lock:
            self._client_to_displace(client)

    @contextmanager
    def slot(self, client: str, timeout: float) -> Iterator[None]:
        """Wait for a slot, `timeout` seconds at most. Raise `Busy` if there is none."""
        waiter = self._enqueue(client)
        if not waiter.notified.wait(timeout):
            self._dequeue(waiter)
        if not waiter.is_admitted:
            raise Busy
        try:
            yield
        finally:
            self._leave(client)

    def _enqueue(self, client: str) -> _Waiter:
        waiter = _Waiter(client)
        with self._lock:
            displaced = self._client_to_displace(client)
            if displaced is not None:
                self._waiters[displaced].pop().notified.set()
                self._forget_idle(displaced)
            self._waiters.setdefault(client, deque()).append(waiter)
            self._admit()
        return waiter

    def _client_to_displace(self, client: str) -> str | None:
        """Return the client that loses a slot to `client`, None if one is free. Raise `Busy`."""
        if self._running.total() < self._max_running or self._waiting_count() < self._max_waiting:
            return None
        largest = max(self._waiters, key=self._slots, default=None)
        if largest is None or self._slots(largest) <= self._slots(client) + 1:
            raise Busy
        return largest

    def _slots(self, client: str) -> int:
        return self._running[client] + len(self._waiters.get(client, ()))

    def _waiting_count(self) -> int:
        return sum(map(len, self._waiters.values()))

    def _admit(self) -> None:
        """Admit as many as possible, starting with the client whose last one was longest ago."""
        while self._waiters and self._running.total() < self._max_running:
            client = min(self._waiters, key=lambda name: self._last_admitted.get(name, 0))
            waiter = self._waiters[client].popleft()
            self._admitted += 1
            self._last_admitted[client] = self._admitted
            self._running[client] += 1
            self._forget_idle(client)
            waiter.is_admitted = True
            waiter.notified.set()

    def _leave(self, client: str) -> None:
        with self._lock:
            self._running[client] -= 1
            self._forget_idle(client)
            self._admit()

    def _dequeue(self, waiter: _Waiter) -> None:
        with self._lock:
            if not waiter.notified.is_set():
                self._waiters[waiter.client].remove(waiter)
                self._forget_idle(waiter.client)

    def _forget_idle(self, client: str) -> None:
        """Forget a client without slots, so that memory does not grow with every new client."""
        if not self._waiters.get(client):
            self._waiters.pop(client, None)
            if not self._running[client]:
                del self._running[client]
                self._last_admitted.pop(client, None)
