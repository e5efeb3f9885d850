"""Migrations of blueprints that could lose rows, stay half applied or wait for each other."""

import itertools
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, create_engine, event, inspect, text

from itemsapi import db
from itemsapi.db import Database, sqlite
from support.command_line import CommandResult, Shell

NUMBERS = itertools.count()
MODELS = """\
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from itemsapi.db import UtcDateTime

metadata = sa.MetaData()
{tables}
"""
ORDERS = """
sa.Table("orders", metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("product", sa.String(9), nullable={nullable}))
sa.Table("lines", metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("order_id", sa.ForeignKey("orders.id", ondelete={ondelete!r})))
"""

Generate = Callable[..., CommandResult]


@pytest.fixture
def generate(own_shell: Shell, project: Path) -> Generate:
    """Generate a migration for the tables of a new module; Python keeps modules it imported."""

    def run(tables: str) -> CommandResult:
        module = f"own_models_{next(NUMBERS)}"
        (project / f"{module}.py").write_text(MODELS.format(tables=tables))
        source = f"{module}:metadata"
        return own_shell.run("db", "revision", "-m", "change", "--metadata", source)

    return run


def write_revision(project: Path, name: str, body: str, after: str | None = None) -> None:
    """Write a migration by hand."""
    folder = project / "migrations"
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.py").write_text(
        f"from alembic import op\n\nrevision = {name!r}\ndown_revision = {after!r}\n\n"
        f"def upgrade():\n    {body}\n\ndef downgrade():\n    pass\n"
    )


def execute(url: str, *statements: str) -> list[Any]:
    """Run statements, and return the rows of the last one."""
    engine = create_engine(Database(url).engine.url)
    with engine.begin() as connection:
        results = [connection.execute(text(statement)) for statement in statements]
        rows = list(results[-1]) if results[-1].returns_rows else []
    engine.dispose()
    return rows


def tables(url: str) -> list[str]:
    """Return the names of all tables."""
    engine = create_engine(Database(url).engine.url)
    names = inspect(engine).get_table_names()
    engine.dispose()
    return names


@pytest.mark.parametrize("ondelete", ["CASCADE", "SET NULL", None])
def test_a_table_keeps_the_rows_that_refer_to_it_when_it_is_changed(
    own_shell: Shell, generate: Generate, database_url: str, ondelete: str | None
) -> None:
    """SQLite copies the table and drops the old one, which deletes nothing elsewhere."""
    generate(ORDERS.format(nullable=False, ondelete=ondelete))
    own_shell.run("db", "upgrade")
    execute(database_url, "INSERT INTO orders VALUES (1, 'x')", "INSERT INTO lines VALUES (1, 1)")
    generate(ORDERS.format(nullable=True, ondelete=ondelete))
    assert own_shell.run("db", "upgrade").code == 0
    assert execute(database_url, "SELECT order_id FROM lines") == [(1,)]


@pytest.mark.dialect("sqlite")
def test_a_migration_that_leaves_references_to_missing_rows_changes_nothing(
    own_shell: Shell, generate: Generate, project: Path, database_url: str
) -> None:
    """SQLite checks all references before the commit (R-24)."""
    generate(ORDERS.format(nullable=False, ondelete=None))
    own_shell.run("db", "upgrade")
    execute(database_url, "INSERT INTO orders VALUES (1, 'x')", "INSERT INTO lines VALUES (1, 1)")
    (first,) = (project / "migrations").glob("*.py")
    write_revision(project, "two", "op.execute('DELETE FROM orders')", first.name.split("_")[0])
    words = "after the migration, rows of `lines` refer to missing rows of `orders`"
    assert words in own_shell.run("db", "upgrade").err
    assert execute(database_url, "SELECT id FROM orders") == [(1,)]


@pytest.mark.dialect("sqlite")
def test_references_are_enforced_again_after_a_migration(database: Database) -> None:
    """The connection of a migration is not used again."""
    db.upgrade(database)
    with database.transaction() as tx:
        assert tx.scalar(text("PRAGMA foreign_keys")) == 1


@pytest.mark.dialect("sqlite")
def test_a_migration_waits_for_another_one(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Longer than a request waits for the lock (R-21)."""
    monkeypatch.setitem(sqlite.CONNECT_ARGS, "timeout", 0.0)
    database, waited = Database(database_url), threading.Event()
    event.listen(database.engine, "handle_error", lambda _context: waited.set())
    other = sqlite3.connect(str(database.engine.url.database), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    thread = threading.Thread(target=db.upgrade, args=(database,))
    thread.start()
    assert waited.wait(30)
    other.execute("COMMIT")
    thread.join(30)
    assert not thread.is_alive()
    other.close()
    database.dispose()


def hold_lock(connection: Connection) -> None:
    """Lock the migrations."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({db.schema.SCHEMA_LOCK_ID})")


