"""Places for those who wait for a body: a client that never sends it must not stop the service.

A thread that reads a body waits until it is there: granian has no time limit for it, and nobody can
call the thread back. Whoever shows no token at a guarded route is answered before that; at sign-in
anybody may send a body. So one client may hold few places, and all clients together fewer than
there are threads (R-14): those who only read go on, and so do other clients' sign-ins.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from itemsapi.problems import Unavailable

ALL = 4  # places; `itemsapi serve` has twice as many threads
HERE = 2  # places of one client
PATIENCE = 0.5  # seconds to wait for a place: a body that is there is read in far less
STALLED = 0.25  # seconds after which nobody waits for a place to be given back


class Places:
    """Who waits for a body, and since when."""

    def __init__(self) -> None:
        """Begin with every place free."""
        self._changed = threading.Condition()
        self._held: list[tuple[str, float]] = []

    @contextmanager
    def one(self, client: str) -> Iterator[None]:
        """Hold a place while a body is read. Raises `Unavailable`."""
        place = self._take(client)
        try:
            yield
        finally:
            with self._changed:
                self._held.remove(place)
                self._changed.notify_all()

    def _take(self, client: str) -> tuple[str, float]:
        with self._changed:
            self._changed.wait_for(lambda: not self._worth_waiting(client), PATIENCE)
            if self._in_the_way(client):
                raise Unavailable(
                    "Too many bodies are being waited for; try again in 1 s.",
                    cause="request bodies: every place to wait for one is taken",
                )
            place = client, time.monotonic()
            self._held.append(place)
            return place

    def _worth_waiting(self, client: str) -> bool:
        """Tell whether there is no place now, and soon may be one."""
        since = self._in_the_way(client)
        return bool(since) and time.monotonic() - max(since) < STALLED

    def _in_the_way(self, client: str) -> list[float]:
        """Return since when the places are held that this client would need one of."""
        own = [since for holder, since in self._held if holder == client]
        if len(own) >= HERE:
            return own
        return [since for _, since in self._held] if len(self._held) >= ALL else []
