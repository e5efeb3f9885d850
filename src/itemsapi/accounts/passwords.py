"""Passwords: stored as Argon2id, checked a few at a time, the same in time for unknown users.

Parameters: OWASP Password Storage Cheat Sheet; format: PHC strings; normal form: NFC, as RFC 8265
section 4.2 (OpaqueString) has it. Nothing is cut or changed otherwise.
"""

import secrets
import threading
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

from itemsapi.problems import Busy
from itemsapi.settings import Settings

LONGEST = 256  # characters; longer ones are refused, never cut (S-040)
AT_ONCE = 1  # hashes at work in one process: each takes its memory and a whole core
WAITING = 2  # more waiters than this would hold the server's threads (measured: p99 x 90)
ONE_TIME_LIFE = timedelta(days=7)  # of a password that was made for somebody (ASVS 6.4.1, S-119)
PATIENCE = 2.0  # seconds a waiter waits


class Passwords:
    """Hashes and checks passwords, never more at once than the process can bear."""

    def __init__(self, settings: Settings) -> None:
        """Take the parameters; the decoy is made of them, so it costs what a real one costs."""
        self._hasher = PasswordHasher(
            time_cost=settings.argon2_time,
            memory_cost=settings.argon2_memory,
            parallelism=settings.argon2_parallelism,
            type=Type.ID,
        )
        self._places = threading.BoundedSemaphore(AT_ONCE + WAITING)
        self._turn = threading.BoundedSemaphore(AT_ONCE)
        self._decoy = self._hasher.hash(secrets.token_urlsafe(24))

    def refuse_if_full(self) -> None:
        """Raise `Busy` at once when no more can wait: before any work is done for the request."""
        if not self._places.acquire(blocking=False):
            raise Busy
        self._places.release()

    def hash(self, password: str) -> str:
        """Return the PHC string of `password`. Raises `Busy`."""
        with self._place():
            return self._hasher.hash(_normal(password))

    def matches(self, password: str, stored: str | None) -> bool:
        """Tell whether `password` is the one stored; without a user the work is the same.

        Raises `Busy` when too many are being checked already.
        """
        with self._place():
            try:
                self._hasher.verify(stored or self._decoy, _normal(password))
            except (VerificationError, InvalidHashError):
                return False
        return stored is not None

    def outdated(self, stored: str) -> bool:
        """Tell whether `stored` was made with other parameters than today's."""
        return self._hasher.check_needs_rehash(stored)

    @contextmanager
    def _place(self) -> Iterator[None]:
        if not self._places.acquire(blocking=False):
            raise Busy
        try:
            if not self._turn.acquire(timeout=PATIENCE):
                raise Busy
            try:
                yield
            finally:
                self._turn.release()
        finally:
            self._places.release()


def _normal(password: str) -> str:
    return unicodedata.normalize("NFC", password)


def one_time_password() -> str:
    """Make a password that is shown once: 128 random bits in letters and digits."""
    return secrets.token_hex(16)
