"""Sets of migrations: those of the layer, of the Items API, and of the blueprints.

The blueprints have theirs in the folder `ITEMSAPI_MIGRATIONS`. All sets run on one database, each
as an Alembic environment with a version table of its own, not as branches of one. So the layer can
be upgraded without the other sets, no id of a revision conflicts with one of another set,
and no command for one set changes a table of another. The version table of an application that
shares the database, `alembic_version`, is none of ours.
"""

import re
import traceback
import warnings
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, MetaData, event

from itemsapi.command_line import command_line
from itemsapi.db.engine import Database
from itemsapi.db.ownership import (
    BLUEPRINT_VERSION_TABLE,
    ITEM_TABLES,
    ITEM_VERSION_TABLE,
    LAYER_TABLES,
    VERSION_TABLE,
    target_schema,
)
from itemsapi.db.revision_files import ITEM_FOLDER, LAYER_FOLDER, environment
from itemsapi.db.schema_errors import MigrationFailed
from itemsapi.db.types import BlueprintModel, Model
from itemsapi.observability.logging import summarize_error

MAX_ID_LENGTH = 32  # of the column in Alembic's version table

# Strings and comments, within which no statement begins.
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"|(\$\w*\$).*?\1|--[^\n]*|/\*.*?\*/", re.DOTALL)
# A later END ends the body of a trigger or function, not the transaction.
_TRANSACTION_END = re.compile(
    r"^[\s;]*END\b|(?:^|;)\s*(?:COMMIT|ABORT|ROLLBACK(?!(\s+(WORK|TRANSACTION))?\s+TO))\b",
    re.IGNORECASE,
)


class TransactionEnded(RuntimeError):
    """A migration tries to commit or roll back the transaction, which other migrations share."""


