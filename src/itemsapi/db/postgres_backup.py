"""Backups of PostgreSQL by its own programs: `pg_dump`, `pg_restore` and `psql`.

A dump has the schema in which our tables are, with all tables in it, in pg_dump's own format.
"""

import os
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from psycopg.conninfo import make_conninfo
from sqlalchemy import Connection, Engine

from itemsapi.command_line import command_line
from itemsapi.db.backup_file import BackupFailed, BeginTask, Origin, ReportSteps, new_file
from itemsapi.db.ownership import TABLES, VERSION_TABLE, relation_names, target_schema

Load = Callable[[bytes], object]  # sends statements to psql

CHUNK_BYTES = 1 << 20
# A line of the table of contents: the rows of a table.
_ROWS = re.compile(r"\d+; \d+ \d+ TABLE DATA (?P<schema>\S+) (?P<name>\S+) ")
_FAULT = re.compile(r"(?:error|detail|fatal):\s*(.+)", re.IGNORECASE)  # of any of the programs
_DUMPING = "dumping contents of table"  # in a line of `pg_dump --verbose`
# Parameters of libpq that have no variable: programs would get them where every user can read them.
_SHOWN_SECRETS = frozenset({"sslpassword", "oauth_client_secret"})


@dataclass(frozen=True, slots=True)
class Server:
    """How the programs reach a database: by libpq's connection string, and the password apart."""

    conninfo: str
    environment: Mapping[str, str]
    schema: str
    tables: frozenset[str]

    @classmethod
    def of(cls, connection: Connection) -> "Server":
        """Return it for the database of a connection.

        Raise `BackupFailed` without a schema, or if every user of the machine would see a secret.
        """
        engine = connection.engine
        _, parameters = engine.dialect.create_connect_args(engine.url)
        kept = {name: parameters[name] for name in parameters.keys() & _url_parameters(engine)}
        _require_no_shown_secret(kept)
        password = kept.pop("password", None)
        schema, tables = target_schema(connection), relation_names(connection)
        if schema is None:
            words = "the search_path names no schema that this role may use"
            advice = "write ?options=-csearch_path=NAME into ITEMSAPI_DATABASE_URL"
            raise BackupFailed(f"{words}; {advice}")
        environment = os.environ | ({"PGPASSWORD": password} if password else {})
        return cls(make_conninfo(**kept), environment, schema, frozenset(tables))

    @property
    def dump_options(self) -> list[str]:
        """The options of pg_dump, without the file; it takes an unquoted schema for a pattern."""
        return ["--format=custom", f"--schema={_quoted(self.schema)}", f"--dbname={self.conninfo}"]

    @property
    def script_options(self) -> list[str]:
        """The options of pg_restore: replace what is in our schema, but not the schema itself."""
        return ["--clean", "--if-exists", "--no-owner", f"--schema={self.schema}"]

    @property
    def load_options(self) -> list[str]:
        """The options of psql, which ends at the first error."""
        options = ["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1"]
        return [*options, f"--dbname={self.conninfo}", "--file=-"]


def _require_no_shown_secret(parameters: Mapping[str, object]) -> None:
    for name in sorted(parameters.keys() & _SHOWN_SECRETS):
        words = f"{name} would be in the list of processes, where every user can read it"
        advice = "write it into a service file of PostgreSQL, and ?service=NAME"
        raise BackupFailed(f"{words}; {advice} into ITEMSAPI_DATABASE_URL")


def _url_parameters(engine: Engine) -> set[str]:
    return {"host", "port", "dbname", "user", "password", *engine.url.query}


def back_up(server: Server, file: Path, begin: BeginTask) -> int:
    """Dump our schema into a new file, and read all of it again; return the number of tables.

    Raise `BackupFailed`, also for a file that exists, and `OSError` for one that cannot be written.
    """
    line = shlex.join(["pg_dump", *server.dump_options, f"--file={file}"])
    program = _find("pg_dump", line)
    with new_file(file) as part:
        command = [program, *server.dump_options, "--verbose", f"--file={part}"]
        advance = begin("Dumping tables", len(server.tables))
        for line in _run(command, server.environment):
            advance(_DUMPING in line)
        return _check(part, begin)


def restore(server: Server, file: Path, statements: Sequence[str], begin: BeginTask) -> None:
    """Load a dump in place of its tables and ours, then run `statements`, in one transaction.

    Raise `BackupFailed`; then nothing was changed.
    """
    contents = _read(["--list", str(file)])
    _require_schema(server, contents)
    with _loading(server) as load:
        load(f"BEGIN;\n{_drop_tables(server)}".encode())
        with _reading(file, server.script_options) as script:
            _load_script(script, load, begin("Restoring tables", len(_tables(contents))))
        last = [_search_path(server), *statements, "COMMIT"]
        load("".join(f"{one};\n" for one in last).encode())


def require_programs(server: Server, file: Path) -> None:
    """Raise `BackupFailed`, with the commands to run elsewhere, without the programs to restore."""
    options = [*server.script_options, "--single-transaction", f"--dbname={server.conninfo}"]
    line = shlex.join(["pg_restore", *options, str(file)])
    for program in ("pg_restore", "psql"):
        _find(program, f"{line}, and then {command_line('db after-restore')}")


def read_origin(file: Path) -> Origin:
    """Return whose tables are in a dump. Raise `BackupFailed` if it cannot be read."""
    return Origin(_first_row(file, VERSION_TABLE, 0), _first_row(file, "itemsapi_user_set", 1))


