"""Times in the database: aware UTC in Python, whatever the dialect stores (`UtcDateTime`)."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import Dialect, create_engine

from itemsapi.db import UtcDateTime

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
IN_TOKYO = NOON.astimezone(timezone(timedelta(hours=9)))
SQLITE = create_engine("sqlite://").dialect
POSTGRES = create_engine("postgresql+psycopg://").dialect


def test_a_time_is_stored_without_a_zone_in_sqlite() -> None:
    """SQLite has no time zones: the value is UTC, whatever zone it had."""
    assert UtcDateTime().process_bind_param(IN_TOKYO, SQLITE) == NOON.replace(tzinfo=None)


def test_a_time_is_stored_with_its_zone_in_postgresql() -> None:
    """PostgreSQL would interpret a time without a zone by a setting of the session."""
    stored = UtcDateTime().process_bind_param(IN_TOKYO, POSTGRES)
    assert stored is not None
    assert stored.tzinfo is not None


@pytest.mark.parametrize("stored_by", [SQLITE, POSTGRES])
def test_a_missing_time_is_stored_and_loaded_as_none(stored_by: Dialect) -> None:
    """For example that of the end of a session that goes on."""
    column_type = UtcDateTime()
    assert column_type.process_bind_param(None, stored_by) is None
    assert column_type.result_processor(stored_by, None)(None) is None


@pytest.mark.parametrize(
    ("stored_by", "stored"), [(SQLITE, f"{NOON:%Y-%m-%d %H:%M:%S.%f}"), (POSTGRES, IN_TOKYO)]
)
def test_a_time_is_loaded_as_utc(stored_by: Dialect, stored: datetime | str) -> None:
    """Also from a server whose time zone is another one."""
    loaded = UtcDateTime().result_processor(stored_by, None)(stored)
    assert loaded is not None
    assert (loaded, loaded.tzinfo) == (NOON, UTC)


def test_the_column_has_a_time_zone_in_postgresql() -> None:
    """Without one, the server would drop the zone of a value."""
    assert UtcDateTime().compile(dialect=POSTGRES) == "TIMESTAMP WITH TIME ZONE"
