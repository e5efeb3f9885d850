"""The key store: signing keys in the database, and the steps that a key goes through.

A key goes next -> current -> retired, and away; an emergency makes it `withdrawn`. The next key is
published, and accepted, long before it signs, so a planned rotation refuses nobody. Each step is
one transaction, and one process at a time takes one.
Source: RFC 7517 (JWK), NIST SP 800-57 part 1 section 5.3.4 for the states.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Literal, get_args

from sqlalchemy import String, Text, insert, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from itemsapi.audit import Audit
from itemsapi.clock import Clock
from itemsapi.db import AnyRow, Database, Model
from itemsapi.settings import Settings, SettingsError
from itemsapi.tokens.keys import Key, KeyEncryption, make_key

State = Literal["next", "current", "retired", "withdrawn"]

# Before a key signs: others may keep JWKS for 60 s, and our own copies are 5 s old at most.
PUBLISHED = timedelta(seconds=70)
VERIFIES = timedelta(hours=1, minutes=5)  # once retired: the longest life of a token, and more
KEY_LOCK = 7_201  # the advisory lock of those who change keys


class RotationTooEarly(RuntimeError):
    """The next key has not been public for long enough; `wait` says how many seconds are left."""

    def __init__(self, wait: float) -> None:
        """Take the seconds left."""
        self.wait = wait
        super().__init__(f"the next key may sign in {wait:.0f} s")


class KeyUnknown(LookupError):
    """There is no such key, or it is withdrawn already."""

    def __init__(self, kid: str) -> None:
        """Take what was looked for."""
        super().__init__(f"there is no key {kid}, or it is withdrawn already")


class SigningKey(Model):
    """One key; `secret` is its private part, sealed under the secret key of the settings."""

    __tablename__ = "itemsapi_signing_key"

    kid: Mapped[str] = mapped_column(String(64), primary_key=True)
    alg: Mapped[str] = mapped_column(String(10))
    state: Mapped[str] = mapped_column(String(10), index=True)
    secret: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime]
    changed_at: Mapped[datetime]


_table = SigningKey.core()
_ALL = select(_table).order_by(_table.c.created_at, _table.c.kid)
_LIVE = _ALL.where(_table.c.state != "withdrawn")


class KeyStore:
    """The keys of all processes, in the order they were made."""

    def __init__(self, database: Database, settings: Settings, clock: Clock, audit: Audit) -> None:
        """Take where the keys are and what seals them; nothing is read yet."""
        self._database, self._clock, self._audit = database, clock, audit
        self._alg, self._schedule = settings.signing_alg, settings.key_rotation
        self._seal = KeyEncryption(settings.secret_key)

    def live(self) -> list[AnyRow]:
        """Return the rows of the keys that verify: those retired long ago do not."""
        with self._database.reading() as connection:
            rows = connection.execute(_LIVE).all()
        old = self._clock() - VERIFIES
        return [row for row in rows if row.state != "retired" or row.changed_at > old]

    def listed(self) -> list[AnyRow]:
        """Return all rows, withdrawn keys too."""
        with self._database.reading() as connection:
            return list(connection.execute(_ALL).all())

    def open(self, row: AnyRow) -> Key:
        """Return the key of a row; `SettingsError` if it cannot be what it should be (R-29)."""
        if row.state not in get_args(State):
            raise SettingsError(f"signing key {row.kid} has the unknown state {row.state!r}")
        return self._seal.decrypt(row.kid, row.alg, row.secret)

    def check(self) -> None:
        """Raise `SettingsError`, one line, unless the key that signs can be read (R-24)."""
        for row in self.live():
            if row.state == "current":
                self.open(row)

    def begin(self) -> list[AnyRow]:
        """Let a key sign where none does, unless another process just did; return the live rows."""
        with self._changing() as tx:
            if not tx.execute(_LIVE.where(_table.c.state == "current")).all():
                self._promote(tx)
        return self.live()

    def rotate(self) -> str:
        """Let the next key sign from now on; return its kid. The one before verifies on.

        Raises `RotationTooEarly`, having published a next key if there was none.
        """
        with self._changing() as tx:
            wait = self._wait(tx)
            if wait <= timedelta(0):
                return self._promote(tx)
        raise RotationTooEarly(wait.total_seconds())

    def rotate_if_due(self, rows: Sequence[AnyRow]) -> bool:
        """Keep the schedule of the settings; of several processes that find it due one rotates."""
        begun = max((row.changed_at for row in rows if row.state == "current"), default=None)
        if begun is None or not self._schedule or self._clock() - begun < self._schedule:
            return False
        if any(self._too_young(row) for row in rows):
            return False
        with self._changing() as tx:
            now_signing = tx.execute(_LIVE.where(_table.c.state == "current")).all()
            due = [row.changed_at for row in now_signing] == [begun]
            if due and self._wait(tx) <= timedelta(0):
                self._promote(tx)
        return True

    def withdraw(self, kid: str) -> None:
        """Refuse everything that a key signed: an emergency. Raises `KeyUnknown`.

        If it is the key that signs, the next one does from now on.
        """
        with self._changing() as tx:
            row = tx.execute(_LIVE.where(_table.c.kid == kid)).first()
            if row is None:
                raise KeyUnknown(kid)
            self._set(tx, kid, "withdrawn")
            self._audit.record(tx, "crypto_key_withdrawn", kid=kid)
            if row.state == "current":
                self._promote(tx)
            elif row.state == "next":
                self._publish(tx)

    @contextmanager
    def _changing(self) -> Iterator[Session]:
        """Let one process at a time change keys, and none that could not read what it writes."""
        with self._database.transaction() as tx:
            self._database.advisory_lock(tx, KEY_LOCK)
            self._demand_fit(tx.execute(_LIVE).all())
            yield tx

    def _demand_fit(self, rows: Sequence[AnyRow]) -> None:
        """Raise `SettingsError` if no key at all opens: the secret key must be another one."""
        for row in rows:
            try:
                self.open(row)
            except SettingsError:
                if row is rows[-1]:
                    raise
            else:
                return

    def _wait(self, tx: Session) -> timedelta:
        """Return how long the next key must still be public; publish one if there is none."""
        row = self._next(tx)
        if row is None:
            self._publish(tx)
            return PUBLISHED
        return self._left(row)

    def _left(self, row: AnyRow) -> timedelta:
        age: timedelta = self._clock() - row.created_at
        return PUBLISHED - age

    def _too_young(self, row: AnyRow) -> bool:
        coming = row.state == "next" and row.alg == self._alg
        return coming and self._left(row) > timedelta(0)

    def _next(self, tx: Session) -> AnyRow | None:
        """Return the next key of the algorithm that the settings want, if it is public already."""
        wanted = _LIVE.where(_table.c.state == "next", _table.c.alg == self._alg)
        return tx.execute(wanted).first()

    def _publish(self, tx: Session) -> str:
        """Make sure that a next key of the right algorithm is public; return its kid."""
        known = self._next(tx)
        if known is not None:
            return str(known.kid)
        key, now = make_key(self._alg), self._clock()
        row = {"kid": key.kid, "alg": key.alg, "state": "next", "secret": self._seal.encrypt(key)}
        tx.execute(insert(_table), row | {"created_at": now, "changed_at": now})
        return key.kid

    def _promote(self, tx: Session) -> str:
        """Let the next key sign, and publish the one after it."""
        kid = self._publish(tx)
        for row in tx.execute(_LIVE.where(_table.c.state.in_(["current", "next"]))).all():
            if row.state == "current":
                self._set(tx, row.kid, "retired")
            elif row.alg != self._alg:
                self._set(tx, row.kid, "withdrawn")  # it never signed
        self._set(tx, kid, "current")
        self._publish(tx)
        self._audit.record(tx, "crypto_key_rotated", kid=kid)
        return kid

    def _set(self, tx: Session, kid: str, state: State) -> None:
        change = update(_table).where(_table.c.kid == kid)
        tx.execute(change.values(state=state, changed_at=self._clock()))
