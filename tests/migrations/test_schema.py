"""Migrations: upgrade, downgrade, agreement with the models, and simultaneous starts."""

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect, text

from itemsapi import db
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


def test_the_migrated_tables_are_those_of_the_models(backend: Backend) -> None:
    """In both directions."""
    engine = backend.services.database.engine
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"include_object": _is_in_models})
        assert compare_metadata(context, db.Model.metadata) == []


def _is_in_models(
    _object: object, name: str | None, kind: str, reflected: object, _to: object
) -> bool:
    """Exclude the search index: it differs by database, and no model has it."""
    return not (kind == "table" and reflected and str(name).startswith("item_text"))


def test_a_downgrade_removes_all_tables(empty_database: db.Database) -> None:
    """After a full upgrade."""
    db.upgrade(empty_database)
    db.downgrade(empty_database, "base")
    assert set(inspect(empty_database.engine).get_table_names()) <= {"alembic_version"}
    empty_database.dispose()


def test_users_can_sign_in_after_a_downgrade_and_upgrade(backend: Backend) -> None:
    """Users and sessions survive a migration that does not concern them (R-21)."""
    backend.create_user("ada", "member")
    db.downgrade(backend.services.database, "-1")
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
    db.upgrade(empty_database, "0001")
    with pytest.raises(db.SchemaOutdated, match="itemsapi db upgrade"):
        db.check_schema(empty_database)
    empty_database.dispose()
