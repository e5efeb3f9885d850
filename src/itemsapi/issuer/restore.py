"""What a restored database must not bring back: credentials that were revoked since the backup.

A backup knows nothing of what happened after it. A refresh token that was replaced since, a session
that ended, an API key that was revoked, a signing key that was withdrawn: all would work again, for
whoever has them. So all sessions end, all signing keys are removed (the service makes new ones when
it needs them), and all API keys are revoked, unless the operator knows that none was since.
"""

from datetime import datetime

from sqlalchemy import Dialect, case, delete, func, insert, literal, select, update
from sqlalchemy.sql import ClauseElement

from itemsapi.audit import AuditEvent, EventName
from itemsapi.db import Database
from itemsapi.tokens.api_keys import ApiKey
from itemsapi.tokens.key_store import KEY_LOCK_ID, SigningKey
from itemsapi.tokens.revocation import ALL_USERS, FEED_LOCK_ID, NO_EPOCH, Revocation

_revocation, _api_key = Revocation.core(), ApiKey.core()


def revoking_statements(dialect: Dialect, now: datetime, *, keep_api_keys: bool) -> list[str]:
    """Return the SQL to run on a restored database before anybody uses it.

    They name only what the first revision of the tables has, because the backup may be old.
    """
    statements: list[ClauseElement] = [_end_sessions(now), delete(SigningKey.core()), _event(now)]
    if not keep_api_keys:
        is_valid = _api_key.c.revoked_at.is_(None)
        statements.append(update(_api_key).where(is_valid).values(revoked_at=now))
    return [_sql(statement, dialect) for statement in statements]


def revoke_after_restore(database: Database, now: datetime, *, keep_api_keys: bool) -> None:
    """Run these statements on a database that another program restored, beside other writers.

    Processes that run already read the feed in the order of its numbers.
    """
    with database.transaction() as tx:
        for lock_id in (KEY_LOCK_ID, FEED_LOCK_ID):  # in the order of `revoke_secret`
            database.advisory_lock(tx, lock_id)
        dialect = database.engine.dialect
        for sql in revoking_statements(dialect, now, keep_api_keys=keep_api_keys):
            tx.connection().exec_driver_sql(sql)


def _end_sessions(now: datetime) -> ClauseElement:
    """Return the revocation of all sessions, as `RevocationFeed.revoke` would write it."""
    last, by_clock = func.coalesce(func.max(_revocation.c.seq), NO_EPOCH), _milliseconds(now)
    seq = case((last >= by_clock, last + 1), else_=by_clock)
    made_at = literal(now, _revocation.c.made_at.type)
    row = select(seq, literal(ALL_USERS), literal(True), made_at)  # noqa: FBT003 - a value
    return insert(_revocation).from_select(["seq", "target", "sessions", "made_at"], row)


def _event(now: datetime) -> ClauseElement:
    event: EventName = "database_restored"
    columns = {"at": now, "event": event, "address": "cli", "request_id": "-"}
    return insert(AuditEvent.core()).values(**columns, details="{}")


def _milliseconds(now: datetime) -> int:
    return int(now.timestamp() * 1000)


def _sql(statement: ClauseElement, dialect: Dialect) -> str:
    return str(statement.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))
