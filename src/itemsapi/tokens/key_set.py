"""The key ring: this process's copy of the keys that sign and verify access tokens.

The copy is renewed at most once per lag, inside a request that finds it older than that: no thread,
nothing to lose at a fork, and an unknown `kid` costs no look-up. A key that cannot be read is left
out with a logged error, and the others serve on (R-29); if none can be, nobody is let in.
"""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from itemsapi.audit import Audit
from itemsapi.clock import Clock
from itemsapi.db import AnyRow, Database
from itemsapi.observability.logging import log
from itemsapi.problems import DatabaseUnavailable, GateUnavailable
from itemsapi.settings import Settings, SettingsError
from itemsapi.tokens.key_store import KeyStore
from itemsapi.tokens.keys import Key

MAX_KEY_AGE_SECONDS = 60.0  # seconds without the database that the copy still serves
FIRST = 5.0  # seconds that a request waits for another one to read the keys for the first time
MOMENT = 0.25  # seconds it waits for a renewal; a healthy database takes a few ms
UPKEEP = 30.0  # seconds between two tries to change keys, where the first one failed


@dataclass(frozen=True, slots=True)
class KeySnapshot:
    """The keys at one moment: the one that signs, and those that verify in the order of JWKS."""

    signing: Key | None
    verifying: dict[str, Key]

    @property
    def current(self) -> Key:
        """The key that signs. Raises `GateUnavailable` if it cannot be read."""
        if self.signing is None:
            raise GateUnavailable(cause="signing keys: the one that signs cannot be read")
        return self.signing

    def public(self) -> list[dict[str, str]]:
        """Return the JWKs of all keys that verify; symmetric keys are never shown (RFC 7517)."""
        return [jwk for key in self.verifying.values() if (jwk := key.public_jwk())]


class KeySet:
    """The keys as this process knows them; `version` changes with them."""

    def __init__(self, database: Database, settings: Settings, clock: Clock, audit: Audit) -> None:
        """Take where the keys are and what seals them; nothing is read yet."""
        self.key_store = KeyStore(database, settings, clock, audit)
        self._lag = settings.revocation_lag.total_seconds() * 0.7  # the rest is for the answer
        self._lock = threading.Lock()
        self._asked = self._known = self._upkept = float("-inf")
        self._failing = ""  # why the last reading failed
        self._key_set = KeySnapshot(None, {})
        self._seen: list[tuple[str, str, str, str]] = []
        self.version = 0

    def now(self) -> KeySnapshot:
        """Return the ring, at most a lag old; make the first key if there is none.

        Raises `GateUnavailable` if the keys cannot be known.
        """
        if time.monotonic() - self._asked >= self._lag or self._stale:
            self._ask()
        if not self._key_set.verifying:
            raise self._away("none can be read")
        return self._key_set

    def find(self, kid: str) -> Key | None:
        """Return the key that verifies tokens of this `kid`."""
        return self.now().verifying.get(kid)

    def rotate(self) -> str:
        """Let the next key sign from now on; see `Keystore.rotate`."""
        kid = self.key_store.rotate()
        self._forget()
        return kid

    def withdraw(self, kid: str) -> None:
        """Refuse what a key signed, everywhere within two seconds; see `Keystore.withdraw`."""
        self.key_store.withdraw(kid)
        self._forget()

    def _forget(self) -> None:
        """Have the next request read the keys anew, and refuse it if it cannot."""
        self._asked = self._known = float("-inf")

    @property
    def _stale(self) -> bool:
        """Tell whether the copy is too old to go on with while another request renews it."""
        return time.monotonic() - self._known > 2 * self._lag

    def _away(self, why: str) -> GateUnavailable:
        return GateUnavailable(
            cause="; ".join(filter(None, [f"signing keys: {why}", self._failing]))
        )

    def _ask(self) -> None:
        """Read the keys again; one thread does, the others go on with what they know.

        Where that is stale they wait a moment, unless the last reading failed: no queue of threads
        stands before a dead database (R-04).
        """
        wait = MOMENT if self._key_set.verifying else FIRST
        if self._lock.acquire(timeout=wait if self._stale and not self._failing else 0):
            try:
                rows = self._renewed()
            finally:
                self._lock.release()
            self._keep_up(rows)
        if time.monotonic() - self._known > MAX_KEY_AGE_SECONDS:
            raise self._away("not read for too long")

    def _renewed(self) -> Sequence[AnyRow]:
        """Renew the copy and return its rows; none if it is new already, or cannot be renewed."""
        begun = time.monotonic()
        if begun - self._asked < self._lag:
            return ()
        try:
            rows = self.key_store.live() or self.key_store.begin()
        except DatabaseUnavailable as error:
            self._failing, self._asked = error.cause, time.monotonic()
            return ()
        self._replace(rows)
        self._failing, self._asked, self._known = "", begun, begun
        return rows

    def _keep_up(self, rows: Sequence[AnyRow]) -> None:
        """Rotate by schedule, and let a key sign where none does; failing at it refuses nobody."""
        if not rows or time.monotonic() - self._upkept < UPKEEP:
            return
        try:
            if not any(row.state == "current" for row in rows):
                self.key_store.begin()
            elif not self.key_store.rotate_if_due(rows):
                return
        except (DatabaseUnavailable, SettingsError) as error:
            self._upkept = time.monotonic()
            log.warning("key_upkeep_failed", reason=getattr(error, "cause", "") or str(error))
        else:
            self._asked = float("-inf")  # the next request finds the change

    def _replace(self, rows: Sequence[AnyRow]) -> None:
        seen = [(row.kid, row.state, row.alg, row.secret) for row in rows]
        if seen == self._seen:
            return
        keys = {row.kid: key for row in rows if (key := self._opened(row))}
        signing = [keys[row.kid] for row in rows if row.state == "current" and row.kid in keys]
        self._key_set, self._seen = KeySnapshot(signing[-1] if signing else None, keys), seen
        self.version += 1

    def _opened(self, row: AnyRow) -> Key | None:
        try:
            return self.key_store.open(row)
        except SettingsError as error:
            log.error("signing_key_unreadable", kid=row.kid, reason=str(error))
            return None
