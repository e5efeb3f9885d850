"""The schema goes up, down and up again, is what the models say, and is made once by many."""

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect, text
from support.race import race

from itemsapi import db
from support.app_factory import Backend

PROCESSES = 4


@pytest.fixture
def bare(dialect: str, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """The address of a database without any table."""
    if dialect == "sqlite":
        return f"sqlite:///{tmp_path / 'bare.db'}"
    url: str = request.getfixturevalue("database_url")
    database = db.Database(url)
    db.downgrade(database, "base")
    database.dispose()
    return url


@pytest.fixture
def opened(bare: str) -> db.Database:
    """A database without any table."""
    return db.Database(bare)


def test_the_tables_are_those_of_the_models(backend: Backend) -> None:
    """Nothing is in a model that no migration makes, and the other way round."""
    engine = backend.services.database.engine
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"include_object": _ours})
        assert compare_metadata(context, db.Model.metadata) == []


def _ours(_object: object, name: str | None, kind: str, reflected: object, _to: object) -> bool:
    """Leave the index of words out: each database has its own, and no model has it."""
    return not (kind == "table" and reflected and str(name).startswith("item_text"))


def test_going_back_leaves_no_table_behind(opened: db.Database) -> None:
    """All the way down, after all the way up."""
    db.upgrade(opened)
    db.downgrade(opened, "base")
    assert set(inspect(opened.engine).get_table_names()) <= {"alembic_version"}
    opened.dispose()


def test_people_sign_in_after_a_step_back_and_forth(backend: Backend) -> None:
    """Users and sessions outlive a step that does not concern them (R-21)."""
    backend.create_user("ada", "member")
    db.downgrade(backend.services.database, "-1")
    db.upgrade(backend.services.database)
    assert backend.login("ada")["access_token"]


def test_processes_that_start_together_make_one_schema(bare: str, opened: db.Database) -> None:
    """One migrates, the others wait and find it done."""
    doors = [db.Database(bare) for _ in range(PROCESSES)]
    work = iter(doors)
    race(*[lambda: db.upgrade(next(work))] * PROCESSES)
    with opened.reading() as connection:
        assert connection.scalar(text("SELECT count(*) FROM itemsapi_role")) == 3
    for door in [*doors, opened]:
        door.dispose()


def test_an_old_schema_is_named_with_what_to_do(opened: db.Database) -> None:
    """One line (R-24)."""
    db.upgrade(opened, "0001")
    with pytest.raises(db.SchemaOutdated, match="itemsapi db upgrade"):
        db.check_schema(opened)
    opened.dispose()