@dataclass(frozen=True, slots=True)
class Migrations:
    """A folder of Alembic revisions, and the version table that records which of them ran.

    `tables` are the names of our tables that they create, without the version table. `subject` says
    in a message which tables they are, with the verb.
    """

    folder: Path
    version_table: str
    metadata: MetaData
    tables: frozenset[str] = frozenset()
    subject: str = "the tables of the blueprints are"

    def config(self, connection: Connection | None = None) -> Config:
        """Return the configuration for Alembic's commands, which run on `connection`."""
        config = Config(cmd_opts=Namespace(quiet=True))
        config.set_main_option("script_location", _quote(environment()))
        config.set_main_option("version_locations", _quote(self.folder.absolute()))
        config.set_main_option("path_separator", "newline")
        config.attributes["connection"] = connection
        config.attributes["version_table"] = self.version_table
        config.attributes["metadata"] = self.metadata
        return config

    def current(self, connection: Connection) -> str | None:
        """Return the revision of the tables in the database; None if none ran."""
        options = {
            "version_table": self.version_table,
            "version_table_schema": target_schema(connection),  # search_path may find another table
        }
        return MigrationContext.configure(connection, opts=options).get_current_revision()

    def newest(self) -> str | None:
        """Return the newest revision of the folder; None if it has none.

        Raise `MigrationFailed` if there are several, or no folder, or a file cannot be read.
        """
        if not self.folder.is_dir():
            words = f"ITEMSAPI_MIGRATIONS is not a folder: {self.folder}"
            raise MigrationFailed(f"{words}; {command_line('db revision -m TEXT')} creates it")
        for file in self.folder.glob("*.py"):
            if not file.is_file():  # Alembic would ignore it
                raise MigrationFailed(f"{file} is not a file")
        with self.explained():
            heads = self._read().get_heads()
        if len(heads) > 1:
            words = f"{self.folder} has {len(heads)} newest revisions, {' and '.join(heads)}"
            raise MigrationFailed(f"{words}; write one of them into the down_revision of the other")
        return heads[0] if heads else None

    def _read(self) -> ScriptDirectory:
        """Read all files; what Alembic only warns of is an error."""
        scripts = ScriptDirectory.from_config(self.config())
        with warnings.catch_warnings():
            warnings.filterwarnings("error", category=UserWarning, module=r"alembic\.")
            for script in scripts.walk_revisions():
                if len(script.revision) > MAX_ID_LENGTH:
                    words = (
                        f"the revision {script.revision} has more than {MAX_ID_LENGTH} characters"
                    )
                    raise MigrationFailed(words)
        return scripts

    def known(self) -> frozenset[str]:
        """Return the ids of all revisions of the folder."""
        return frozenset(script.revision for script in self._read().walk_revisions())

    def undoes_all(self, current: str | None, revision: str) -> bool:
        """Return whether a downgrade from `current` to `revision` (`base`, `-2`) undoes all."""
        ran = self._read().walk_revisions(head=current) if current else ()
        return revision == "base" or revision == f"-{len([*ran])}"

    def run(
        self, command: Callable[[Config, str], None], connection: Connection, revision: str
    ) -> None:
        """Upgrade or downgrade to a revision by Alembic's `command`. Raise `MigrationFailed`."""
        with self.explained(), _transaction_kept(connection):
            command(self.config(connection), revision)

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Raise `MigrationFailed` for an error in a migration: one line instead of a traceback."""
        try:
            yield
        except (CommandError, MigrationFailed):
            raise
        except UserWarning as warning:
            raise MigrationFailed(f"{self.folder}: {warning}") from warning
        except Exception as error:
            raise MigrationFailed(f"{self._place(error)}: {summarize_error(error)}") from error

    def _place(self, error: BaseException) -> str:
        """Return the file and line of a migration at which an error occurred."""
        folder = self.folder.absolute()
        for frame in reversed(traceback.extract_tb(error.__traceback__)):
            if Path(frame.filename).parent == folder:
                return f"{Path(frame.filename).name}, line {frame.lineno}"
        return f"the migrations in {self.folder}"


@contextmanager
def _transaction_kept(connection: Connection) -> Iterator[None]:
    """Raise `TransactionEnded` before the block ends the transaction of the connection."""

    def reject(_connection: Connection) -> None:
        """Raise `TransactionEnded`."""
        raise TransactionEnded(
            "a migration must not commit or roll back; all run in one transaction"
        )

    def check(_connection: Connection, _cursor: object, statement: str, *_more: object) -> None:
        """Reject a statement that ends the transaction."""
        if _TRANSACTION_END.search(_QUOTED.sub(" ", statement)):
            reject(_connection)

    listeners: dict[str, Callable[..., None]] = {
        "commit": reject,
        "rollback": reject,
        "before_cursor_execute": check,
    }
    for name, listener in listeners.items():
        event.listen(connection, name, listener)
    try:
        yield
    finally:
        for name, listener in listeners.items():
            event.remove(connection, name, listener)


def layer_migrations() -> Migrations:
    """Return the migrations of the layer."""
    folder = environment() / LAYER_FOLDER
    return Migrations(folder, VERSION_TABLE, Model.metadata, LAYER_TABLES, "the database is")


def item_migrations() -> Migrations:
    """Return the migrations of the Items API; its tables refer to those of the layer."""
    folder, subject = environment() / ITEM_FOLDER, "the tables of the Items API are"
    return Migrations(folder, ITEM_VERSION_TABLE, Model.metadata, ITEM_TABLES, subject)


def own_migrations(database: Database) -> list[Migrations]:
    """Return our migrations for a database, in the order in which they run."""
    return [layer_migrations(), *([item_migrations()] if database.items else [])]


def blueprint_migrations(
    database: Database, metadata: MetaData = BlueprintModel.metadata
) -> Migrations | None:
    """Return the migrations of the blueprints; None if `ITEMSAPI_MIGRATIONS` is not set."""
    if database.migrations is None:
        return None
    return Migrations(database.migrations, BLUEPRINT_VERSION_TABLE, metadata)


def _quote(path: Path) -> str:
    return str(path).replace("%", "%%")  # ConfigParser interpolates %(...)s
