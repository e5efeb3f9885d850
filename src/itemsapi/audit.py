"""Who did what: one row an event, written in the transaction of the change it tells of.

Names of events follow the OWASP Logging Vocabulary where it has one. No secret goes in here.
"""

import json
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import String, Text, select
from sqlalchemy.event import listen
from sqlalchemy.orm import Mapped, Session, mapped_column

from itemsapi.clock import Clock
from itemsapi.db import AnyRow, AutoNumber, Database, Model
from itemsapi.observability.logging import log, request_context
from itemsapi.observability.metrics import EVENTS


class AuditEvent(Model):
    """One thing that happened."""

    __tablename__ = "itemsapi_audit_event"

    id: Mapped[int] = mapped_column(AutoNumber, primary_key=True)
    at: Mapped[datetime] = mapped_column(index=True)
    event: Mapped[str] = mapped_column(String(60), index=True)
    actor_id: Mapped[str | None] = mapped_column(String(36))
    user_id: Mapped[str | None] = mapped_column(String(36), index=True)
    session_id: Mapped[str | None] = mapped_column(String(36))
    address: Mapped[str] = mapped_column(String(64))
    request_id: Mapped[str] = mapped_column(String(64))
    details: Mapped[str] = mapped_column(Text)


@dataclass(frozen=True, slots=True)
class Audit:
    """The trail: `record` adds to it, `latest` reads it."""

    database: Database
    clock: Clock

    def record(
        self,
        tx: Session,
        event: str,
        *,
        user_id: str | None = None,
        session_id: str | None = None,
        actor_id: str | None = None,
        **details: str | int | bool | None,
    ) -> None:
        """Write one event with the change, and a log line once that is committed."""
        source = request_context()
        tx.add(
            AuditEvent(
                at=self.clock(),
                event=event,
                user_id=user_id,
                session_id=session_id,
                actor_id=actor_id,
                address=source.address[:64],
                request_id=source.request_id[:64],
                details=json.dumps(details, sort_keys=True),
            )
        )
        who = {"user_id": user_id, "session_id": session_id, "actor_id": actor_id}

        def tell(_: Session) -> None:
            log.info(event, **who, **details)
            EVENTS.labels(event).inc()

        listen(tx, "after_commit", tell, once=True)

    def latest(
        self,
        *,
        before: int | None,
        limit: int,
        user_id: str | None = None,
        event: str | None = None,
    ) -> list[AnyRow]:
        """Return up to `limit` events, newest first, older than the event `before`."""
        table = AuditEvent.core()
        wanted = select(table).order_by(table.c.id.desc()).limit(limit)
        if before is not None:
            wanted = wanted.where(table.c.id < before)
        if user_id is not None:
            wanted = wanted.where(table.c.user_id == user_id)
        if event is not None:
            wanted = wanted.where(table.c.event == event)
        with self.database.reading() as connection:
            return list(connection.execute(wanted).all())
