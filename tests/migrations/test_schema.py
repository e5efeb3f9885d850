"""Migrations: upgrade, downgrade, agreement with the models, and simultaneous starts."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect, text

from itemsapi import db
from itemsapi.db.migrations import Migrations, item_migrations, layer_migrations
from itemsapi.db.ownership import ITEM_TABLES, ITEM_TEXT, TABLES, VERSION_TABLES
from itemsapi.db.revision_files import ITEM_FOLDER, LAYER_FOLDER, newest_number
from support.app_factory import Backend
from support.race import race

PROCESSES = 4


@pytest.fixture
def empty_database_url(dialect: str, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """The URL of a database without any table."""
    if dialect == "sqlite":
        return f"sqlite:///{tmp_path / 'bare.db'}"
    url: str = request.getfixturevalue("database_url")
    database = db.Database(url)
    db.downgrade(database, "base")
    database.dispose()
    return url


@pytest.fixture
def empty_database(empty_database_url: str) -> db.Database:
    """A database without any table."""
    return db.Database(empty_database_url)


@pytest.mark.parametrize(
    ("folder", "migrations"), [(LAYER_FOLDER, layer_migrations), (ITEM_FOLDER, item_migrations)]
)
def test_the_newest_revision_is_known_without_alembic(
    folder: str, migrations: Callable[[], Migrations]
) -> None:
    """Its number is at the beginning of the name of its file."""
    assert newest_number(folder) == migrations().newest()


def test_the_migrated_tables_are_those_of_the_models(backend: Backend) -> None:
    """In both directions."""
    engine = backend.services.database.engine
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"include_name": _is_in_models})
        assert compare_metadata(context, db.Model.metadata) == []


def _is_in_models(name: str | None, kind: str, _parents: object) -> bool:
    """Exclude what no model has: the version tables, and the search index, which differs."""
    without_model = VERSION_TABLES | {name for name in ITEM_TABLES if name.startswith(ITEM_TEXT)}
    return not (kind == "table" and name in without_model)


def test_our_tables_are_the_ones_that_we_list(backend: Backend) -> None:
    """The list protects them from the Alembic of another application; no other name is ours."""
    tables = set(inspect(backend.services.database.engine).get_table_names())
    assert tables | set(db.Model.metadata.tables) <= TABLES
    assert all(name.startswith("itemsapi_") for name in TABLES)


NAMES = {
    "sqlite": "SELECT name FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%'",
    "postgresql": "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
    " UNION SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
    " UNION SELECT typname FROM pg_type WHERE typnamespace = 'public'::regnamespace"
    " AND typname NOT LIKE '\\_%'",
}


def test_every_name_in_the_database_is_that_of_one_of_our_tables(
    backend: Backend, dialect: str
) -> None:
    """Indexes, constraints, sequences, types and functions too: none conflicts with a host's."""
    with backend.services.database.reading() as connection:
        names = connection.execute(text(NAMES[dialect])).scalars().all()
    assert names
    assert [name for name in names if not re.match("((ix|uq|pk)_)?itemsapi_", name)] == []


def test_a_downgrade_removes_all_tables(empty_database: db.Database) -> None:
    """After a full upgrade."""
    db.upgrade(empty_database)
    db.downgrade(empty_database, "base")
    assert set(inspect(empty_database.engine).get_table_names()) <= VERSION_TABLES
    empty_database.dispose()


def test_users_can_sign_in_after_a_downgrade_and_upgrade(backend: Backend) -> None:
    """Users and sessions survive a migration that does not concern them (R-21)."""
    backend.create_user("ada", "member")
    db.downgrade(backend.services.database, "base", of="items")
    db.upgrade(backend.services.database)
    assert backend.login("ada")["access_token"]


def test_processes_that_start_together_migrate_once(
    empty_database_url: str, empty_database: db.Database
) -> None:
    """One migrates, the others wait."""
    databases = [db.Database(empty_database_url) for _ in range(PROCESSES)]
    work = iter(databases)
    race(*[lambda: db.upgrade(next(work))] * PROCESSES)
    with empty_database.reading() as connection:
        assert connection.scalar(text("SELECT count(*) FROM itemsapi_role")) == 3
    for database in [*databases, empty_database]:
        database.dispose()


def test_an_old_schema_is_reported_with_the_command_to_run(empty_database: db.Database) -> None:
    """One line (R-24)."""
    db.upgrade(empty_database, "head")
    with pytest.raises(db.SchemaOutdated, match=r"itemsapi.* db upgrade"):
        db.check_schema(empty_database)
    empty_database.dispose()
