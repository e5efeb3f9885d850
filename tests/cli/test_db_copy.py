"""`itemsapi db copy`: from SQLite to PostgreSQL, all of it or nothing."""

import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import create_engine, text

from itemsapi import db
from itemsapi.clock import new_id
from support.app_factory import Backend
from support.command_line import SECRET, CommandResult, shell_at
from support.postgres_database import LOCKED_OUT, count_connections
from support.service import wait_until
from support.tokens import look, open_session, refreshed

Build = Callable[..., Backend]
ORDERS = """
import uuid
from datetime import datetime
from decimal import Decimal

from sqlalchemy import JSON, Numeric
from sqlalchemy.orm import Mapped, mapped_column

from itemsapi import Blueprint
from itemsapi.db import BlueprintModel


class Parcel(BlueprintModel):
    __tablename__ = "parcel"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    sent_at: Mapped[datetime]
    weight: Mapped[Decimal] = mapped_column(Numeric(8, 2))
    labels: Mapped[dict] = mapped_column(JSON)
    fragile: Mapped[bool]


orders = Blueprint("orders", __name__)
"""
FILL = """
import sys, uuid
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from itemsapi.db import Database
from orders import Parcel

database = Database(sys.argv[1])
with database.transaction() as tx:
    tokyo = timezone(timedelta(hours=9))
    tx.add(Parcel(id=uuid.UUID(int=7), sent_at=datetime(2026, 3, 29, 1, 30, 0, 123456, tokyo),
                  weight=Decimal("12.50"), labels={"b": [1, 2.5, None], "a": "x"}, fragile=True))
    tx.connection().exec_driver_sql("CREATE TABLE notes (id INTEGER)")
database.dispose()
"""
SEED = """
    op.execute(
        "INSERT INTO parcel (id, sent_at, weight, labels, fragile) VALUES"
        " ('00000000000000000000000000000001', '2026-01-01 00:00:00', 1, '[]', false)"
    )
"""
PARCEL = "SELECT id::text, sent_at AT TIME ZONE 'UTC', weight, labels->'b'->>1, fragile FROM parcel"

EARLY_USER = """
INSERT INTO itemsapi_user (id, username, password_hash, created_at, updated_at, version)
VALUES (%s, 'ada', 'x', now(), now(), 1)
"""
pytestmark = [pytest.mark.postgres, pytest.mark.dialect("postgresql")]


@pytest.fixture
def file(sqlite_template: Path, tmp_path: Path) -> Path:
    """An SQLite file with the tables of the service."""
    copied = tmp_path / "itemsapi.db"
    copied.write_bytes(sqlite_template.read_bytes())
    return copied


@pytest.fixture
def small(make_backend: Build, file: Path) -> Backend:
    """The service on SQLite."""
    return make_backend(look, database_url=f"sqlite:///{file}")


@pytest.fixture
def copy(
    new_database_url: str, tmp_path: Path, file: Path, small: Backend
) -> Callable[..., CommandResult]:
    """Stop the service, and copy its file into the new database."""
    shell = shell_at(tmp_path, database_url=new_database_url)

    def run(**settings: str) -> CommandResult:
        small.services.database.dispose()
        return shell.with_settings(**settings).run("db", "copy", str(file))

    return run


@pytest.fixture
def large(make_backend: Build, new_database_url: str) -> Backend:
    """The service on the new database."""
    return make_backend(look, database_url=new_database_url)


def rows(url: str, query: str) -> list[tuple[object, ...]]:
    """Return the rows of a query."""
    engine = create_engine(db.Database(url).engine.url)
    with engine.connect() as connection:
        found = [tuple(row) for row in connection.execute(text(query))]
    engine.dispose()
    return found


def test_users_sign_in_after_a_copy(
    small: Backend, copy: Callable[..., CommandResult], large: Backend
) -> None:
    """With their passwords and roles."""
    small.create_user("ada", "member")
    done = copy()
    assert done.code == 0, done.err
    assert large.login("ada")["scope"] == "items:read items:write"


def test_nobody_is_signed_out_by_a_copy(
    small: Backend, copy: Callable[..., CommandResult], large: Backend
) -> None:
    """Sessions and signing keys are copied."""
    session = open_session(small, small.create_user("ada", "member"))
    copy()
    assert large.bearer_client(session.access_token).get("/look").status_code == 204
    assert refreshed(large, session.refresh_token)["refresh_token"]


def test_items_are_found_and_numbered_on_after_a_copy(
    small: Backend, copy: Callable[..., CommandResult], large: Backend
) -> None:
    """The search index is copied, and no number is given a second time."""
    item = {"name": "Brass lamp", "price": "12.50", "currency": "EUR", "tags": ["old"]}
    client = small.signed_in_client("ada", "member")
    assert client.post("/items", json=item).status_code == 201
    copy()
    copied = large.bearer_client(large.login("ada")["access_token"])
    assert copied.post("/items", json=item).status_code == 201
    assert len(copied.get("/items?q=brass&tag=old").get_json()["items"]) == 2


def test_the_audit_trail_goes_on_after_a_copy(
    small: Backend, copy: Callable[..., CommandResult], large: Backend
) -> None:
    """The next event gets the next number."""
    small.signed_in_client("ada", "member")
    copy()
    large.login("ada")
    numbers = [event.id for event in large.services.audit.latest(before=None, limit=200)]
    assert numbers == sorted(set(numbers), reverse=True)


def test_roles_that_operators_changed_replace_those_of_a_new_database(
    small: Backend, copy: Callable[..., CommandResult], new_database_url: str
) -> None:
    """A role that was deleted does not come back."""
    with small.services.database.transaction() as tx:
        tx.execute(text("DELETE FROM itemsapi_role_scope WHERE role = 'reader'"))
        tx.execute(text("DELETE FROM itemsapi_role WHERE name = 'reader'"))
    copy()
    assert rows(new_database_url, "SELECT name FROM itemsapi_role WHERE name = 'reader'") == []


