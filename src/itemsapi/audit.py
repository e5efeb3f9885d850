"""Audit trail: one row for each event, written in the transaction of the change.

Event names follow the OWASP Logging Vocabulary where it has one. Events contain no secrets.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NewType

from sqlalchemy import String, Text, insert, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from itemsapi.clock import Clock
from itemsapi.db import (
    AnyRow,
    AutoNumber,
    Database,
    Lookup,
    Model,
    execute,
    run_after_commit,
)
from itemsapi.observability.context import request_context
from itemsapi.observability.logging import audit_log
from itemsapi.observability.metrics import count_event

EventName = Literal[
    "api_key_created",
    "api_key_revoked",
    "authn_login_fail",
    "authn_login_lock",
    "authn_login_success",
    "authn_password_change",
    "authn_password_change_fail",
    "authz_change",
    "authz_fail",
    "crypto_key_rotated",
    "crypto_key_withdrawn",
    "crypto_secret_revoked",
    "crypto_secret_rotated",
    "database_restored",
    "privilege_permissions_changed",
    "session_end",
    "session_end_everybody",
    "session_limit",
    "token_refresh_access_only",
    "token_refresh_heal",
    "token_refresh_invalidated",
    "token_refresh_repeat",
    "token_refresh_retry_later",
    "token_reuse",
    "user_created",
    "user_updated",
]
"""Every event of the layer; the console has words for each, in all its languages."""

ApplicationEvent = NewType("ApplicationEvent", str)
"""An event of the application, of which the layer knows no more than the name."""


class AuditEvent(Model):
    """An event of the audit trail."""

    __tablename__ = "itemsapi_audit_event"

    id: Mapped[int] = mapped_column(AutoNumber, primary_key=True)
    at: Mapped[datetime] = mapped_column(index=True)
    event: Mapped[str] = mapped_column(String(60), index=True)
    caller_id: Mapped[str | None] = mapped_column(String(128))
    user_id: Mapped[str | None] = mapped_column(String(128), index=True)
    session_id: Mapped[str | None] = mapped_column(String(36))
    address: Mapped[str] = mapped_column(String(64))
    request_id: Mapped[str] = mapped_column(String(64))
    details: Mapped[str] = mapped_column(Text)


_table = AuditEvent.core()
_INSERT = Lookup(insert(_table))


@dataclass(frozen=True, slots=True)
class Audit:
    """The audit trail: `record` adds an event, `latest` reads the newest ones."""

    database: Database
    clock: Clock

    def record(
        self,
        tx: Session,
        event: EventName | ApplicationEvent,
        *,
        user_id: str | None = None,
        session_id: str | None = None,
        caller_id: str | None = None,
        **details: str | int | bool | None,
    ) -> None:
        """Record an event in the transaction of the change, and log it after the commit.

        Raise `ValueError` for a name or an id that a column cannot hold.
        """
        context = request_context()
        ids = {"user_id": user_id, "session_id": session_id, "caller_id": caller_id}
        for column, text in ({"event": event} | ids).items():
            _require_storable(column, text)
        values = {
            "at": self.clock(),
            "event": event,
            "address": context.address[:64],
            "request_id": context.request_id[:64],
            "details": json.dumps(details, sort_keys=True),
        }
        execute(tx, _INSERT, values | ids)

        def publish() -> None:
            """Log and count the event."""
            audit_log.info(event, **ids, **details)
            count_event(event)

        run_after_commit(tx, publish)

    def latest(
        self,
        *,
        before: int | None,
        limit: int,
        user_id: str | None = None,
        event: str | None = None,
    ) -> list[AnyRow]:
        """Return up to `limit` events older than the event `before`, newest first."""
        query = select(_table).order_by(_table.c.id.desc()).limit(limit)
        if before is not None:
            query = query.where(_table.c.id < before)
        if user_id is not None:
            query = query.where(_table.c.user_id == user_id)
        if event is not None:
            query = query.where(_table.c.event == event)
        with self.database.reading() as connection:
            return list(connection.execute(query).all())


def _require_storable(column: str, text: str | None) -> None:
    """Raise `ValueError` for a text that PostgreSQL refuses or that nobody could read."""
    length: int = _table.c[column].type.length  # type: ignore[attr-defined]  # a String
    if text is not None and not (0 < len(text) <= length and text.isprintable()):
        raise ValueError(f"an audit event needs a {column} of 1 to {length} printable characters")
