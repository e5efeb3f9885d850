"""Known clients: those that signed in as a user before; attackers cannot lock them out (S-044).

A known client is one of the user's id: whoever has a name of the same form is another user.
"""

import hashlib
from datetime import datetime, timedelta

from sqlalchemy import String, bindparam, select, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from itemsapi.db import Database, Lookup, Model, UtcDateTime, execute

KNOWN_CLIENT_LIFETIME = timedelta(days=30)


class KnownClient(Model):
    """A client that signed in as a user; the key is a hash, not the user's id and the address."""

    __tablename__ = "itemsapi_known_client"

    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    seen_at: Mapped[datetime] = mapped_column(index=True)


_table = KnownClient.core()
_KNOWN = Lookup(
    select(_table.c.key).where(
        _table.c.key == bindparam("key"), _table.c.seen_at > bindparam("since")
    )
)
_SEEN = Lookup(
    text(
        "INSERT INTO itemsapi_known_client (key, seen_at) VALUES (:key, :now)"
        " ON CONFLICT (key) DO UPDATE SET seen_at = :now"
    ).bindparams(bindparam("now", type_=UtcDateTime))
)


def remember_client(tx: Session, user_id: str, client: str, now: datetime) -> None:
    """Remember that `client` just signed in as a user."""
    execute(tx, _SEEN, {"key": _key(user_id, client), "now": now})


def is_known_client(database: Database, user_id: str, client: str, now: datetime) -> bool:
    """Return whether `client` signed in as a user in the last 30 days."""
    values = {"key": _key(user_id, client), "since": now - KNOWN_CLIENT_LIFETIME}
    return bool(database.fetch(_KNOWN, values))


def _key(user_id: str, client: str) -> str:
    return hashlib.sha256(f"{user_id}\0{client}".encode()).hexdigest()
