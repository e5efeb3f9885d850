"""`itemsapi db` with the tables of blueprints: migrations of their own beside the layer's."""

import itertools
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import MetaData, inspect

from itemsapi.cli.first_start import prepare
from itemsapi.clock import now
from itemsapi.composition import build_services
from itemsapi.db import BlueprintModel, Database, revisions
from itemsapi.db.schema_probe import SchemaProbe
from itemsapi.problems import DatabaseUnavailable
from itemsapi.settings import Settings
from support.command_line import SECRET, CommandResult, Shell

MODELS = """\
import sqlalchemy as sa
from itemsapi.db import UtcDateTime

metadata = sa.MetaData()
{tables}
"""
PARCEL = 'sa.Table("parcel", metadata, sa.Column("id", sa.Integer, primary_key=True){more})'
WEIGHT = ', sa.Column("weight", sa.Integer)'
SHOP = """\
import sqlalchemy as sa
from itemsapi import Blueprint, BlueprintModel

blueprint = Blueprint("shop", __name__)
sa.Table("shelf", BlueprintModel.metadata, sa.Column("id", sa.Integer, primary_key=True))
"""
NUMBERS = itertools.count()

Generate = Callable[..., CommandResult]


@pytest.fixture
def generate(own_shell: Shell, project: Path) -> Generate:
    """Generate a migration for the tables of a new module; Python keeps modules it imported."""

    def run(tables: str, *options: str) -> CommandResult:
        module = f"models_{next(NUMBERS)}"
        (project / f"{module}.py").write_text(MODELS.format(tables=tables))
        source = f"{module}:metadata"
        return own_shell.run("db", "revision", "-m", "change", "--metadata", source, *options)

    return run


@pytest.fixture
def upgraded_shell(own_shell: Shell, generate: Generate) -> Shell:
    """A shell for a database with the table `parcel`."""
    assert generate(PARCEL.format(more="")).code == 0
    assert own_shell.run("db", "upgrade").code == 0
    return own_shell


def written(project: Path) -> list[Path]:
    """Return the migrations of the project."""
    return sorted((project / "migrations").glob("*.py"))


def write_revision(project: Path, name: str, *, after: str | None = None, body: str) -> None:
    """Write a migration by hand."""
    folder = project / "migrations"
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.py").write_text(
        f"from alembic import op\n\nrevision = {name!r}\ndown_revision = {after!r}\n\n"
        f"def upgrade():\n    {body}\n\ndef downgrade():\n    pass\n"
    )


def columns(database_url: str, table: str) -> list[str]:
    """Return the columns of a table; none if there is no such table."""
    database = Database(database_url)
    inspector = inspect(database.engine)
    found = inspector.get_columns(table) if inspector.has_table(table) else []
    database.dispose()
    return [column["name"] for column in found]


def faults(shell: Shell) -> list[dict[str, str]]:
    """Return the faults that `itemsapi check` finds."""
    found = shell.run("check", "--json").json["findings"]
    return [finding for finding in found if finding["severity"] == "fault"]


def test_a_generated_migration_creates_the_table(upgraded_shell: Shell, database_url: str) -> None:
    """From the model to the table with two commands."""
    assert columns(database_url, "parcel") == ["id"]


def test_a_generated_migration_contains_only_tables_of_the_models(
    generate: Generate, project: Path
) -> None:
    """The tables of the layer are in the same database and do not appear."""
    assert generate(PARCEL.format(more="")).out.startswith("Wrote migrations")
    assert set(re.findall(r"_table\(\s*'(\w+)'", written(project)[0].read_text())) == {"parcel"}


def test_the_next_migration_has_the_difference(
    upgraded_shell: Shell, generate: Generate, database_url: str
) -> None:
    """A new column of the model is added."""
    generate(PARCEL.format(more=WEIGHT))
    assert upgraded_shell.run("db", "upgrade").code == 0
    assert columns(database_url, "parcel") == ["id", "weight"]