def _first_row(file: Path, table: str, column: int) -> str | None:
    """Return a column of the first row that a dump has of a table."""
    script = iter(_read(["--data-only", f"--table={table}", "--file=-", str(file)]))
    for line in script:
        if line.startswith("COPY "):
            row = next(script)
            return None if row == r"\." else row.split("\t")[column]
    return None


def _check(file: Path, begin: BeginTask) -> int:
    """Read all of a dump; return its number of tables. Raise `BackupFailed` without ours."""
    tables, advance = _tables(_read(["--list", str(file)])), begin("Checking", 1)
    if VERSION_TABLE not in tables:
        words = f"the dump has no tables of itemsapi; run {command_line('db upgrade')} first"
        raise BackupFailed(words)
    _read(["--file=/dev/null", str(file)])
    advance(1)
    return len(tables)


def _tables(contents: Iterable[str]) -> dict[str, str]:
    """Return the schema of each table that has data, by the name of the table."""
    entries = filter(None, map(_ROWS.match, contents))
    return {entry["name"]: entry["schema"] for entry in entries}


def _require_schema(server: Server, contents: Iterable[str]) -> None:
    schema = _tables(contents).get(VERSION_TABLE)
    if schema is None:
        words = "the dump has no tables of itemsapi; name a file of"
        raise BackupFailed(f"{words} {command_line('db backup')}")
    if schema != server.schema:
        words = f"the dump has the schema {schema}, and the search_path names {server.schema}"
        raise BackupFailed(f"{words}; write ?options=-csearch_path={schema} into the database URL")


def _drop_tables(server: Server) -> str:
    """Return the statement that drops our tables, also those that the dump does not have."""
    names = sorted(f"{_quoted(server.schema)}.{_quoted(name)}" for name in server.tables & TABLES)
    return f"DROP TABLE {', '.join(names)} CASCADE;\n" if names else ""


def _search_path(server: Server) -> str:
    return f"SET search_path TO {_quoted(server.schema)}"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _load_script(script: IO[bytes], load: Load, advance: ReportSteps) -> None:
    while chunk := script.read(CHUNK_BYTES):
        load(chunk)
        advance(chunk.count(b"\nCOPY "))


@contextmanager
def _loading(server: Server) -> Iterator[Load]:
    """Yield a function that sends statements to psql; the block has to end with a COMMIT.

    psql rolls back at the end of its input. So nothing is changed if the block raises, and also if
    this process is killed in it. Raise `BackupFailed` with the first error of psql.
    """
    with tempfile.TemporaryFile("w+") as errors:
        with subprocess.Popen(  # noqa: S603 - PostgreSQL's own program
            [_find("psql"), *server.load_options],
            env=server.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=errors,
        ) as process:
            assert process.stdin is not None  # noqa: S101 - narrows the type
            with _sending(process, process.stdin) as load:
                yield load
        _require_success("psql", process.returncode, _lines_of(errors))


@contextmanager
def _sending(process: subprocess.Popen[bytes], stdin: IO[bytes]) -> Iterator[Load]:
    """Yield a function that sends bytes to a program, until it ends at an error of its own."""
    try:
        yield stdin.write
        stdin.flush()
    except BrokenPipeError:
        process.wait()
    except BaseException:
        process.kill()
        raise
    finally:
        with suppress(BrokenPipeError):  # what is left in the buffer cannot be sent
            stdin.close()


@contextmanager
def _reading(file: Path, options: Sequence[str]) -> Iterator[IO[bytes]]:
    """Yield the statements of a dump. Raise `BackupFailed` at the end if it cannot be read."""
    with tempfile.TemporaryFile("w+") as errors:
        command = [_find("pg_restore"), *options, "--file=-", str(file)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors) as process:  # noqa: S603 - as above
            assert process.stdout is not None  # noqa: S101 - narrows the type
            yield process.stdout
        _require_success("pg_restore", process.returncode, _lines_of(errors))


def _read(options: Sequence[str]) -> list[str]:
    """Return the output of pg_restore."""
    command = [_find("pg_restore"), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - as above
    _require_success("pg_restore", done.returncode, done.stderr.splitlines())
    return done.stdout.splitlines()


def _run(command: Sequence[str], environment: Mapping[str, str]) -> Iterator[str]:
    """Run a program; yield what it reports. Raise `BackupFailed` at the end if it failed."""
    lines = []
    with subprocess.Popen(  # noqa: S603 - as above
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None  # noqa: S101 - narrows the type
        try:
            for line in process.stderr:
                lines.append(line)
                yield line
        except BaseException:
            process.kill()
            raise
    _require_success("pg_dump", process.returncode, lines)


def _lines_of(errors: IO[str]) -> list[str]:
    errors.seek(0)
    return errors.read().splitlines()


def _require_success(program: str, code: int, lines: Sequence[str]) -> None:
    """Raise `BackupFailed` with the first error that a program wrote."""
    if code == 0:
        return
    faults = [match[1] for line in lines if (match := _FAULT.search(line))]
    words = "; ".join(faults[:2] or [line.strip() for line in lines[:1]])
    raise BackupFailed(f"{program} failed, and nothing was changed: {words or f'exit code {code}'}")


def _find(program: str, elsewhere: str = "") -> str:
    """Return the path of a program. Raise `BackupFailed`, with the command to run elsewhere."""
    path = shutil.which(program)
    if path is None:
        words = f"{program} is not installed; install the client of PostgreSQL"
        raise BackupFailed(f"{words}, or run this where it is: {elsewhere}" if elsewhere else words)
    return path
