"""Rotation of the secret key: change over to the new one, and what still needs the previous one.

docs/adr/0014 has the reasons. A leaked or lost secret is revoked: nothing made with it stays valid.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, or_, select

from itemsapi.audit import AuditEvent
from itemsapi.issuer.issuer import Issuer
from itemsapi.issuer.sessions import end_all_sessions_in
from itemsapi.tokens.key_set import MAX_KEY_AGE_SECONDS
from itemsapi.tokens.key_store import SECRET_ROTATED, KeyStore
from itemsapi.tokens.revocation import load_global_epochs
from itemsapi.tokens.rotation import DISTANT_PAST
from itemsapi.tokens.sessions import AuthSession

# A process may use its copy of the keys, and so the previous secret, for a moment longer.
CHANGE_OVER = timedelta(seconds=MAX_KEY_AGE_SECONDS)

_sessions = AuthSession.core()
_events = AuditEvent.core()
_LAST_ROTATION = select(func.max(_events.c.at)).where(_events.c.event == SECRET_ROTATED)


@dataclass(frozen=True, slots=True)
class PreviousSecretUse:
    """What still needs the previous secret.

    `keys`: the keys in the database are under it. `sessions`: open sessions whose client may have
    a refresh token that it signed. `until`: when the last of these tokens expires.
    """

    keys: bool
    sessions: int
    until: datetime


def previous_secret_use(issuer: Issuer, key_store: KeyStore) -> PreviousSecretUse:
    """Return what still needs the previous secret; the numbers may be too high, never too low."""
    changed_over = _last_rotation(issuer) + CHANGE_OVER
    until = changed_over + issuer.settings.session_max_idle
    sessions = _count_sessions(issuer, changed_over) if until > issuer.clock() else 0
    return PreviousSecretUse(key_store.uses_previous_secret(), sessions, until)


def _last_rotation(issuer: Issuer) -> datetime:
    """Return when the secret was last rotated; the earliest possible time without a record."""
    with issuer.database.reading() as connection:
        at: datetime | None = connection.scalar(_LAST_ROTATION)
    retention = issuer.settings.audit_retention
    forgotten_before = issuer.clock() - retention if retention else DISTANT_PAST
    return at or forgotten_before


def _count_sessions(issuer: Issuer, changed_over: datetime) -> int:
    """Return how many open sessions may have a refresh token of before the change.

    A client that did not receive its last token still has the one before (docs/adr/0003).
    """
    now = issuer.clock()
    with issuer.database.reading() as connection:
        return connection.scalar(
            select(func.count()).select_from(_sessions).where(
                _sessions.c.ended_at.is_(None),
                _sessions.c.expires_at > now,
                _sessions.c.rotated_at > now - issuer.settings.session_max_idle,
                _sessions.c.epoch >= load_global_epochs(connection).sessions,
                _sessions.c.created_at < changed_over,
                or_(_sessions.c.rotated_at < changed_over, _sessions.c.seen.is_(False)),
            )
        ) or 0  # fmt: skip


def revoke_secret(issuer: Issuer, key_store: KeyStore) -> None:
    """Make everything invalid that was made with a leaked or lost secret: keys, tokens, sessions.

    Raise `SecretInUse` unless the settings have another secret, and `NoSecretInUse` without keys.
    """
    with issuer.database.transaction() as tx:
        key_store.replace_all(tx)
        end_all_sessions_in(issuer, tx, why="secret revoked", caller_id=None)