def test_no_migration_is_written_without_a_change(
    upgraded_shell: Shell, generate: Generate, project: Path
) -> None:
    """The command says so."""
    assert generate(PARCEL.format(more="")).out == "The tables are those of the models.\n"
    assert len(written(project)) == 1


def test_an_empty_migration_is_written_on_request(
    upgraded_shell: Shell, generate: Generate, project: Path
) -> None:
    """For changes of data, or of what Alembic does not see."""
    assert generate("", "--empty").code == 0
    assert len(written(project)) == 2


def test_a_table_without_a_model_is_not_dropped(
    upgraded_shell: Shell, generate: Generate, project: Path
) -> None:
    """It may belong to another application in the same schema."""
    generate(PARCEL.format(more="").replace("parcel", "letter"))
    assert "parcel" not in "".join(
        file.read_text() for file in written(project) if "letter" in file.read_text()
    )


def test_a_migration_imports_no_type_of_itemsapi(generate: Generate, project: Path) -> None:
    """A time is written as a column type of SQLAlchemy, which no later version renames."""
    generate(PARCEL.format(more=', sa.Column("sent_at", UtcDateTime)'))
    assert "sa.Column('sent_at', sa.DateTime(timezone=True)" in written(project)[0].read_text()


def test_a_message_with_quotes_makes_a_valid_migration(own_shell: Shell, project: Path) -> None:
    """The message becomes the docstring of the file."""
    own_shell.run("db", "revision", "--empty", "-m", 'say """ and \\ and\nmore')
    (file,) = written(project)
    compile(file.read_text(), "migration", "exec")
    assert "more" in file.name


def test_the_check_fails_until_the_migrations_ran(own_shell: Shell, generate: Generate) -> None:
    """One line says what to do (R-24)."""
    generate(PARCEL.format(more=""))
    done = own_shell.run("db", "check")
    assert (done.code, done.err.count("\n")) == (1, 1)
    assert "the tables of the blueprints are at revision base" in done.err


def test_a_service_is_not_ready_until_the_migrations_ran(
    own_shell: Shell, generate: Generate, database_url: str, project: Path
) -> None:
    """R-21: those of the blueprints too; afterwards it is."""
    generate(PARCEL.format(more=""))
    database = Database(database_url, migrations=project / "migrations")
    with pytest.raises(DatabaseUnavailable) as raised:
        SchemaProbe(database).require_usable()
    own_shell.run("db", "upgrade")
    SchemaProbe(database).require_usable()
    database.dispose()
    assert "the tables of the blueprints are at revision base" in raised.value.cause


def test_the_check_passes_after_the_upgrade(upgraded_shell: Shell) -> None:
    """All tables have the newest revision."""
    assert upgraded_shell.run("db", "check").code == 0


def test_a_second_migration_waits_for_the_first(
    own_shell: Shell, generate: Generate, project: Path
) -> None:
    """Otherwise it would create the same table again."""
    generate(PARCEL.format(more=""))
    assert "run `itemsapi db upgrade`" in generate(PARCEL.format(more=WEIGHT)).err
    assert len(written(project)) == 1


def test_current_shows_both_revisions(upgraded_shell: Shell, project: Path) -> None:
    """For people and, with `--json`, for programs."""
    revision = written(project)[0].name.split("_")[0]
    assert f"The blueprints are at revision {revision}," in upgraded_shell.run("db", "current").out
    found = upgraded_shell.run("db", "current", "--json").json["blueprints"]
    assert found == {"current": revision, "newest": revision}


def test_the_first_start_runs_all_migrations(project: Path) -> None:
    """`itemsapi serve` in an empty folder creates the tables of the blueprints too."""
    write_revision(project, "one", body="pass")
    settings = Settings(data_dir=project / "data", secret_key=SECRET, migrations=Path("migrations"))
    services = build_services(settings, now)
    prepare(services)
    assert revisions(services.database, "blueprints") == ("one", "one")
    services.database.dispose()


