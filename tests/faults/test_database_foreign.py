"""Tables of somebody else in the database: one line that names one, and nothing is changed."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, inspect, make_url

from itemsapi import db
from itemsapi.clock import new_id
from itemsapi.db import schema
from support.command_line import Shell, free_port, shell_at
from support.postgres_database import execute, url_of

COMMANDS = ["db upgrade", "db downgrade base --yes", "serve"]


@pytest.fixture
def bare_url(dialect: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of a database without any table."""
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
    """The other application's way to the database."""
    address = make_url(bare_url)
    if address.drivername == "postgresql":
        address = address.set(drivername="postgresql+psycopg")
    made = create_engine(address)
    yield made
    made.dispose()


@pytest.fixture
def shell(bare_url: str, tmp_path: Path) -> Shell:
    """A shell whose service is to share that database."""
    return shell_at(tmp_path / "data", database_url=bare_url)


def make(engine: Engine, *statements: str) -> dict[str, list[str]]:
    """Let the other application make what it needs; return what there is then."""
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    return held(engine)


def held(engine: Engine) -> dict[str, list[str]]:
    """Return the tables that there are, with their columns."""
    look = inspect(engine)
    names = [*look.get_table_names(), *look.get_view_names()]
    return {name: [column["name"] for column in look.get_columns(name)] for name in names}


def refused(shell: Shell, command: str) -> str:
    """Return the one line with which a command gives up."""
    words = command.split() + (["--port", str(free_port())] if command == "serve" else [])
    done = shell.run(*words)
    assert (done.code, done.err.count("\n")) == (1, 1), done
    return done.err


@pytest.mark.parametrize("command", ["db upgrade", "serve"])
@pytest.mark.parametrize("table", ["itemsapi_role", "item"])
def test_a_table_of_one_of_our_names_is_left_alone(
    engine: Engine, shell: Shell, command: str, table: str
) -> None:
    """The line names it and says what to do (R-24)."""
    before = make(engine, f"CREATE TABLE {table} (theirs integer)")
    assert f"`{table}`" in refused(shell, command)
    assert held(engine) == before


def test_a_name_that_only_a_migration_knows_is_left_alone(engine: Engine, shell: Shell) -> None:
    """The words of items are in no model; nothing of what came before it stays."""
    before = make(engine, "CREATE TABLE item_text (theirs integer)")
    assert "item_text" in refused(shell, "db upgrade")
    assert held(engine) == before


def test_a_view_of_one_of_our_names_is_left_alone(engine: Engine, shell: Shell) -> None:
    """It is in the way as well."""
    before = make(engine, "CREATE VIEW itemsapi_user AS SELECT 1 AS theirs")
    assert "`itemsapi_user`" in refused(shell, "db upgrade")
    assert held(engine) == before


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("revision", ["5c1a2b", "0001"])
def test_the_versions_of_another_application_are_left_alone(
    engine: Engine, shell: Shell, command: str, revision: str
) -> None:
    """Even if its revisions have the names of ours: going down would drop its tables."""
    before = make(
        engine,
        "CREATE TABLE alembic_version (version_num varchar(32) NOT NULL)",
        f"INSERT INTO alembic_version VALUES ('{revision}')",  # noqa: S608 - one of the two above
        "CREATE TABLE itemsapi_role (theirs integer)",
    )
    assert "`alembic_version`" in refused(shell, command)
    assert held(engine) == before


def test_tables_of_other_names_are_no_hindrance(engine: Engine, shell: Shell) -> None:
    """Two may share a database whose names differ."""
    make(engine, "CREATE TABLE theirs (id integer)")
    done = shell.run("db", "upgrade")
    assert (done.code, "theirs" in held(engine)) == (0, True), done


def test_a_database_of_a_newer_version_is_told_from_a_foreign_one(
    engine: Engine, shell: Shell
) -> None:
    """The line says what to run, and not an upgrade that there is not."""
    shell.run("db", "upgrade")
    make(engine, "UPDATE alembic_version SET version_num = '9999'")
    assert "newer itemsapi" in refused(shell, "serve")


@pytest.mark.postgres
@pytest.mark.parametrize("dialect", ["postgresql"])
def test_two_applications_have_a_schema_each(engine: Engine, shell: Shell, bare_url: str) -> None:
    """As the line says; the other one's tables may be in sight behind ours."""
    before = make(
        engine,
        "CREATE TABLE itemsapi_role (theirs integer)",
        "CREATE TABLE alembic_version (version_num varchar(32) NOT NULL)",
        "INSERT INTO alembic_version VALUES ('5c1a2b')",
        "CREATE SCHEMA shop",
    )
    options = {"options": "-csearch_path=shop,public"}
    url = make_url(bare_url).update_query_dict(options).render_as_string(hide_password=False)
    done = shell.with_settings(database_url=url).run("db", "upgrade")
    assert (done.code, held(engine)) == (0, before), done
    assert shell.with_settings(database_url=url).run("db", "check").code == 0


@pytest.mark.postgres
@pytest.mark.parametrize("dialect", ["postgresql"])
def test_a_role_that_may_make_nothing_is_one_line(
    engine: Engine, shell: Shell, bare_url: str
) -> None:
    """The line says what to grant (S-164)."""
    name = f"nobody_{new_id()[-12:]}"
    make(engine, f"CREATE ROLE {name} LOGIN", "REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    url = make_url(bare_url).set(username=name).render_as_string(hide_password=False)
    line = refused(shell.with_settings(database_url=url), "db upgrade")
    make(engine, f"DROP ROLE {name}")
    assert "GRANT CREATE" in line


def test_the_package_may_lie_below_any_folder(
    bare_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Alembic's configuration fills in what follows a percent sign."""
    place = tmp_path / "50%(here)s off"
    place.symlink_to(next(folder for folder in schema.MIGRATION_FOLDERS if folder.is_dir()))
    monkeypatch.setattr(schema, "MIGRATION_FOLDERS", (place,))
    database = db.Database(bare_url)
    db.upgrade(database)
    db.check_schema(database)
    database.dispose()
