"""The cache of verified tokens: a signature is verified once for each process.

A look-up takes no lock, because all threads make one for each request. The tokens are in two
generations: when the young one is full it becomes the old one, and the tokens of the old one that
nobody used meanwhile are forgotten. So what is in use stays, and memory is bounded.
"""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

MAX_TOKENS = 8192  # per process: some 1.5 KB each

Entry = TypeVar("Entry")


class TokenCache(Generic[Entry]):
    """What is known of verified tokens, for one version of the keys."""

    def __init__(self, version: Callable[[], int]) -> None:
        """Take the function that returns the version of the keys."""
        self._current_version = version
        self._lock = threading.Lock()  # of changes
        self._young: dict[str, Entry] = {}
        self._old: dict[str, Entry] = {}
        self._version = -1  # before the first look-up

    def get(self, token: str) -> tuple[Entry | None, int]:
        """Return what is known of a token, and the version of the keys that this is for."""
        version = self._current_version()
        if version != self._version:
            self._start_anew(version)
        entry = self._young.get(token)
        if entry is None and (entry := self._old.get(token)) is not None:
            self.add(token, entry, version)
        return entry, version

    def add(self, token: str, entry: Entry, version: int) -> None:
        """Remember a token, unless the keys changed meanwhile: its key may have been withdrawn."""
        with self._lock:
            if version != self._version:
                return
            if len(self._young) >= MAX_TOKENS // 2:
                self._young, self._old = {}, self._young
            self._young[token] = entry

    def forget(self, token: str) -> None:
        """Forget a token, so that its next use verifies it again."""
        with self._lock:
            self._young.pop(token, None)
            self._old.pop(token, None)

    def _start_anew(self, version: int) -> None:
        with self._lock:
            self._young, self._old, self._version = {}, {}, version