def test_a_downgrade_of_the_blueprints_keeps_the_layer(
    upgraded_shell: Shell, database_url: str
) -> None:
    """Only their tables are dropped."""
    upgraded_shell.run("db", "downgrade", "base", "--blueprints", "--yes")
    assert columns(database_url, "parcel") == []
    assert upgraded_shell.run("db", "current", "--json").json["current"] == "0001"


def test_a_downgrade_of_the_layer_keeps_the_blueprints(
    upgraded_shell: Shell, database_url: str
) -> None:
    """Their table and its revision stay."""
    upgraded_shell.run("db", "downgrade", "base", "--yes")
    assert columns(database_url, "parcel") == ["id"]
    assert columns(database_url, "itemsapi_user") == []


def test_an_upgrade_of_the_blueprints_stops_at_a_revision(
    upgraded_shell: Shell, project: Path
) -> None:
    """As the layer's own upgrade does."""
    first = written(project)[0].name.split("_")[0]
    write_revision(project, "later", after=first, body="pass")
    upgraded_shell.run("db", "upgrade", first, "--blueprints")
    found = upgraded_shell.run("db", "current", "--json").json["blueprints"]
    assert found == {"current": first, "newest": "later"}


def test_the_layer_is_upgraded_without_the_folder(upgraded_shell: Shell, shell: Shell) -> None:
    """A process without the setting finds nothing that it does not know."""
    assert shell.run("db", "upgrade").code == 0
    assert shell.run("db", "check").code == 0


def test_a_revision_may_have_the_id_of_one_of_the_layer(own_shell: Shell, project: Path) -> None:
    """The version tables differ."""
    write_revision(project, "0001", body="pass")
    done = own_shell.run("db", "upgrade")
    assert done.out.splitlines()[2:] == ["The blueprints are at revision 0001."]


def test_a_failing_migration_changes_nothing(
    own_shell: Shell, project: Path, database_url: str
) -> None:
    """All migrations of an upgrade are one transaction; the error names file and line (R-24)."""
    write_revision(project, "one", body="op.execute('CREATE TABLE parcel (id INTEGER)')")
    write_revision(project, "two", after="one", body="op.nothing()")
    assert "itemsapi: two.py, line 7: AttributeError" in own_shell.run("db", "upgrade").err
    assert columns(database_url, "parcel") == []


def test_a_file_that_is_no_python_is_reported_in_one_line(own_shell: Shell, project: Path) -> None:
    """It names the file (R-24)."""
    write_revision(project, "one", body="(")
    done = own_shell.run("db", "check")
    assert (done.code, done.err.count("\n")) == (1, 1)
    assert "one.py" in done.err


def test_two_newest_revisions_are_reported(own_shell: Shell, project: Path) -> None:
    """Two branches of a repository added one each (R-24)."""
    write_revision(project, "one", body="pass")
    write_revision(project, "two", body="pass")
    assert "has 2 newest revisions, one and two; write one" in own_shell.run("db", "upgrade").err


def test_a_database_newer_than_the_folder_is_reported(upgraded_shell: Shell, project: Path) -> None:
    """The files of an older release were deployed (R-24)."""
    written(project)[0].unlink()
    assert (
        "which is not in migrations; use its newest files" in upgraded_shell.run("db", "check").err
    )


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        (PARCEL.replace("parcel", "itemsapi_parcel").format(more=""), "belongs to itemsapi"),
        (PARCEL.replace("parcel", "alembic_version").format(more=""), "belongs to itemsapi"),
        (PARCEL.format(more=', schema="mail"'), "the table `mail.parcel` names a schema"),
        ("", "no model is found; derive it from itemsapi.BlueprintModel, and name its blueprint"),
    ],
    ids=["prefix", "alembic", "schema", "none"],
)
def test_tables_that_cannot_be_migrated_are_rejected(
    generate: Generate, project: Path, tables: str, message: str
) -> None:
    """One line names the table, and nothing is written (R-24)."""
    done = generate(tables)
    assert (done.code, message in done.err) == (1, True)
    assert not written(project)


