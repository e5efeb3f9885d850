"""Passwords: hashed with Argon2id, a few at a time, in the same time for unknown users.

Parameters: OWASP Password Storage Cheat Sheet. Format: PHC strings. Normal form: RFC 8265 section
4.2.2 (OpaqueString): every kind of space becomes U+0020, then NFC. Passwords are not truncated or
changed otherwise.

While some stored hashes have older parameters, or are foreign ones of an application's users, each
verification does the work of every parameter set in use: one on the stored hash, the others on
decoys. So the response time reveals neither unknown users nor users who did not sign in since the
parameters changed (S-113). This holds for up to four sets, and for those that the process knows:
from a sample of the stored hashes, taken once an hour, or from an earlier verification.
"""

import itertools
import re
import secrets
import threading
import time
import unicodedata
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import TypeVar

from argon2 import PasswordHasher, Type
from argon2.exceptions import HashingError, InvalidHashError, VerificationError
from argon2.low_level import error_to_str

from itemsapi.accounts import foreign_hashes
from itemsapi.accounts.hashing_queue import HashingQueue
from itemsapi.accounts.hashing_thread import HashingThread
from itemsapi.observability.context import request_context
from itemsapi.observability.logging import log
from itemsapi.problems import Busy
from itemsapi.settings import MAX_PASSWORD_LENGTH, Settings
from itemsapi.web_addresses import client_key

MAX_CONCURRENT_HASHES = 1  # in one process: each takes its memory and a whole core
MAX_WAITING_HASHES = 2  # more would block the threads of the server (measured: p99 x 90)
TEMPORARY_PASSWORD_LIFETIME = timedelta(days=7)  # ASVS 6.4.1, S-119
HASH_WAIT_SECONDS = 2.0
MAX_PARAMETER_SETS = 4  # that one verification does the work of
MANY_KINDS = "the time of a wrong password may tell who is a user; see users.md, password hashes"
PARAMETERS_RELOAD_SECONDS = 3600.0
EXHAUSTION_ERRORS = {error_to_str(code) for code in (-22, -33)}  # argon2.h: no memory, no thread

T = TypeVar("T")

_PARAMETERS = re.compile(r"(\$argon2id\$v=\d+\$m=(\d+),t=(\d+),p=(\d+))\$", re.ASCII)


