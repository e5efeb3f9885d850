"""Unusual defaults of server, database and role: correct results, or a one-line error (R-34)."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import make_url, text

from itemsapi.clock import new_id
from itemsapi.db import Database
from support.app_factory import Backend
from support.command_line import shell_at
from support.free_port import free_port
from support.pooler import running_pooler
from support.postgres_database import execute, url_of
from support.smoke import expected_result, run_smoke_test

pytestmark = [  # SQLite has no such defaults
    pytest.mark.postgres,
    pytest.mark.dialect("postgresql"),
]

UNUSUAL_DEFAULTS = {
    "datestyle": "German, DMY",
    "timezone": "Asia/Tokyo",
    "client_encoding": "LATIN1",
    "default_transaction_isolation": "serializable",
    "default_transaction_deferrable": "on",
    "standard_conforming_strings": "off",
    "bytea_output": "escape",
    "intervalstyle": "sql_standard",
    "extra_float_digits": "-15",
    "statement_timeout": "1",
}


@pytest.fixture
def create_database(new_postgres: Callable[[], str]) -> Callable[..., str]:
    """Create databases with unusual defaults."""

    def make(**defaults: str) -> str:
        url = new_postgres()
        name = make_url(url).database
        for setting, value in defaults.items():
            execute(url, f"ALTER DATABASE {name} SET {setting} = '{value}'")
        return url

    return make


@pytest.mark.parametrize("setting", UNUSUAL_DEFAULTS)
def test_responses_are_correct_with_an_unusual_default(
    setting: str, create_database: Callable[..., str], make_backend: Callable[..., Backend]
) -> None:
    """R-34: sign-in, refresh, texts and times."""
    backend = make_backend(database_url=create_database(**{setting: UNUSUAL_DEFAULTS[setting]}))
    assert run_smoke_test(backend) == expected_result(backend)


@pytest.mark.slow
def test_responses_are_correct_with_all_defaults_behind_a_pooler(
    create_database: Callable[..., str], make_backend: Callable[..., Backend]
) -> None:
    """R-33, R-34: no startup parameter can be sent there; the role sets the timeout."""
    url = create_database(
        **{name: value for name, value in UNUSUAL_DEFAULTS.items() if name != "statement_timeout"}
    )
    with running_pooler(url, "transaction") as pooled_url:
        backend = make_backend(database_url=pooled_url)
        assert run_smoke_test(backend) == expected_result(backend)


def test_responses_are_correct_with_libpq_variables(
    new_postgres: Callable[[], str],
    make_backend: Callable[..., Backend],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """R-34: PGCLIENTENCODING and similar variables are meant for psql."""
    for name, value in {"PGCLIENTENCODING": "LATIN1", "PGDATESTYLE": "German"}.items():
        monkeypatch.setenv(name, value)
    backend = make_backend(database_url=new_postgres())
    assert run_smoke_test(backend) == expected_result(backend)


def test_every_transaction_sets_its_isolation_level(create_database: Callable[..., str]) -> None:
    """R-34: the rotation rules are proved for READ COMMITTED."""
    database = Database(create_database(default_transaction_isolation="serializable"))
    level = text("SHOW transaction_isolation")
    with database.reading() as connection:
        read_level = connection.scalar(level)
    with database.transaction() as tx:
        write_level = tx.scalar(level)
    database.dispose()
    assert (read_level, write_level) == ("read committed", "read committed")


@pytest.fixture
def schema_url(postgres_server: str) -> Iterator[str]:
    """The URL of an empty database with a schema `shop`."""
    name = f"schema_{new_id()[-12:]}"
    execute(postgres_server, f"CREATE DATABASE {name}")
    url = url_of(postgres_server, name)
    execute(url, "CREATE SCHEMA shop")
    yield url
    execute(postgres_server, f"DROP DATABASE {name} WITH (FORCE)")


def with_options(url: str, options: str) -> str:
    """Return a URL with options for the server."""
    address = make_url(url).update_query_dict({"options": options})
    return address.render_as_string(hide_password=False)


def schemas(url: str) -> set[str]:
    """Return the schemas that contain our tables."""
    database = Database(url)
    query = text(
        "SELECT schemaname FROM pg_tables"
        " WHERE tablename IN ('itemsapi_role', 'itemsapi_alembic_version')"
    )
    with database.reading() as connection:
        schema_names = set(connection.scalars(query))
    database.dispose()
    return schema_names


def test_tables_are_created_in_the_schema_of_the_url(schema_url: str, tmp_path: Path) -> None:
    """R-34: `?options=` is kept with our own options."""
    url = with_options(schema_url, "-csearch_path=shop")
    assert shell_at(tmp_path, database_url=url).run("db", "upgrade").code == 0
    assert schemas(url) == {"shop"}


def test_tables_are_created_in_the_schema_of_pgoptions(
    schema_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R-34: PGOPTIONS applies if the URL has no options."""
    monkeypatch.setenv("PGOPTIONS", "-csearch_path=shop")
    assert shell_at(tmp_path, database_url=schema_url).run("db", "upgrade").code == 0
    assert schemas(schema_url) == {"shop"}


def test_parameters_of_the_url_are_kept(schema_url: str) -> None:
    """R-34: other libpq parameters too."""
    url = make_url(with_options(schema_url, "-cstatement_timeout=7s"))
    database = Database(
        url.update_query_dict({"application_name": "shop"}).render_as_string(hide_password=False)
    )
    query = "SELECT current_setting('statement_timeout'), current_setting('application_name')"
    with database.reading() as connection:
        found = tuple(connection.execute(text(query)).one())
    database.dispose()
    assert found == ("7s", "shop")


def test_a_missing_schema_is_a_one_line_error(schema_url: str, tmp_path: Path) -> None:
    """R-34: the error names the command to run."""
    shell = shell_at(tmp_path, database_url=with_options(schema_url, "-csearch_path=nowhere"))
    done = shell.run("db", "upgrade")
    assert (done.code, done.err.count("\n"), "CREATE SCHEMA" in done.err) == (1, 1, True), done


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
@pytest.mark.parametrize("command", ["db upgrade", "check", "serve --port"])
def test_a_database_without_utf8_is_a_one_line_error(
    encoding: str, command: str, postgres_server: str, tmp_path: Path
) -> None:
    """R-34: text would be lost in it."""
    name = f"other_{new_id()[-12:]}"
    how = f"TEMPLATE template0 ENCODING '{encoding}' LOCALE 'C'"
    execute(postgres_server, f"CREATE DATABASE {name} {how}")
    words = [*command.split(), *([str(free_port())] if "--port" in command else [])]
    done = shell_at(tmp_path, database_url=url_of(postgres_server, name)).run(*words)
    execute(postgres_server, f"DROP DATABASE {name} WITH (FORCE)")
    lines = [line for line in (done.out + done.err).splitlines() if encoding in line]
    assert (done.code, len(lines), "needs UTF8" in "".join(lines)) == (1, 1, True), done