@pytest.mark.parametrize(
    "words",
    [
        ("revision", "-m", "change", "--empty"),
        ("upgrade", "--blueprints"),
        ("downgrade", "base", "--blueprints", "--yes"),
    ],
    ids=lambda words: words[0],
)
def test_commands_for_blueprints_need_the_setting(shell: Shell, words: tuple[str, ...]) -> None:
    """The error names it (R-24)."""
    done = shell.run("db", *words)
    assert (done.code, done.err.count("\n")) == (1, 1)
    assert "ITEMSAPI_MIGRATIONS is missing; set it to" in done.err
    assert "ITEMSAPI_MIGRATIONS=migrations" in done.err


def test_a_missing_folder_is_reported(own_shell: Shell) -> None:
    """Most likely the command runs in another directory (R-24)."""
    assert "ITEMSAPI_MIGRATIONS is not a folder: migrations" in own_shell.run("db", "upgrade").err


def test_the_report_names_tables_that_are_behind(
    own_shell: Shell, generate: Generate, project: Path
) -> None:
    """`itemsapi check` finds what `db check` does (R-24)."""
    own_shell.run("users", "add", "root", "--role", "admin")
    generate(PARCEL.format(more=""))
    found = own_shell.run("check", "--json").json["findings"]
    (behind,) = [each for each in found if "blueprints are at revision base" in each["message"]]
    assert (behind["subject"], behind["severity"]) == ("database", "warning")


def test_the_report_names_a_missing_folder(own_shell: Shell) -> None:
    """As a fault of the database, not of the secret key."""
    (fault,) = faults(own_shell)
    assert fault["subject"] == "database"
    assert fault["message"].startswith("ITEMSAPI_MIGRATIONS is not a folder: migrations;")


def test_a_folder_that_cannot_be_created_is_reported(own_shell: Shell, project: Path) -> None:
    """A file has its name (R-24)."""
    (project / "migrations").touch()
    done = own_shell.run("db", "revision", "--empty", "-m", "change")
    assert "ITEMSAPI_MIGRATIONS cannot be created: migrations (File exists)" in done.err


@pytest.mark.parametrize("name", ["json", "json:", ":loads"])
def test_a_metadata_without_a_name_is_reported(own_shell: Shell, name: str) -> None:
    """The error says how it is written (R-24)."""
    done = own_shell.run("db", "revision", "-m", "change", "--metadata", name)
    words = f"itemsapi: --metadata: {name!r} names no object; write it as MODULE:NAME\n"
    assert (done.code, done.err) == (1, words)


@pytest.mark.parametrize("name", ["json:loads", "json:nothing", "no_such_module:metadata"])
def test_a_metadata_that_is_none_is_reported(own_shell: Shell, name: str) -> None:
    """The error names the option and the value (R-24)."""
    done = own_shell.run("db", "revision", "-m", "change", "--metadata", name)
    assert (done.code, done.err.count("\n")) == (1, 1)
    assert done.err.startswith(f"itemsapi: --metadata: {'cannot import ' * ('loads' not in name)}")


def test_the_check_finds_a_model_without_a_migration(
    own_shell: Shell, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise each request that uses the column would fail (R-24)."""
    (project / "shop.py").write_text(SHOP)
    monkeypatch.delitem(sys.modules, "shop", raising=False)  # imported on another database
    shell = own_shell.with_settings(blueprints="shop:blueprint")
    monkeypatch.setattr(BlueprintModel, "metadata", MetaData())
    (project / "migrations").mkdir()
    assert shell.run("db", "upgrade").code == 0
    checked = shell.run("db", "check")
    words = (
        "the tables differ from the models of your blueprints; run `itemsapi db revision -m TEXT`"
    )
    assert (checked.code, checked.err) == (1, f"itemsapi: {words}\n")
