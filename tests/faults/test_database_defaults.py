"""Odd defaults of server, database and role: right answers, or one line at the start (R-34)."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import make_url, text

from itemsapi.clock import new_id
from itemsapi.db import Database
from support.app_factory import Backend
from support.command_line import free_port, shell_at
from support.pooler import running_pooler
from support.postgres_database import execute, url_of
from support.smoke import expected_result, run_smoke_test

pytestmark = pytest.mark.postgres

ODD = {
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
def dialect() -> str:
    """SQLite has no defaults of its own."""
    return "postgresql"


@pytest.fixture
def odd(new_postgres: Callable[[], str]) -> Callable[..., str]:
    """Make databases with such defaults."""

    def make(**defaults: str) -> str:
        url = new_postgres()
        name = make_url(url).database
        for setting, value in defaults.items():
            execute(url, f"ALTER DATABASE {name} SET {setting} = '{value}'")
        return url

    return make


@pytest.mark.parametrize("setting", ODD)
def test_answers_are_right_with_an_odd_default(
    setting: str, odd: Callable[..., str], make_backend: Callable[..., Backend]
) -> None:
    """R-34: signing in, refreshing, words and times."""
    backend = make_backend(database_url=odd(**{setting: ODD[setting]}))
    assert run_smoke_test(backend) == expected_result(backend)


@pytest.mark.slow
def test_answers_are_right_with_all_of_them_behind_a_pooler(
    odd: Callable[..., str], make_backend: Callable[..., Backend]
) -> None:
    """R-33, R-34: there nothing can be said at the start; a limit is left to the role."""
    url = odd(**{name: value for name, value in ODD.items() if name != "statement_timeout"})
    with running_pooler(url, "transaction") as there:
        backend = make_backend(database_url=there)
        assert run_smoke_test(backend) == expected_result(backend)


def test_answers_are_right_whatever_libpq_is_told_outside(
    new_postgres: Callable[[], str],
    make_backend: Callable[..., Backend],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """R-34: PGCLIENTENCODING and its like are for psql."""
    for name, value in {"PGCLIENTENCODING": "LATIN1", "PGDATESTYLE": "German"}.items():
        monkeypatch.setenv(name, value)
    backend = make_backend(database_url=new_postgres())
    assert run_smoke_test(backend) == expected_result(backend)


def test_every_transaction_says_its_isolation_level(odd: Callable[..., str]) -> None:
    """R-34: the rules of rotation are proved for READ COMMITTED."""
    database = Database(odd(default_transaction_isolation="serializable"))
    level = text("SHOW transaction_isolation")
    with database.reading() as connection:
        looked = connection.scalar(level)
    with database.transaction() as tx:
        written = tx.scalar(level)
    database.dispose()
    assert (looked, written) == ("read committed", "read committed")


@pytest.fixture
def schema(postgres_server: str) -> Iterator[str]:
    """The address of an empty database with a schema `shop`."""
    name = f"schema_{new_id()[-12:]}"
    execute(postgres_server, f"CREATE DATABASE {name}")
    url = url_of(postgres_server, name)
    execute(url, "CREATE SCHEMA shop")
    yield url
    execute(postgres_server, f"DROP DATABASE {name} WITH (FORCE)")


def with_options(url: str, options: str) -> str:
    """Return an address with options for the server."""
    address = make_url(url).update_query_dict({"options": options})
    return address.render_as_string(hide_password=False)


def schemas(url: str) -> set[str]:
    """Return where our tables are."""
    database = Database(url)
    asked = text("SELECT schemaname FROM pg_tables WHERE tablename IN ('role', 'alembic_version')")
    with database.reading() as connection:
        found = set(connection.scalars(asked))
    database.dispose()
    return found


def test_tables_land_where_the_address_says(schema: str, tmp_path: Path) -> None:
    """R-34: `?options=` is kept beside ours."""
    url = with_options(schema, "-csearch_path=shop")
    assert shell_at(tmp_path, database_url=url).run("db", "upgrade").code == 0
    assert schemas(url) == {"shop"}


def test_tables_land_where_libpq_is_told_outside(
    schema: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R-34: PGOPTIONS counts where the address says nothing."""
    monkeypatch.setenv("PGOPTIONS", "-csearch_path=shop")
    assert shell_at(tmp_path, database_url=schema).run("db", "upgrade").code == 0
    assert schemas(schema) == {"shop"}


def test_what_the_address_says_stands(schema: str) -> None:
    """R-34: other parameters of libpq, too."""
    url = make_url(with_options(schema, "-cstatement_timeout=7s"))
    database = Database(
        url.update_query_dict({"application_name": "shop"}).render_as_string(hide_password=False)
    )
    asked = "SELECT current_setting('statement_timeout'), current_setting('application_name')"
    with database.reading() as connection:
        found = tuple(connection.execute(text(asked)).one())
    database.dispose()
    assert found == ("7s", "shop")


def test_a_schema_that_is_not_there_is_one_line(schema: str, tmp_path: Path) -> None:
    """R-34: the line says what to run."""
    shell = shell_at(tmp_path, database_url=with_options(schema, "-csearch_path=nowhere"))
    done = shell.run("db", "upgrade")
    assert (done.code, done.err.count("\n"), "CREATE SCHEMA" in done.err) == (1, 1, True), done


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
@pytest.mark.parametrize("command", ["db upgrade", "check", "serve --port"])
def test_a_database_that_is_not_utf8_is_one_line(
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