class PasswordService:
    """Hashes and verifies passwords, with a limit on how many at once."""

    def __init__(self, settings: Settings) -> None:
        """Use the parameters of the settings for new hashes."""
        self._hasher = PasswordHasher(
            time_cost=settings.argon2_time,
            memory_cost=settings.argon2_memory,
            parallelism=settings.argon2_parallelism,
            type=Type.ID,
        )
        self._queue = HashingQueue(
            max_running=MAX_CONCURRENT_HASHES, max_waiting=MAX_WAITING_HASHES
        )
        memory, passes, lanes = (
            settings.argon2_memory,
            settings.argon2_time,
            settings.argon2_parallelism,
        )
        self._thread = HashingThread(MAX_CONCURRENT_HASHES)
        self._current = f"$argon2id$v=19$m={memory},t={passes},p={lanes}"
        self._decoys = {self._current: _decoy_hash(self._current)}
        self._seen: dict[str, str] = {}  # decoys since the last reload, which may miss them
        self._max_work = max(memory * passes, foreign_hashes.MAX_ARGON2_WORK)
        self._max_lanes = max(lanes, foreign_hashes.MAX_ARGON2_LANES)
        self._loaded_at = float("-inf")
        self._lock = threading.Lock()

    def require_capacity(self) -> None:
        """Raise `Busy` if the queue is full, before any work is done for the request."""
        self._queue.require_capacity(_client())

    def hash(self, password: str) -> str:
        """Return the hash of a password. Raise `Busy`."""
        return self._run(partial(self._hash, normalize_password(password)))

    def matches(self, password: str, stored: str | None) -> bool:
        """Return whether `password` has the hash `stored`; without a hash the work is the same.

        Raise `Busy` if too many are being verified already, or the machine has no memory left.
        """
        if len(normalize_password(password)) > MAX_PASSWORD_LENGTH:
            password, stored = "", None
        kind = self._kind_of(stored) if stored else None
        if kind:
            self._add_parameters(*kind)
        parameters = kind[0] if kind else None
        return self._run(partial(self._verify_with_decoys, password, stored or "", parameters))

    def needs_rehash(self, stored: str, password: str) -> bool:
        """Return whether a new hash of its password has to replace `stored`.

        It is foreign then, or has other parameters than those of the settings. A foreign hash stays
        if it does not depend on the whole password: the user may have mistyped the rest of it.
        """
        if hash_parameters_of(stored) is not None:
            return self._hasher.check_needs_rehash(stored)
        foreign = foreign_hashes.identify(stored)
        return foreign is not None and foreign.covers(password)

    def refresh_parameters(self, load_parameters: Callable[[], Iterable[str]]) -> None:
        """Load hashes of each kind in use, once an hour; unknown ones are ignored.

        Parameters seen in a verification since the last reload are kept.
        """
        if time.monotonic() < self._loaded_at + PARAMETERS_RELOAD_SECONDS:
            return
        loaded = dict(kind for text in load_parameters() if (kind := self._kind_of(f"{text}$")))
        with self._lock:
            if time.monotonic() < self._loaded_at + PARAMETERS_RELOAD_SECONDS:
                return  # another thread reloaded them meanwhile
            self._loaded_at = time.monotonic()
            in_use = {self._current: _decoy_hash(self._current)} | loaded | self._seen
            if len(in_use) > MAX_PARAMETER_SETS:
                log.warning("many_kinds_of_password_hashes", kinds=len(in_use), hint=MANY_KINDS)
            self._decoys = dict(itertools.islice(in_use.items(), MAX_PARAMETER_SETS))
            self._seen = {}

    def _kind_of(self, stored: str) -> tuple[str, str] | None:
        """Return the parameters of a hash, and a decoy that takes the same work.

        Return None for a hash that no password matches, because of its format or its work.
        """
        if match := _PARAMETERS.match(stored):
            memory, passes, lanes = map(int, match.groups()[1:])
            if memory * passes > self._max_work or lanes > self._max_lanes:
                return None
            return match[1], _decoy_hash(match[1])
        foreign = foreign_hashes.identify(stored.removesuffix("$"))
        return (foreign.parameters, foreign.decoy) if foreign else None

    def _add_parameters(self, parameters: str, decoy: str) -> None:
        """Add a decoy for these parameters, up to `MAX_PARAMETER_SETS`."""
        with self._lock:
            self._seen.setdefault(parameters, decoy)
            if parameters not in self._decoys and len(self._decoys) < MAX_PARAMETER_SETS:
                self._decoys[parameters] = decoy

    def _verify_with_decoys(self, password: str, stored: str, parameters: str | None) -> bool:
        hashes = dict(self._decoys)
        if parameters:
            hashes[parameters] = stored
        outcomes = {
            key: self._verify(password_hash, password) for key, password_hash in hashes.items()
        }
        return parameters is not None and outcomes[parameters]

    def _verify(self, stored: str, password: str) -> bool:
        if hash_parameters_of(stored) is None:  # made of the password as it was sent
            foreign = foreign_hashes.identify(stored)
            return foreign is not None and foreign.matches(password)
        try:
            with _busy_if_exhausted():
                return self._hasher.verify(stored, normalize_password(password))
        except (VerificationError, InvalidHashError):
            return False

    def _hash(self, password: str) -> str:
        with _busy_if_exhausted():
            return self._hasher.hash(password)

    def _run(self, work: Callable[[], T]) -> T:
        """Run work of Argon2 in the thread for it, when it is the turn of the client."""
        with self._queue.slot(_client(), HASH_WAIT_SECONDS):
            return self._thread.run(work)


def normalize_password(password: str) -> str:
    """Return the normal form, in which a password is measured, hashed and verified."""
    spaced = (" " if unicodedata.category(char) == "Zs" else char for char in password)
    return unicodedata.normalize("NFC", "".join(spaced))


def hash_parameters_of(stored: str) -> str | None:
    """Return the parameters at the beginning of a hash, None if it is no Argon2id hash."""
    match = _PARAMETERS.match(stored)
    return match[1] if match else None


@contextmanager
def _busy_if_exhausted() -> Iterator[None]:
    """Raise `Busy` if Argon2 had no memory or thread: that is no wrong password (R-23)."""
    try:
        yield
    except (HashingError, VerificationError) as error:
        if str(error) in EXHAUSTION_ERRORS:
            raise Busy(cause=f"passwords: Argon2 says {error}") from error
        raise


def _decoy_hash(parameters: str) -> str:
    """Return a hash with these parameters that no password matches."""
    salt, digest = (_base64(secrets.token_bytes(size)) for size in (16, 32))
    return f"{parameters}${salt}${digest}"


def _base64(data: bytes) -> str:
    return b64encode(data).decode().rstrip("=")


def _client() -> str:
    return client_key(request_context().address)
