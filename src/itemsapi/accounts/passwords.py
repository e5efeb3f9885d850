"""Passwords: stored as Argon2id, checked a few at a time, the same in time for unknown users.

Parameters: OWASP Password Storage Cheat Sheet; format: PHC strings; normal form: RFC 8265 section
4.2.2 (OpaqueString): spaces of every kind are U+0020, then NFC. Nothing is cut or changed
otherwise.

While some passwords are stored with older parameters, each check does the work of every set of
parameters in use, whoever it is about: one of them on what is stored, the others on decoys. So
neither who is unknown nor who has not signed in since the change can be told by the time (S-113).
"""

import re
import secrets
import threading
import time
import unicodedata
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta

from argon2 import PasswordHasher, Type
from argon2.exceptions import HashingError, InvalidHashError, VerificationError
from argon2.low_level import error_to_str

from itemsapi.accounts.hashing_queue import HashingQueue
from itemsapi.observability.logging import request_context
from itemsapi.problems import Busy
from itemsapi.settings import LONGEST_PASSWORD, Settings
from itemsapi.web_addresses import client_key

MAX_PASSWORD_LENGTH = LONGEST_PASSWORD
MAX_CONCURRENT_HASHES = 1  # hashes at work in one process: each takes its memory and a whole core
MAX_WAITING_HASHES = (
    2  # more waiters than this would hold the server's threads (measured: p99 x 90)
)
TEMPORARY_PASSWORD_LIFETIME = timedelta(
    days=7
)  # of a password that was made for somebody (ASVS 6.4.1, S-119)
HASH_WAIT_SECONDS = 2.0  # seconds a waiter waits
MOST = 4  # sets of parameters that a check does the work of
SURVEY = 3600.0  # seconds after which the sets in use are looked for again
EXHAUSTED = {error_to_str(code) for code in (-22, -33)}  # argon2.h: no memory, no thread

_HEAD = re.compile(r"(\$argon2id\$v=\d+\$m=\d+,t=\d+,p=\d+)\$", re.ASCII)


class PasswordService:
    """Hashes and checks passwords, never more at once than the process can bear."""

    def __init__(self, settings: Settings) -> None:
        """Take today's parameters."""
        self._hasher = PasswordHasher(
            time_cost=settings.argon2_time,
            memory_cost=settings.argon2_memory,
            parallelism=settings.argon2_parallelism,
            type=Type.ID,
        )
        self._places = HashingQueue(at_work=MAX_CONCURRENT_HASHES, waiting=MAX_WAITING_HASHES)
        memory, passes, lanes = (
            settings.argon2_memory,
            settings.argon2_time,
            settings.argon2_parallelism,
        )
        self._today = f"$argon2id$v=19$m={memory},t={passes},p={lanes}"
        self._decoys = {self._today: _decoy(self._today)}
        self._met: list[str] = []  # since the last survey, which may not see them
        self._surveyed = float("-inf")
        self._changing = threading.Lock()

    def refuse_if_full(self) -> None:
        """Raise `Busy` at once when no more can wait: before any work is done for the request."""
        self._places.demand(_client())

    def hash(self, password: str) -> str:
        """Return what to store of a password. Raises `Busy`."""
        with self._place(), _exhaustion_told():
            return self._hasher.hash(normalize_password(password))

    def matches(self, password: str, stored: str | None) -> bool:
        """Tell whether `password` is the one stored; without a user the work is the same.

        Raises `Busy` when too many are being checked already, or the machine has no memory left.
        """
        shown = normalize_password(password)
        if len(shown) > MAX_PASSWORD_LENGTH:
            shown, stored = "", None
        head = hash_parameters_of(stored) if stored else None
        if head:
            self._learn(head)
        with self._place():
            return self._checked(shown, stored or "", head)

    def outdated(self, stored: str) -> bool:
        """Tell whether `stored` was made with other parameters than today's."""
        return self._hasher.check_needs_rehash(stored)

    def survey(self, look: Callable[[], Iterable[str]]) -> None:
        """Look for the parameters in use, once an hour; `look` returns heads, or things like it.

        Those that a check met since the last time stay, even while it looks.
        """
        if time.monotonic() < self._surveyed + SURVEY:
            return
        heads = [head for one in look() if (head := hash_parameters_of(f"{one}$"))]
        with self._changing:
            if time.monotonic() < self._surveyed + SURVEY:
                return  # another thread looked as well
            self._surveyed = time.monotonic()
            found = list(dict.fromkeys([self._today, *heads, *self._met]))[:MOST]
            self._decoys = {head: _decoy(head) for head in found}
            self._met = []

    def _learn(self, head: str) -> None:
        """Do the work of these, too, from now on; beyond `MOST` none is added."""
        with self._changing:
            if head not in self._met:
                self._met.append(head)
            if head not in self._decoys and len(self._decoys) < MOST:
                self._decoys[head] = _decoy(head)

    def _checked(self, shown: str, stored: str, head: str | None) -> bool:
        work = dict(self._decoys)
        if head:
            work[head] = stored
        outcomes = {one: self._verified(against, shown) for one, against in work.items()}
        return head is not None and outcomes[head]

    def _verified(self, stored: str, shown: str) -> bool:
        try:
            with _exhaustion_told():
                return self._hasher.verify(stored, shown)
        except (VerificationError, InvalidHashError):
            return False

    def _place(self) -> AbstractContextManager[None]:
        return self._places.taken(_client(), HASH_WAIT_SECONDS)


def normalize_password(password: str) -> str:
    """Return the one form in which a password is counted, stored and checked."""
    spaced = (" " if unicodedata.category(one) == "Zs" else one for one in password)
    return unicodedata.normalize("NFC", "".join(spaced))


def hash_parameters_of(stored: str) -> str | None:
    """Return the parameters that something stored begins with, None if it is no such hash."""
    found = _HEAD.match(stored)
    return found[1] if found else None


@contextmanager
def _exhaustion_told() -> Iterator[None]:
    """Tell a machine that has nothing left from a wrong password (R-23). Raises `Busy`."""
    try:
        yield
    except (HashingError, VerificationError) as error:
        if str(error) in EXHAUSTED:
            raise Busy(cause=f"passwords: Argon2 says {error}") from error
        raise


def temporary_password() -> str:
    """Make a password that is shown once: 128 random bits in letters and digits."""
    return secrets.token_hex(16)


def _decoy(head: str) -> str:
    """Return what looks stored with these parameters and that no password matches."""
    salt, digest = (_plain(secrets.token_bytes(size)) for size in (16, 32))
    return f"{head}${salt}${digest}"


def _plain(data: bytes) -> str:
    return b64encode(data).decode().rstrip("=")


def _client() -> str:
    return client_key(request_context().address)
