"""The database URL: parse it, and reject an invalid one with one line."""

import re
from urllib.parse import unquote

from sqlalchemy import URL, exc, make_url

from itemsapi.extras import extra
from itemsapi.settings import SettingsError

DRIVERS = {"sqlite", "postgresql+psycopg"}
VALID_PORTS = range(1, 65536)
_NAME = "ITEMSAPI_DATABASE_URL"
# SQLAlchemy 2.0 leaves the name of the database as it is written in the URL, 2.1 decodes it.
_NAME_IS_DECODED = make_url("sqlite:///%25").database == "%"


def parse_database_url(url: str) -> URL:
    """Parse a database URL. Raise `SettingsError`, without the URL: it may contain a password."""
    try:
        parsed_url = make_url(url)
    except (exc.ArgumentError, ValueError):
        raise SettingsError(f"{_NAME} is not a database URL") from None
    if not _NAME_IS_DECODED and parsed_url.database:
        parsed_url = parsed_url.set(database=unquote(parsed_url.database))
    if parsed_url.drivername in {"postgres", "postgresql"}:
        parsed_url = parsed_url.set(drivername="postgresql+psycopg")
    _require_driver(parsed_url.drivername)
    if "\0" in unquote(url):
        raise SettingsError(f"{_NAME} contains a NUL character")
    (_require_file if parsed_url.drivername == "sqlite" else _require_known_parameters)(parsed_url)
    return parsed_url


def _require_driver(name: str) -> None:
    """Require the drivers of the layer: an application may use others for its own connections."""
    if name in DRIVERS:
        return
    database, _, driver = name.partition("+")
    if database in {"postgres", "postgresql"}:
        fault = f"names the driver {driver}; write postgresql://..., itemsapi connects by psycopg 3"
    elif database == "sqlite":
        fault = f"names the driver {driver}; write sqlite:///path"
    else:
        fault = "must begin with sqlite:/// or postgresql://"
    raise SettingsError(f"{_NAME} {fault}")


def _require_file(url: URL) -> None:
    """Require the path of a file: in memory each connection would have its own database."""
    path = (url.database or "").strip()
    if url.host or url.username or url.port:
        raise SettingsError(f"{_NAME} has too few slashes; write sqlite:///path or sqlite:////path")
    if not path or path == ":memory:" or path.startswith("file:"):
        raise SettingsError(f"{_NAME} names no file; write sqlite:///path")
    if url.query:
        raise SettingsError(f"{_NAME} has parameters after `?`, and SQLite has none here")


def _require_known_parameters(url: URL) -> None:
    """Require a valid port, and parameters that libpq knows (`ExtraMissing` without psycopg)."""
    with extra("postgres", f"{_NAME}=postgresql://"):
        from psycopg import ProgrammingError  # noqa: PLC0415 - an extra
        from psycopg.conninfo import make_conninfo  # noqa: PLC0415
    if url.port is not None and url.port not in VALID_PORTS:
        raise SettingsError(f"{_NAME} has an invalid port; it must be between 1 and 65535")
    for name, value in url.query.items():
        text = value if isinstance(value, str) else value[0]
        if name == "connect_timeout" and not re.fullmatch("[0-9]{1,9}", text):
            raise SettingsError(
                f"{_NAME} has an invalid connect_timeout; write a number of seconds"
            )
        try:
            make_conninfo(**{name: text})
        except ProgrammingError:
            fault = f"has the parameter {name!r}, which PostgreSQL's client does not know"
            raise SettingsError(f"{_NAME} {fault}") from None