def test_a_file_that_a_service_uses_is_not_copied(
    small: Backend, file: Path, new_database_url: str, tmp_path: Path
) -> None:
    """What it acknowledges meanwhile would be lost."""
    small.create_user("ada", "member")
    shell = shell_at(tmp_path, database_url=new_database_url)
    done = shell.run("db", "copy", str(file))
    assert (done.code, done.err.count("\n")) == (1, 1)
    assert "is open in another process; stop the service" in done.err


def test_a_database_in_use_is_not_copied_to(
    small: Backend, copy: Callable[..., CommandResult], large: Backend
) -> None:
    """Its rows stay as they are."""
    small.create_user("ada", "member")
    copy()
    done = copy()
    assert (done.code, "the new database is in use: `itemsapi_user` has" in done.err) == (1, True)
    assert large.login("ada")


def test_a_user_added_to_the_new_database_meanwhile_is_not_lost(
    copy: Callable[..., CommandResult], large: Backend, new_database_url: str
) -> None:
    """By a service that was started too early: the copy waits for it, and is refused."""
    db.upgrade(large.services.database)
    with ThreadPoolExecutor(1) as pool, psycopg.connect(new_database_url) as early:
        early.execute(EARLY_USER, [new_id()])
        done = pool.submit(copy)
        wait_until(lambda: count_connections(new_database_url, LOCKED_OUT) > 0 or done.done(), 60)
        early.commit()
    assert "the new database is in use: `itemsapi_user` has rows" in done.result().err


def test_a_row_that_postgresql_refuses_leaves_nothing(
    small: Backend, copy: Callable[..., CommandResult], file: Path, new_database_url: str
) -> None:
    """SQLite holds no length of a text; the line names the table."""
    small.create_user("ada", "member")
    small.services.database.dispose()
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("UPDATE itemsapi_user SET username = ?", ["a" * 65])
        connection.commit()
    done = copy()
    assert "a row of itemsapi_user cannot be copied, and nothing was changed: " in done.err
    assert rows(new_database_url, "SELECT to_regclass('itemsapi_user')") == [(None,)]


def test_a_file_of_an_older_version_is_not_copied(
    copy: Callable[..., CommandResult], file: Path
) -> None:
    """The line says what to do first."""
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("DELETE FROM itemsapi_item_version")
        connection.commit()
    assert "at revision base, this version needs 0001; upgrade the file first" in copy().err


def test_a_file_of_another_secret_is_not_copied(
    small: Backend, copy: Callable[..., CommandResult]
) -> None:
    """The service could not sign with its keys."""
    small.services.key_set.snapshot()
    done = copy(secret_key="another-0123456789-abcdefghijklmnopqrstuvwxyz")
    assert (done.code, "ITEMSAPI_SECRET_KEY" in done.err) == (1, True)


def test_the_target_has_to_be_postgresql(file: Path, tmp_path: Path) -> None:
    """The line says which setting names it."""
    shell = shell_at(tmp_path, database_url=f"sqlite:///{tmp_path}/other.db")
    done = shell.run("db", "copy", str(file))
    assert "ITEMSAPI_DATABASE_URL is SQLite; set it to the PostgreSQL database" in done.err


def run(folder: Path, url: str, *words: str) -> str:
    """Run Python in a folder, as an operator does; return the output."""
    settings = {"DATABASE_URL": url, "BLUEPRINTS": "orders:orders", "MIGRATIONS": "migrations"}
    settings |= {"DATA_DIR": str(folder), "SECRET_KEY": SECRET}
    environment = os.environ | {f"ITEMSAPI_{name}": value for name, value in settings.items()}
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a blueprint, and its tables in an SQLite file; its migration adds a row."""
    file, itemsapi = f"sqlite:///{tmp_path}/itemsapi.db", ("-m", "itemsapi", "db")
    (tmp_path / "orders.py").write_text(ORDERS)
    (tmp_path / "migrations").mkdir()
    run(tmp_path, file, *itemsapi, "upgrade")
    run(tmp_path, file, *itemsapi, "revision", "-m", "parcels")
    (migration,) = (tmp_path / "migrations").glob("*.py")
    migration.write_text(re.sub(r"(?=\n\ndef downgrade)", SEED, migration.read_text()))
    run(tmp_path, file, *itemsapi, "upgrade")
    return tmp_path


@pytest.mark.slow
def test_tables_of_blueprints_are_copied_with_their_types(
    folder: Path, new_database_url: str
) -> None:
    """As processes, in a folder with the blueprint; a table that no model names is reported."""
    file = f"sqlite:///{folder}/itemsapi.db"
    run(folder, file, "-c", FILL, file)
    out = run(folder, new_database_url, "-m", "itemsapi", "db", "copy", "itemsapi.db")
    assert "Not copied, because no model of the application has them: notes.\n" in out
    sent_at, weight = datetime(2026, 3, 28, 16, 30, 0, 123456), Decimal("12.50")  # noqa: DTZ001 - in UTC
    expected = ("00000000-0000-0000-0000-000000000007", sent_at, weight, "2.5", True)
    assert rows(new_database_url, f"{PARCEL} WHERE weight <> 1") == [expected]


@pytest.mark.slow
def test_rows_that_a_migration_adds_are_copied_once(folder: Path, new_database_url: str) -> None:
    """The new database is not in use because of them; those of the file replace them."""
    run(folder, new_database_url, "-m", "itemsapi", "db", "copy", "itemsapi.db")
    assert rows(new_database_url, "SELECT weight FROM parcel") == [(Decimal(1),)]
