"""The database URL: an invalid one is rejected with one line."""

from pathlib import Path

import pytest

from itemsapi.db.postgres_connections import connection_parameters
from itemsapi.db.url import parse_database_url
from itemsapi.settings import Settings, SettingsError

PASSWORD = "hunter2"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("nonsense", "is not a database URL"),
        ("mysql://u:hunter2@h/x", "must begin with"),
        ("postgresql+asyncpg://u:hunter2@h/x", "driver asyncpg; write postgresql://"),
        ("postgresql+psycopg2://u:hunter2@h/x", "driver psycopg2; write postgresql://"),
        ("postgres+psycopg2://u:hunter2@h/x", "driver psycopg2; write postgresql://"),
        ("sqlite+aiosqlite:///x.db", "driver aiosqlite; write sqlite:///"),
        ("oracle+psycopg2://u:hunter2@h/x", "must begin with"),
        ("postgresql://u:hunter2@h:port/x", "is not a database URL"),
        ("postgresql://u:hunter2@h:0/x", "port"),
        ("postgresql://u:hunter2@h:65536/x", "port"),
        ("postgresql://u:hunter2@h/x?searchpath=y", "'searchpath'"),
        ("postgresql://u:hunter2@h/x?autocommit=1", "'autocommit'"),
        ("postgresql://u:hunter2@h/x?plugin=y", "'plugin'"),
        ("postgresql://u:hunter2@h/x?connect_timeout=soon", "connect_timeout"),
        ("postgresql://u:hunter2%00@h/x", "NUL"),
        ("sqlite:///a%00b", "NUL"),
        ("sqlite:///a\0b", "NUL"),
        ("sqlite://", "names no file"),
        ("sqlite:///", "names no file"),
        ("sqlite:/// ", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("sqlite:///file::memory:?cache=shared&uri=true", "names no file"),
        ("sqlite:///file:x?mode=memory&uri=true", "names no file"),
        ("sqlite:///x.db?mode=memory", "parameters"),
        ("sqlite:///x.db?foo=bar", "parameters"),
        ("sqlite:///x.db?plugin=y", "parameters"),
        ("sqlite://x.db", "slashes"),
        ("sqlite://ada@/x.db", "slashes"),
        ("sqlite://folder/x.db", "slashes"),
    ],
)
def test_an_invalid_database_url_is_rejected(url: str, message: str) -> None:
    """R-24, R-34; with a database in memory every thread would have its own."""
    with pytest.raises(
        SettingsError, match=rf"\AITEMSAPI_DATABASE_URL [^\n]*{message}[^\n]*\Z"
    ) as no:
        parse_database_url(url)
    assert PASSWORD not in str(no.value)


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:///x.db",
        "sqlite:////srv/x.db",
        "postgres://u@h/x",
        "postgresql+psycopg://u@h/x",
        "postgresql://u:p@[::1]:5432/x?sslmode=require&target_session_attrs=read-write",
        "postgresql://u@/x?host=a:5432&host=b:5433",
        "postgresql:///x?service=shop&options=-csearch_path%3Dshop",
    ],
)
def test_a_valid_database_url_is_accepted(url: str) -> None:
    """With the parameters of libpq."""
    assert parse_database_url(url).drivername in {"sqlite", "postgresql+psycopg"}


@pytest.mark.parametrize("name", ["50%41 off", "what?really=yes", "電球 #1"])
def test_the_data_directory_may_have_any_name(name: str) -> None:
    """It becomes part of a URL, in which some characters have a meaning."""
    settings = Settings(data_dir=Path("/srv") / name)
    assert parse_database_url(settings.database_url).database == f"/srv/{name}/itemsapi.db"


def libpq_parameters(url: str) -> dict[str, object]:
    """Return the parameters that libpq gets besides the URL."""
    return connection_parameters(parse_database_url(url))


def test_required_options_come_after_those_of_the_url() -> None:
    """R-34: the last one counts; timeouts may be overridden, date formats may not."""
    options = str(libpq_parameters("postgresql:///x?options=-cstatement_timeout%3D9s")["options"])
    ours, theirs = options.index("statement_timeout=2000"), options.index("statement_timeout=9s")
    assert ours < theirs < options.index("datestyle=ISO")


@pytest.mark.parametrize("name", ["connect_timeout", "tcp_user_timeout", "application_name"])
def test_parameters_of_the_url_are_not_overridden(name: str) -> None:
    """R-34: SQLAlchemy would prefer ours."""
    assert name in libpq_parameters("postgresql:///x")
    assert name not in libpq_parameters(f"postgresql:///x?{name}=7")


def test_the_client_encoding_is_always_utf8() -> None:
    """R-34: names and items have text in every language."""
    assert libpq_parameters("postgresql:///x?client_encoding=latin1")["client_encoding"] == "UTF8"
