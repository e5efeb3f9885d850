"""The key set: this process's copy of the keys that sign and verify access tokens.

A request that finds the copy older than the lag reloads it; there is no background thread, so a
fork loses nothing, and an unknown `kid` costs no query. A key that cannot be decrypted is logged
and left out, and the other keys stay in use (R-29). If no key can be decrypted, every token is
rejected with 503.
"""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from itemsapi.audit import Audit
from itemsapi.clock import Clock, Timer
from itemsapi.db import AnyRow, Database
from itemsapi.observability.logging import log
from itemsapi.problems import DatabaseUnavailable, GateUnavailable
from itemsapi.settings import Settings, SettingsError
from itemsapi.tokens.key_store import KeyStore
from itemsapi.tokens.keys import Key
from itemsapi.tokens.revocation import MAX_AGE_OF_COPY
from itemsapi.tokens.secret_keys import SecretKey, secret_in_use

MAX_KEY_AGE_SECONDS = 60.0  # how long the copy is used while the database is unavailable
FIRST_LOAD_WAIT_SECONDS = 5.0  # how long a request waits while another one loads the first copy
RELOAD_WAIT_SECONDS = 0.25  # how long it waits for a reload; a healthy database takes a few ms
MAINTENANCE_RETRY_SECONDS = 30.0  # pause after a failed attempt to change keys


@dataclass(frozen=True, slots=True)
class KeySnapshot:
    """The keys at one time: the one that signs, and those that verify, in the order of the JWKS.

    `secret`: the secret that encrypts them, whose key signs refresh tokens; None without keys.
    """

    signing: Key | None
    verifying: dict[str, Key]
    secret: SecretKey | None = None

    @property
    def current(self) -> Key:
        """The key that signs. Raise `GateUnavailable` if it could not be decrypted."""
        if self.signing is None:
            raise GateUnavailable(cause="signing keys: the one that signs cannot be read")
        return self.signing

    @property
    def refresh_key(self) -> Key:
        """The key that signs refresh tokens. Raise `GateUnavailable` if no key can be read."""
        if self.secret is None:
            raise GateUnavailable(cause="signing keys: none can be read")
        return self.secret.refresh_key

    def public_jwks(self) -> list[dict[str, str]]:
        """Return the public JWKs of all keys that verify; symmetric keys have none (RFC 7517)."""
        return [jwk for key in self.verifying.values() if (jwk := key.public_jwk())]


class KeySet:
    """This process's copy of the keys; `version` increases with every change."""

    def __init__(
        self,
        database: Database,
        settings: Settings,
        clock: Clock,
        audit: Audit,
        *,
        monotonic: Timer = time.monotonic,
    ) -> None:
        """Open the key store; load no key yet."""
        self.key_store = KeyStore(database, settings, clock, audit)
        self._monotonic = monotonic
        self._lag = settings.revocation_lag.total_seconds() * MAX_AGE_OF_COPY
        self._lock = threading.Lock()
        self._checked_at = self._loaded_at = self._maintenance_failed_at = float("-inf")
        self._load_error = ""  # why the last load failed
        self._snapshot = KeySnapshot(None, {})
        self._loaded_rows: list[tuple[str, str, str, str]] = []
        self.version = 0

    def snapshot(self) -> KeySnapshot:
        """Return the keys, at most one lag old; create the first key if there is none.

        Raise `GateUnavailable` if the keys are not known.
        """
        if self._monotonic() - self._checked_at >= self._lag or self._stale:
            self._reload()
        if not self._snapshot.verifying:
            raise self._unavailable("none can be read")
        return self._snapshot

    def find(self, kid: str) -> Key | None:
        """Return the key that verifies tokens with this `kid`."""
        return self.snapshot().verifying.get(kid)

    @property
    def _stale(self) -> bool:
        """Return whether the copy is too old to be used while another request reloads it."""
        return self._monotonic() - self._loaded_at > 2 * self._lag

    def _unavailable(self, reason: str) -> GateUnavailable:
        return GateUnavailable(
            cause="; ".join(filter(None, [f"signing keys: {reason}", self._load_error]))
        )

    def _reload(self) -> None:
        """Load the keys again in one thread; the others use the copy they have.

        If the copy is stale they wait for a short time, unless the last load failed: threads must
        not queue for a database that is unavailable (R-04).
        """
        wait = RELOAD_WAIT_SECONDS if self._snapshot.verifying else FIRST_LOAD_WAIT_SECONDS
        if self._lock.acquire(timeout=wait if self._stale and not self._load_error else 0):
            try:
                rows = self._load()
            finally:
                self._lock.release()
            self._maintain(rows)
        if self._monotonic() - self._loaded_at > MAX_KEY_AGE_SECONDS:
            raise self._unavailable("not read for too long")

    def _load(self) -> Sequence[AnyRow]:
        """Load the keys and return their rows.

        Return none if another thread has just loaded them, or if the database is unavailable.
        """
        started_at = self._monotonic()
        if started_at - self._checked_at < self._lag:
            return ()
        try:
            rows = self.key_store.load_or_create()
        except (DatabaseUnavailable, SettingsError) as error:
            self._load_error = getattr(error, "cause", "") or str(error)
            self._checked_at = self._monotonic()
            return ()
        self._replace(rows)
        self._load_error, self._checked_at, self._loaded_at = "", started_at, started_at
        return rows

    def _maintain(self, rows: Sequence[AnyRow]) -> None:
        """Rotate on schedule, and ensure that a key signs; a failure here rejects no request."""
        since_failure = self._monotonic() - self._maintenance_failed_at
        if not rows or since_failure < MAINTENANCE_RETRY_SECONDS:
            return
        try:
            if not any(row.state == "current" for row in rows):
                self.key_store.ensure_signing_key()
            elif not self.key_store.rotate_if_due(rows):
                return
        except (DatabaseUnavailable, SettingsError) as error:
            self._maintenance_failed_at = self._monotonic()
            log.warning("key_upkeep_failed", reason=getattr(error, "cause", "") or str(error))
        else:
            self._checked_at = float("-inf")  # the next request loads the change

    def _replace(self, rows: Sequence[AnyRow]) -> None:
        loaded_rows = [(row.kid, row.state, row.alg, row.secret) for row in rows]
        if loaded_rows == self._loaded_rows:
            return
        found = {row.kid: pair for row in rows if (pair := self._decrypted(row))}
        keys = {kid: key for kid, (key, _) in found.items()}
        signing = [keys[row.kid] for row in rows if row.state == "current" and row.kid in keys]
        secret = secret_in_use([secret for _, secret in found.values()])
        self._snapshot = KeySnapshot(signing[-1] if signing else None, keys, secret)
        self._loaded_rows = loaded_rows
        self.version += 1

    def _decrypted(self, row: AnyRow) -> tuple[Key, SecretKey] | None:
        try:
            return self.key_store.decrypt(row)
        except SettingsError as error:
            log.error("signing_key_unreadable", kid=row.kid, reason=str(error))
            return None
