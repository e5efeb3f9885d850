"""No token is stored: not in the database, its files or the log (S-060)."""

from pathlib import Path

import pytest
from sqlalchemy import inspect

from itemsapi.db import Database
from support.app_factory import Backend
from support.tokens import open_session, refresh, refreshed


@pytest.fixture
def tokens(backend: Backend) -> list[str]:
    """All tokens of a session that was refreshed, healed, copied and ended."""
    backend.create_user("ada", "member")
    first = backend.login("ada")
    second = refreshed(backend, first["refresh_token"])
    backend.clock.advance(seconds=21)
    healed = refreshed(backend, first["refresh_token"])
    third = refreshed(backend, healed["refresh_token"])
    backend.clock.advance(seconds=21)
    refresh(backend, first["refresh_token"])
    backend.client().post("/auth/logout", json={"refresh_token": third["refresh_token"]})
    responses = (first, second, healed, third)
    return [tokens[kind] for tokens in responses for kind in ("access_token", "refresh_token")]


def signatures(tokens: list[str]) -> list[bytes]:
    """Return the secret part of each token: its signature."""
    return [token.rsplit(".", 1)[1].encode() for token in tokens]


def test_no_token_is_in_any_table(tokens: list[str], database: Database) -> None:
    """S-060: in no row of any table, as text."""
    with database.reading() as connection:
        rows = [
            repr(row)
            for table in inspect(database.engine).get_table_names()
            for row in connection.exec_driver_sql(f"SELECT * FROM {table}")  # noqa: S608 - ours
        ]
    text = "\n".join(rows).encode()
    assert [secret for secret in signatures(tokens) if secret in text] == []
    assert len(rows) > 5


@pytest.mark.dialect("sqlite")
def test_no_token_is_in_any_file(tokens: list[str], database: Database) -> None:
    """S-060: not in the database file, the write-ahead log, or any other file of the folder."""
    folder = Path(database.engine.url.database or "").parent
    raw = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert [secret for secret in signatures(tokens) if secret in raw] == []
    assert len(raw) > 100_000


def test_no_token_is_in_the_log(capfd: pytest.CaptureFixture[str], tokens: list[str]) -> None:
    """S-060: sign-in, reuse and sign-out are logged, tokens are not."""
    log = "".join(capfd.readouterr()).encode()
    assert b"token_reuse" in log
    assert [secret for secret in signatures(tokens) if secret in log] == []


def test_no_token_is_in_the_repr_of_a_grant(backend: Backend) -> None:
    """S-060: so that none gets into a log line."""
    grant = open_session(backend, backend.create_user("ada", "member"))
    assert grant.access_token not in repr(grant)
    assert grant.refresh_token not in repr(grant)
