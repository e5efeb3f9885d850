"""The address of the database: what leads nowhere is refused, in one line."""

from pathlib import Path

import pytest

from itemsapi.db.connections import connection_parameters
from itemsapi.db.url import parse_database_url
from itemsapi.settings import Settings, SettingsError

PASSWORD = "hunter2"


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("nonsense", "is not a database URL"),
        ("mysql://u:hunter2@h/x", "must begin with"),
        ("postgresql+asyncpg://u:hunter2@h/x", "must begin with"),
        ("sqlite+aiosqlite:///x.db", "must begin with"),
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
        ("sqlite://folder/x.db", "slashes"),
    ],
)
def test_an_address_that_leads_nowhere_is_named(url: str, words: str) -> None:
    """R-24, R-34; every thread would have a database in memory of its own."""
    with pytest.raises(
        SettingsError, match=rf"\AITEMSAPI_DATABASE_URL [^\n]*{words}[^\n]*\Z"
    ) as no:
        parse_database_url(url)
    assert PASSWORD not in str(no.value)


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:///x.db",
        "sqlite:////srv/x.db",
        "postgres://u@h/x",
        "postgresql://u:p@[::1]:5432/x?sslmode=require&target_session_attrs=read-write",
        "postgresql://u@/x?host=a:5432&host=b:5433",
        "postgresql:///x?service=shop&options=-csearch_path%3Dshop",
    ],
)
def test_an_address_that_may_lead_somewhere_is_taken(url: str) -> None:
    """The parameters of libpq with it."""
    assert parse_database_url(url).drivername in {"sqlite", "postgresql+psycopg"}


@pytest.mark.parametrize("name", ["50%41 off", "what?really=yes", "電球 #1"])
def test_the_data_directory_may_have_any_name(name: str) -> None:
    """It becomes part of an address, where some characters mean something else."""
    settings = Settings(data_dir=Path("/srv") / name)
    assert parse_database_url(settings.database_url).database == f"/srv/{name}/itemsapi.db"


def told(url: str) -> dict[str, object]:
    """Return what libpq is told beside an address."""
    return connection_parameters(parse_database_url(url))


def test_our_needs_come_after_what_the_address_says() -> None:
    """R-34: of two the last counts; limits are a matter of taste, dates are not."""
    options = str(told("postgresql:///x?options=-cstatement_timeout%3D9s")["options"])
    ours, theirs = options.index("statement_timeout=2000"), options.index("statement_timeout=9s")
    assert ours < theirs < options.index("datestyle=ISO")


@pytest.mark.parametrize("name", ["connect_timeout", "tcp_user_timeout", "application_name"])
def test_what_the_address_says_is_not_said_again(name: str) -> None:
    """R-34: SQLAlchemy would put ours in its place."""
    assert name in told("postgresql:///x")
    assert name not in told(f"postgresql:///x?{name}=7")


def test_text_is_sent_in_utf8_whatever_the_address_says() -> None:
    """R-34: names and items hold every language."""
    assert told("postgresql:///x?client_encoding=latin1")["client_encoding"] == "UTF8"
