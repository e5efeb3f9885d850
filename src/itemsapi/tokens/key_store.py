"""The key store: signing keys in the database, and the states that a key goes through.

A key is `next`, then `current`, then `retired`; in an emergency it becomes `withdrawn`. The next
key is published and accepted long before it signs, so a planned rotation invalidates no token. Each
step is one transaction, and one process at a time may take one.
Source: RFC 7517 (JWK), NIST SP 800-57 part 1 section 5.3.4 for the states.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from typing import Final, Literal, get_args

from sqlalchemy import String, Text, insert, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from itemsapi.audit import Audit
from itemsapi.clock import Clock
from itemsapi.command_line import command_line
from itemsapi.db import AnyRow, Database, Model
from itemsapi.operator_error import OperatorError
from itemsapi.settings import Settings, SettingsError
from itemsapi.tokens.keys import Key, generate_key
from itemsapi.tokens.secret_keys import SecretKey, SecretKeys

KeyState = Literal["next", "current", "retired", "withdrawn"]

# Clients may cache the JWKS for 60 s, and the copies of our processes are at most 5 s old.
PUBLISHED_BEFORE_SIGNING = timedelta(seconds=70)
VERIFIES_AFTER_RETIREMENT = timedelta(
    hours=1, minutes=5
)  # once retired: the longest life of a token, and more
SECRET_ROTATED: Final = "crypto_secret_rotated"  # noqa: S105 - an event of the audit trail
SECRET_REVOKED: Final = "crypto_secret_revoked"  # noqa: S105 - as above
KEY_LOCK_ID = 7_201  # of the advisory lock around changes of keys


class RotationTooEarly(OperatorError, RuntimeError):
    """The next key was published too recently; it may be used for signing after `wait` seconds."""

    def __init__(self, wait: float) -> None:
        """Take the remaining seconds."""
        self.wait = wait
        super().__init__(f"the next key may be used for signing after {wait:.0f} s")


class KeyUnknown(OperatorError, LookupError):
    """There is no key with this `kid`, or it is already withdrawn."""

    def __init__(self, kid: str) -> None:
        """Take the `kid` that was not found."""
        super().__init__(f"there is no key {kid}, or it is withdrawn already")


class SecretInUse(OperatorError, RuntimeError):
    """The secret that is to be revoked is still one of the settings."""

    def __init__(self) -> None:
        """Say what to do first."""
        super().__init__(
            "the secret to revoke is still set; set another ITEMSAPI_SECRET_KEY, such as"
            f" {command_line('secret new FILE')} writes, and no ITEMSAPI_SECRET_KEY_PREVIOUS"
        )


class NoSecretInUse(OperatorError, RuntimeError):
    """The database has no keys, so nothing shows whether the secret to revoke is still set."""

    def __init__(self) -> None:
        """Say what to do instead."""
        super().__init__(
            "the database has no signing keys, so no secret is in use; set another"
            " ITEMSAPI_SECRET_KEY before the service starts, and makes keys with it"
        )


class SigningKey(Model):
    """One key; `secret` is the private key, encrypted under the secret key of the settings."""

    __tablename__ = "itemsapi_signing_key"

    kid: Mapped[str] = mapped_column(String(64), primary_key=True)
    alg: Mapped[str] = mapped_column(String(10))
    state: Mapped[str] = mapped_column(String(10), index=True)
    secret: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime]
    changed_at: Mapped[datetime]


_table = SigningKey.core()
_ALL = select(_table).order_by(_table.c.created_at, _table.c.kid)
_NOT_WITHDRAWN = _ALL.where(_table.c.state != "withdrawn")


class KeyStore:
    """The keys in the database, ordered by creation time."""

    def __init__(self, database: Database, settings: Settings, clock: Clock, audit: Audit) -> None:
        """Take the database and the settings; load no key yet."""
        self._database, self._clock, self._audit = database, clock, audit
        self._alg, self._rotation_period = settings.signing_alg, settings.key_rotation
        self.secret_keys = SecretKeys(settings)

    def load_active(self) -> list[AnyRow]:
        """Return the rows of the keys that verify: all but withdrawn and long retired ones."""
        with self._database.reading() as connection:
            rows = connection.execute(_NOT_WITHDRAWN).all()
        cutoff = self._clock() - VERIFIES_AFTER_RETIREMENT
        return [row for row in rows if row.state != "retired" or row.changed_at > cutoff]

    def load_all(self) -> list[AnyRow]:
        """Return the rows of all keys, withdrawn ones included."""
        with self._database.reading() as connection:
            return list(connection.execute(_ALL).all())

    def decrypt(self, row: AnyRow) -> tuple[Key, SecretKey]:
        """Return the key of a row and its secret. Raise `SettingsError` if there is none (R-29)."""
        if row.state not in get_args(KeyState):
            raise SettingsError(f"signing key {row.kid} has the unknown state {row.state!r}")
        return self.secret_keys.decrypt(row.kid, row.alg, row.secret)

    def check_signing_key(self) -> bool:
        """Return whether there are keys. Raise `SettingsError` if the signing key is unreadable.

        Before a key signs, one of the others must be readable (R-24).
        """
        rows = self.load_active()
        self._require_decryptable(rows)
        for row in rows:
            if row.state == "current":
                self.decrypt(row)
        return bool(rows)

    def load_or_create(self) -> list[AnyRow]:
        """Return the active rows; make the first keys if there are none.

        Raise `SettingsError` if they need a secret key that cannot be made.
        """
        return self.load_active() or self.ensure_signing_key()

    def ensure_signing_key(self) -> list[AnyRow]:
        """Make the next key sign if no key does; return the active rows."""
        with self._changing() as tx:
            if not tx.execute(_NOT_WITHDRAWN.where(_table.c.state == "current")).all():
                self._promote(tx)
        return self.load_active()

    def rotate(self) -> str:
        """Make the next key the signing key; return its `kid`. The previous key still verifies.

        Raise `RotationTooEarly` if it was not published for long enough; publish one if none is.
        """
        with self._changing() as tx:
            remaining = self._time_until_signing(tx)
            if remaining <= timedelta(0):
                return self._promote(tx)
        raise RotationTooEarly(remaining.total_seconds())

    def rotate_if_due(self, rows: Sequence[AnyRow]) -> bool:
        """Rotate if the schedule requires it, in one process only. Return whether it was due."""
        signing_since = max(
            (row.changed_at for row in rows if row.state == "current"), default=None
        )
        if (
            signing_since is None
            or not self._rotation_period
            or self._clock() - signing_since < self._rotation_period
        ):
            return False
        if any(self._is_published_too_briefly(row) for row in rows):
            return False
        with self._changing() as tx:
            signing_rows = tx.execute(_NOT_WITHDRAWN.where(_table.c.state == "current")).all()
            still_due = [row.changed_at for row in signing_rows] == [signing_since]
            if still_due and self._time_until_signing(tx) <= timedelta(0):
                self._promote(tx)
        return True

    def require_known(self, kid: str) -> None:
        """Raise `KeyUnknown` unless there is a key that can be withdrawn."""
        with self._database.reading() as connection:
            rows = connection.execute(_NOT_WITHDRAWN).all()
        self._require_decryptable(rows)
        if not any(row.kid == kid for row in rows):
            raise KeyUnknown(kid)

    def withdraw(self, kid: str) -> None:
        """Reject all tokens of a key, in an emergency. Raise `KeyUnknown` if there is none.

        If it is the signing key, the next key becomes the signing key.
        """
        with self._changing() as tx:
            row = tx.execute(_NOT_WITHDRAWN.where(_table.c.kid == kid)).first()
            if row is None:
                raise KeyUnknown(kid)
            self._set_state(tx, kid, "withdrawn")
            self._audit.record(tx, "crypto_key_withdrawn", kid=kid)
            if row.state == "current":
                self._promote(tx)
            elif row.state == "next":
                self._publish(tx)

    def use_current_secret(self) -> int:
        """Encrypt all keys under the current secret; return how many were under the previous one.

        From then on new keys and refresh tokens are made with it, in every process at its next
        look at the keys.
        """
        with self._changing() as tx:
            rows = [row for row in tx.execute(_ALL).all() if self._uses_previous_secret(row)]
            for row in rows:
                key, _ = self.decrypt(row)
                secret = self.secret_keys.current.encryption.encrypt(key)
                tx.execute(update(_table).where(_table.c.kid == row.kid).values(secret=secret))
            if rows:
                self._audit.record(tx, SECRET_ROTATED, keys=len(rows))
        return len(rows)

    def uses_previous_secret(self) -> bool:
        """Return whether a key in the database is under the previous secret."""
        return any(self._uses_previous_secret(row) for row in self.load_all())

    def require_other_secret(self) -> None:
        """Raise `SecretInUse` if a key in the database is under a secret of the settings.

        Raise `NoSecretInUse` if there is no key.
        """
        with self._database.reading() as connection:
            self._require_unreadable(connection.execute(_NOT_WITHDRAWN).all())

    def replace_all(self, tx: Session) -> None:
        """Withdraw all keys and make others under the current secret; the old one is not needed.

        Raise as `require_other_secret`: who knows that secret could go on making tokens.
        """
        self._database.advisory_lock(tx, KEY_LOCK_ID)
        rows = tx.execute(_NOT_WITHDRAWN).all()
        self._require_unreadable(rows)
        for row in rows:
            self._set_state(tx, row.kid, "withdrawn")
        self._audit.record(tx, SECRET_REVOKED, keys=len(rows))
        self._promote(tx)

    def _require_unreadable(self, rows: Sequence[AnyRow]) -> None:
        if not rows:
            raise NoSecretInUse
        if self.secret_keys.previous or any(self._is_readable(row) for row in rows):
            raise SecretInUse

    def _uses_previous_secret(self, row: AnyRow) -> bool:
        with suppress(SettingsError):
            return self.decrypt(row)[1].is_previous
        return False

    def _is_readable(self, row: AnyRow) -> bool:
        with suppress(SettingsError):
            return bool(self.decrypt(row))
        return False

    @contextmanager
    def _changing(self) -> Iterator[Session]:
        """Open a transaction to change keys: one at a time, and with the right secret key only."""
        with self._database.transaction() as tx:
            self._database.advisory_lock(tx, KEY_LOCK_ID)
            self._require_decryptable(tx.execute(_NOT_WITHDRAWN).all())
            yield tx

    def _require_decryptable(self, rows: Sequence[AnyRow]) -> None:
        """Raise `SettingsError` if no key can be decrypted: the secret key must be wrong."""
        for row in rows:
            try:
                self.decrypt(row)
            except SettingsError:
                if row is rows[-1]:
                    raise
            else:
                return

    def _time_until_signing(self, tx: Session) -> timedelta:
        """Return how long until the next key may sign; publish one if there is none."""
        row = self._find_next(tx)
        if row is None:
            self._publish(tx)
            return PUBLISHED_BEFORE_SIGNING
        return self._remaining(row)

    def _remaining(self, row: AnyRow) -> timedelta:
        age: timedelta = self._clock() - row.created_at
        return PUBLISHED_BEFORE_SIGNING - age

    def _is_published_too_briefly(self, row: AnyRow) -> bool:
        is_next = row.state == "next" and row.alg == self._alg
        return is_next and self._remaining(row) > timedelta(0)

    def _find_next(self, tx: Session) -> AnyRow | None:
        """Return the row of the next key with the algorithm of the settings, if there is one."""
        statement = _NOT_WITHDRAWN.where(_table.c.state == "next", _table.c.alg == self._alg)
        return tx.execute(statement).first()

    def _publish(self, tx: Session) -> str:
        """Ensure that a next key with the right algorithm is published; return its `kid`."""
        existing = self._find_next(tx)
        if existing is not None:
            return str(existing.kid)
        key, now = generate_key(self._alg), self._clock()
        row = {
            "kid": key.kid,
            "alg": key.alg,
            "state": "next",
            "secret": self._secret_in_use(tx).encryption.encrypt(key),
        }
        tx.execute(insert(_table), row | {"created_at": now, "changed_at": now})
        return key.kid

    def _secret_in_use(self, tx: Session) -> SecretKey:
        """Return the secret for a new key: that of the others; the current one for the first."""
        rows = tx.execute(_NOT_WITHDRAWN).all()
        if not rows:
            self.secret_keys.create_if_missing()
        uses_previous = any(self._uses_previous_secret(row) for row in rows)
        previous = self.secret_keys.previous
        return previous if previous and uses_previous else self.secret_keys.current

    def _promote(self, tx: Session) -> str:
        """Make the next key the signing key, and publish another next key."""
        kid = self._publish(tx)
        for row in tx.execute(_NOT_WITHDRAWN.where(_table.c.state.in_(["current", "next"]))).all():
            if row.state == "current":
                self._set_state(tx, row.kid, "retired")
            elif row.alg != self._alg:
                self._set_state(tx, row.kid, "withdrawn")  # it never signed
        self._set_state(tx, kid, "current")
        self._publish(tx)
        self._audit.record(tx, "crypto_key_rotated", kid=kid)
        return kid

    def _set_state(self, tx: Session, kid: str, state: KeyState) -> None:
        statement = update(_table).where(_table.c.kid == kid)
        tx.execute(statement.values(state=state, changed_at=self._clock()))
