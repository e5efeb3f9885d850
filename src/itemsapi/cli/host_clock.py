"""Whether the clock of this host is right enough to judge ages."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import func, select

from itemsapi.clock import now
from itemsapi.db import Database

CLOCK_TOLERANCE_SECONDS = 5  # beyond it, other hosts reject fresh tokens or accept expired ones


def clock_is_off(database: Database) -> bool:
    """Return whether this host's clock and the database's differ too much to judge ages."""
    with database.reading() as connection:
        there = connection.execute(select(func.now())).scalar_one()
    return abs(_as_utc(there) - now()) > timedelta(seconds=CLOCK_TOLERANCE_SECONDS)


def _as_utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
