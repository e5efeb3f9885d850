"""No token lies about: not in the database, not in its log, not in ours (S-060)."""

from pathlib import Path

import pytest
from sqlalchemy import inspect

from itemsapi.db import Database
from support.app_factory import Backend
from support.tokens import open_session, refresh, refreshed


@pytest.fixture
def tokens(backend: Backend) -> list[str]:
    """Every token of a session that was opened, renewed, healed, copied and ended."""
    backend.create_user("ada", "member")
    first = backend.login("ada")
    second = refreshed(backend, first["refresh_token"])
    backend.clock.advance(seconds=21)
    healed = refreshed(backend, first["refresh_token"])
    third = refreshed(backend, healed["refresh_token"])
    backend.clock.advance(seconds=21)
    refresh(backend, first["refresh_token"])
    backend.client().post("/auth/logout", json={"refresh_token": third["refresh_token"]})
    answers = (first, second, healed, third)
    return [one[kind] for one in answers for kind in ("access_token", "refresh_token")]


def secrets(tokens: list[str]) -> list[bytes]:
    """Return what makes each token work: its signature."""
    return [token.rsplit(".", 1)[1].encode() for token in tokens]


def test_no_token_is_in_any_table(tokens: list[str], database: Database) -> None:
    """S-060: every row of every table, as text."""
    with database.reading() as connection:
        rows = [
            repr(row)
            for table in inspect(database.engine).get_table_names()
            for row in connection.exec_driver_sql(f"SELECT * FROM {table}")  # noqa: S608 - ours
        ]
    text = "\n".join(rows).encode()
    assert [secret for secret in secrets(tokens) if secret in text] == []
    assert len(rows) > 5


@pytest.mark.parametrize("dialect", ["sqlite"])
def test_no_token_is_in_any_file(tokens: list[str], database: Database) -> None:
    """S-060: the database file, the write-ahead log, and whatever else lies in the folder."""
    folder = Path(database.engine.url.database or "").parent
    raw = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert [secret for secret in secrets(tokens) if secret in raw] == []
    assert len(raw) > 100_000


def test_no_token_is_in_the_log(capfd: pytest.CaptureFixture[str], tokens: list[str]) -> None:
    """S-060: events of sign-in, reuse and sign-out are logged, tokens are not."""
    log = "".join(capfd.readouterr()).encode()
    assert b"token_reuse" in log
    assert [secret for secret in secrets(tokens) if secret in log] == []


def test_no_token_shows_when_a_grant_is_printed(backend: Backend) -> None:
    """S-060: a stray `repr` in a log line gives nothing away."""
    made = open_session(backend, backend.create_user("ada", "member"))
    assert made.access_token not in repr(made)
    assert made.refresh_token not in repr(made)
