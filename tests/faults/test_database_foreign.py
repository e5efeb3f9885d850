"""Tables of another application in the database: a one-line error, and no changes."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, inspect, make_url

from itemsapi import db
from itemsapi.clock import new_id
from itemsapi.db import migrations
from support.command_line import Shell, shell_at
from support.free_port import free_port
from support.postgres_database import execute, url_of

COMMANDS = ["db upgrade", "db downgrade base --yes", "serve"]


@pytest.fixture
def bare_url(dialect: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of a database without tables."""
    if dialect == "sqlite":
        yield f"sqlite:///{tmp_path / 'shared.db'}"
        return
    server = request.getfixturevalue("postgres_server")
    name = f"shared_{new_id()[-12:]}"
    execute(server, f"CREATE DATABASE {name}")
    yield url_of(server, name)
    execute(server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def engine(bare_url: str) -> Iterator[Engine]:
    """The other application's engine."""
    address = make_url(bare_url)
    if address.drivername == "postgresql":
        address = address.set(drivername="postgresql+psycopg")
    engine_created = create_engine(address)
    yield engine_created
    engine_created.dispose()


@pytest.fixture
def shell(bare_url: str, tmp_path: Path) -> Shell:
    """A shell whose service shares that database."""
    return shell_at(tmp_path / "data", database_url=bare_url)


def execute_all(engine: Engine, *statements: str) -> dict[str, list[str]]:
    """Execute statements of the other application; return the tables afterwards."""
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    return tables_of(engine)


def tables_of(engine: Engine) -> dict[str, list[str]]:
    """Return the tables and views with their columns."""
    inspector = inspect(engine)
    names = [*inspector.get_table_names(), *inspector.get_view_names()]
    return {name: [column["name"] for column in inspector.get_columns(name)] for name in names}


def error_of(shell: Shell, command: str) -> str:
    """Return the one-line error of a command."""
    words = command.split() + (["--port", str(free_port())] if command == "serve" else [])
    done = shell.run(*words)
    assert (done.code, done.err.count("\n")) == (1, 1), done
    return done.err


@pytest.mark.parametrize("command", ["db upgrade", "serve"])
@pytest.mark.parametrize("table", ["itemsapi_role", "itemsapi_item"])
def test_a_table_with_one_of_our_names_is_not_changed(
    engine: Engine, shell: Shell, command: str, table: str
) -> None:
    """The error names the table and the fix (R-24)."""
    before = execute_all(engine, f"CREATE TABLE {table} (theirs integer)")
    assert f"`{table}`" in error_of(shell, command)
    assert tables_of(engine) == before


def test_a_table_name_known_only_to_migrations_is_not_changed(engine: Engine, shell: Shell) -> None:
    """The search index of items is in no model; no earlier table of ours remains."""
    before = execute_all(engine, "CREATE TABLE itemsapi_item_text (theirs integer)")
    assert "itemsapi_item_text" in error_of(shell, "db upgrade")
    assert tables_of(engine) == before


def test_a_view_with_one_of_our_names_is_not_changed(engine: Engine, shell: Shell) -> None:
    """A view blocks the name too."""
    before = execute_all(engine, "CREATE VIEW itemsapi_user AS SELECT 1 AS theirs")
    assert "`itemsapi_user`" in error_of(shell, "db upgrade")
    assert tables_of(engine) == before


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("revision", ["5c1a2b", "0001"])
def test_the_migrations_of_another_application_are_not_changed(
    engine: Engine, shell: Shell, command: str, revision: str
) -> None:
    """Even with our revision names: a downgrade would drop its tables."""
    before = execute_all(
        engine,
        "CREATE TABLE itemsapi_alembic_version (version_num varchar(32) NOT NULL)",
        f"INSERT INTO itemsapi_alembic_version VALUES ('{revision}')",  # noqa: S608 - from the list above
    )
    assert "`itemsapi_alembic_version`" in error_of(shell, command)
    assert tables_of(engine) == before


def test_tables_with_other_names_are_allowed(engine: Engine, shell: Shell) -> None:
    """Two applications may share a database if their table names differ."""
    execute_all(engine, "CREATE TABLE theirs (id integer)")
    done = shell.run("db", "upgrade")
    assert (done.code, "theirs" in tables_of(engine)) == (0, True), done


def test_a_newer_schema_is_distinguished_from_a_foreign_one(engine: Engine, shell: Shell) -> None:
    """The error does not suggest an upgrade that does not exist."""
    shell.run("db", "upgrade")
    execute_all(engine, "UPDATE itemsapi_alembic_version SET version_num = '9999'")
    assert "newer than this version of itemsapi; install" in error_of(shell, "serve")


@pytest.mark.postgres
@pytest.mark.dialect("postgresql")
def test_two_applications_use_a_schema_each(engine: Engine, shell: Shell, bare_url: str) -> None:
    """As the error suggests; the other application's tables may be visible behind ours."""
    before = execute_all(
        engine,
        "CREATE TABLE itemsapi_role (theirs integer)",
        "CREATE TABLE alembic_version (version_num varchar(32) NOT NULL)",
        "INSERT INTO alembic_version VALUES ('5c1a2b')",
        "CREATE SCHEMA shop",
    )
    options = {"options": "-csearch_path=shop,public"}
    url = make_url(bare_url).update_query_dict(options).render_as_string(hide_password=False)
    done = shell.with_settings(database_url=url).run("db", "upgrade")
    assert (done.code, tables_of(engine)) == (0, before), done
    assert shell.with_settings(database_url=url).run("db", "check").code == 0


@pytest.mark.postgres
@pytest.mark.dialect("postgresql")
def test_a_role_without_create_is_a_one_line_error(
    engine: Engine, shell: Shell, bare_url: str
) -> None:
    """The error names the required grant (S-164)."""
    name = f"nobody_{new_id()[-12:]}"
    execute_all(engine, f"CREATE ROLE {name} LOGIN", "REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    url = make_url(bare_url).set(username=name).render_as_string(hide_password=False)
    line = error_of(shell.with_settings(database_url=url), "db upgrade")
    execute_all(engine, f"DROP ROLE {name}")
    assert "GRANT CREATE" in line


def test_the_package_works_in_a_folder_with_a_percent_sign(
    bare_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Alembic's configuration interpolates after a percent sign."""
    folder_with_percent = tmp_path / "50%(here)s off"
    folder_with_percent.symlink_to(
        next(folder for folder in migrations.ENVIRONMENTS if folder.is_dir())
    )
    monkeypatch.setattr(migrations, "ENVIRONMENTS", (folder_with_percent,))
    database = db.Database(bare_url)
    db.upgrade(database)
    db.check_schema(database)
    database.dispose()