def test_a_migration_that_does_not_end_is_reported_to_others(
    own_shell: Shell, project: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line says that another one may be running (R-24)."""
    monkeypatch.setattr(sqlite, "MIGRATION_TIMEOUT_SECONDS", 0.1)
    monkeypatch.setattr(db.schema, "MIGRATION_TIMEOUT_SECONDS", 0.1)
    monkeypatch.setitem(sqlite.CONNECT_ARGS, "timeout", 0.0)
    (project / "migrations").mkdir()
    database = Database(database_url)
    with database.engine.connect() as connection:
        hold_lock(connection)
        done = own_shell.run("db", "upgrade")
        connection.rollback()
    database.dispose()
    assert (done.code, done.err.count("\n")) == (1, 1)
    assert "another process has locked the database; another migration may be" in done.err


@pytest.mark.parametrize(
    "end",
    [
        "op.get_bind().commit()",
        "op.get_bind().rollback()",
        "op.execute('COMMIT')",
        "op.execute('/* done; */ end')",
        "op.execute('ROLLBACK')",
    ],
)
def test_a_migration_that_ends_the_transaction_changes_nothing(
    own_shell: Shell, project: Path, database_url: str, end: str
) -> None:
    """It is rejected before it does so, in one line (R-24)."""
    write_revision(project, "one", f"op.execute('CREATE TABLE parcel (id INTEGER)'); {end}")
    done = own_shell.run("db", "upgrade")
    assert (done.code, done.err.count("\n"), "one.py, line 7: " in done.err) == (1, 1, True)
    assert "parcel" not in tables(database_url)


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE parcel (note TEXT DEFAULT '; COMMIT;')",
        "CREATE TABLE parcel (id INTEGER) -- ; COMMIT",
        "SAVEPOINT one; ROLLBACK TO SAVEPOINT one",
        "DO $$ BEGIN PERFORM 1; END; $$",
    ],
)
@pytest.mark.dialect(pytest.param("postgresql", marks=pytest.mark.postgres))
def test_a_statement_that_ends_no_transaction_is_executed(
    own_shell: Shell, project: Path, statement: str
) -> None:
    """The words may be in strings, comments and functions."""
    write_revision(project, "one", f"op.execute({statement!r})")
    assert own_shell.run("db", "upgrade").code == 0


@pytest.mark.postgres
@pytest.mark.dialect("postgresql")
def test_a_commit_among_other_statements_is_rejected(
    own_shell: Shell, project: Path, database_url: str
) -> None:
    """PostgreSQL takes several statements at once."""
    write_revision(project, "one", "op.execute('CREATE TABLE parcel (id INTEGER); commit')")
    assert "TransactionEnded: a migration must not commit" in own_shell.run("db", "upgrade").err
    assert "parcel" not in tables(database_url)


@pytest.mark.dialect("sqlite")
def test_a_trigger_is_created(own_shell: Shell, project: Path) -> None:
    """Its END does not end the transaction."""
    body = "CREATE TRIGGER t AFTER INSERT ON itemsapi_role BEGIN SELECT 1; END"
    write_revision(project, "one", f"op.execute({body!r})")
    assert own_shell.run("db", "upgrade").code == 0


JOBS = """
class Guid(sa.TypeDecorator):
    impl = sa.CHAR
    cache_ok = True
    def load_dialect_impl(self, dialect):
        return dialect.type_descriptor(sa.UUID() if dialect.name == "postgresql" else sa.CHAR(32))

class Document(sa.TypeDecorator):
    impl = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
    cache_ok = True

class Outer(sa.TypeDecorator):
    impl = Guid
    cache_ok = True

class Words(sa.TypeDecorator):
    impl = sa.String(20)
    cache_ok = True

class Point(sa.types.UserDefinedType):
    cache_ok = True
    def get_col_spec(self):
        return "TEXT"

sa.Table("job", metadata, sa.Column("id", sa.Integer, primary_key=True), {column})
"""


@pytest.mark.parametrize(
    "column_type",
    [
        "sa.Interval()",
        "Guid()",
        "Outer()",
        "Document()",
        "Words()",
        'Words().with_variant(sa.Text(), "postgresql")',
        "Point()",
        "sa.Enum('a', 'b', name='kind')",
        "UtcDateTime()",
    ],
)
def test_a_generated_migration_creates_the_type_of_the_model(
    own_shell: Shell, generate: Generate, column_type: str
) -> None:
    """On this database: no second migration is needed."""
    models = JOBS.format(column=f'sa.Column("value", {column_type})')
    generate(models)
    assert own_shell.run("db", "upgrade").err == ""
    assert generate(models).out == "The tables are those of the models.\n"


@pytest.mark.parametrize("column_type", ["sa.ARRAY(Guid)", "postgresql.JSONB()", "Lists()"])
@pytest.mark.dialect(pytest.param("postgresql", marks=pytest.mark.postgres))
def test_a_generated_migration_creates_a_type_of_postgresql(
    own_shell: Shell, generate: Generate, column_type: str
) -> None:
    """No second migration is needed."""
    lists = (
        "\nclass Lists(sa.TypeDecorator):\n    impl = sa.ARRAY(sa.Integer)\n    cache_ok = True\n"
    )
    models = lists + JOBS.format(column=f'sa.Column("value", {column_type})')
    generate(models)
    assert own_shell.run("db", "upgrade").err == ""
    assert generate(models).out == "The tables are those of the models.\n"


def test_a_generated_migration_has_the_types_of_both_databases(
    generate: Generate, project: Path
) -> None:
    """It is generated on one and run on both."""
    generate(JOBS.format(column='sa.Column("value", Guid())'))
    (file,) = (project / "migrations").glob("*.py")
    words = "sa.CHAR(length=32).with_variant(sa.UUID(), 'postgresql')"
    assert words in file.read_text()


@pytest.mark.parametrize(
    "column_type",
    ["postgresql.JSONB()", "postgresql.ARRAY(sa.Text)", "postgresql.INET()"],
)
def test_a_type_of_postgresql_may_be_a_variant(
    own_shell: Shell, generate: Generate, column_type: str
) -> None:
    """The migration runs on both databases."""
    variant = f'sa.JSON().with_variant({column_type}, "postgresql")'
    generate(JOBS.format(column=f'sa.Column("value", {variant})'))
    done = own_shell.run("db", "upgrade")
    assert done.err == ""


def test_a_foreign_key_to_a_table_of_the_layer_is_rejected(generate: Generate) -> None:
    """One line names both tables (R-24)."""
    column = 'sa.Column("owner", sa.ForeignKey("itemsapi_user.id"))'
    done = generate(f'sa.Table("parcel", metadata, {column})')
    words = "the table `parcel` refers to the table `itemsapi_user` of itemsapi; store the id"
    assert (done.code, words in done.err) == (1, True)


def test_a_foreign_key_to_no_table_is_rejected(generate: Generate) -> None:
    """One line names both tables (R-24)."""
    done = generate('sa.Table("parcel", metadata, sa.Column("box", sa.ForeignKey("box.id")))')
    assert "the table `parcel` refers to the table `box`, which no model" in done.err


@pytest.mark.parametrize("name", ["ITEMSAPI_parcel", "Alembic_Version"])
def test_reserved_names_are_rejected_in_any_case(generate: Generate, name: str) -> None:
    """SQLite ignores the case of names (R-24)."""
    done = generate(f'sa.Table("{name}", metadata, sa.Column("id", sa.Integer))')
    assert f"the table `{name}` belongs to itemsapi" in done.err


def test_an_unknown_down_revision_is_reported_in_one_line(
    own_shell: Shell, project: Path, recwarn: pytest.WarningsRecorder
) -> None:
    """It names the revision (R-24)."""
    write_revision(project, "one", "pass", after="nope")
    done = own_shell.run("db", "upgrade")
    assert (done.code, done.err.count("\n"), len(recwarn)) == (1, 1, 0)
    assert "migrations: Revision nope referenced from nope -> one (head)" in done.err


def test_a_warning_of_a_migration_itself_is_no_error(own_shell: Shell, project: Path) -> None:
    """A module that it imports may warn."""
    write_revision(project, "one", "pass")
    file = project / "migrations" / "one.py"
    file.write_text(f"import warnings\nwarnings.warn('old', stacklevel=1)\n{file.read_text()}")
    with pytest.warns(UserWarning, match="old"):
        assert own_shell.run("db", "upgrade").code == 0


def test_two_files_with_one_revision_are_reported(own_shell: Shell, project: Path) -> None:
    """One line names the revision (R-24)."""
    write_revision(project, "one", "pass")
    (project / "migrations" / "two.py").write_bytes((project / "migrations/one.py").read_bytes())
    assert (
        "migrations: Revision one is present more than once" in own_shell.run("db", "upgrade").err
    )


def test_a_revision_that_is_too_long_is_reported(own_shell: Shell, project: Path) -> None:
    """Alembic's version table has 32 characters for it (R-24)."""
    write_revision(project, "o" * 33, "pass")
    assert "has more than 32 characters" in own_shell.run("db", "upgrade").err


@pytest.mark.parametrize("words", [("downgrade", "base", "--yes"), ("upgrade", "head")])
def test_nothing_is_changed_without_the_folder(
    own_shell: Shell, database_url: str, words: tuple[str, ...]
) -> None:
    """The folder is read before (R-24)."""
    db.downgrade(database := Database(database_url), "base", of="items")
    database.dispose()
    assert own_shell.run("db", *words).code == 1
    assert execute(database_url, "SELECT version_num FROM itemsapi_item_version") == []


def test_check_warns_of_older_tables_and_names_the_upgrade(own_shell: Shell, project: Path) -> None:
    """So it may stand before the upgrade in the commands of a start (R-24)."""
    write_revision(project, "one", "pass")
    done = own_shell.run("check")
    assert (done.code, done.out.splitlines()[-1]) == (0, "Next: `itemsapi db upgrade`.")


@pytest.mark.parametrize("words", [("downgrade", "base", "--blueprints", "--yes"), ("upgrade",)])
def test_a_folder_without_the_current_revision_is_reported(
    own_shell: Shell, project: Path, words: tuple[str, ...]
) -> None:
    """Most likely the files were not deployed (R-24)."""
    write_revision(project, "one", "pass")
    own_shell.run("db", "upgrade")
    (project / "migrations" / "one.py").unlink()
    done = own_shell.run("db", *words)
    assert (done.code, "one, which is not in migrations" in done.err) == (1, True)


@pytest.mark.parametrize("words", [("downgrade", "", "--yes"), ("upgrade", " ")])
def test_an_empty_revision_is_rejected(shell: Shell, words: tuple[str, ...]) -> None:
    """The error names the argument (R-24)."""
    assert "REVISION" in shell.run("db", *words).err


def test_a_migration_that_is_no_file_is_reported(own_shell: Shell, project: Path) -> None:
    """A link may lead nowhere (R-24)."""
    (project / "migrations").mkdir()
    (project / "migrations" / "one.py").symlink_to("nowhere")
    done = own_shell.run("db", "upgrade")
    assert (done.code, "migrations/one.py is not a file" in done.err) == (1, True)


def test_a_message_that_is_not_utf_8_is_rejected(own_shell: Shell, project: Path) -> None:
    """Nothing is written (R-24)."""
    done = own_shell.run("db", "revision", "--empty", "-m", "gr\udcfcn")
    assert (done.code, done.err) == (1, "itemsapi: the message is not UTF-8\n")
    assert list((project / "migrations").iterdir()) == []


TWIN = "sa.Column('twin', sa.Enum('a', 'b', name='kind'))"
KIND = "sa.Enum('a', 'b', name='kind')"


@pytest.mark.parametrize("tables", [("job",), ("job", "task")])
def test_tables_with_an_enum_are_created_again_after_a_downgrade(
    own_shell: Shell, generate: Generate, tables: tuple[str, ...]
) -> None:
    """PostgreSQL keeps the type of a table that is dropped."""
    column = f'sa.Column("kind", {KIND})'
    generate("\n".join(f'sa.Table("{name}", metadata, {column})' for name in tables))
    own_shell.run("db", "upgrade")
    assert own_shell.run("db", "downgrade", "base", "--blueprints", "--yes").err == ""
    assert own_shell.run("db", "upgrade").err == ""


def test_a_type_that_another_table_uses_is_kept_by_a_downgrade(
    own_shell: Shell, generate: Generate
) -> None:
    """PostgreSQL would reject to drop it."""
    table = (
        f'sa.Table("{{name}}", metadata, sa.Column("id", sa.Integer), sa.Column("kind", {KIND}))'
    )
    generate(table.format(name="job").replace(f', sa.Column("kind", {KIND})', ""))
    own_shell.run("db", "upgrade")
    generate(table.format(name="job"))
    own_shell.run("db", "upgrade")
    generate(f"{table.format(name='job')}\nmetadata.tables['job'].append_column({TWIN})")
    assert own_shell.run("db", "upgrade").err == ""
    assert own_shell.run("db", "downgrade", "--blueprints", "--yes", "--", "-1").err == ""


def test_a_column_with_an_enum_is_added(own_shell: Shell, generate: Generate) -> None:
    """And once more after a downgrade."""
    table = 'sa.Table("job", metadata, sa.Column("id", sa.Integer){more})'
    generate(table.format(more=""))
    own_shell.run("db", "upgrade")
    generate(table.format(more=f', sa.Column("kind", {KIND})'))
    own_shell.run("db", "upgrade")
    assert own_shell.run("db", "downgrade", "--blueprints", "--yes", "--", "-1").err == ""
    assert own_shell.run("db", "upgrade").err == ""
