"""The address of the database: read, and refused in one line where it cannot lead anywhere."""

import re
from urllib.parse import unquote

from psycopg import ProgrammingError
from psycopg.conninfo import make_conninfo
from sqlalchemy import URL, exc, make_url

from itemsapi.settings import SettingsError

DRIVERS = {"sqlite", "postgresql+psycopg"}
VALID_PORTS = range(1, 65536)
_NAME = "ITEMSAPI_DATABASE_URL"


def parse_database_url(url: str) -> URL:
    """Read the address of a database. Raises `SettingsError`, which does not repeat it."""
    try:
        address = make_url(url)
    except (exc.ArgumentError, ValueError):
        raise SettingsError(f"{_NAME} is no address of a database") from None
    if address.drivername in {"postgres", "postgresql"}:
        address = address.set(drivername="postgresql+psycopg")
    if address.drivername not in DRIVERS:
        raise SettingsError(f"{_NAME} must begin with sqlite:/// or postgresql://")
    if "\0" in unquote(url):
        raise SettingsError(f"{_NAME} holds a NUL character")
    (_demand_file if address.drivername == "sqlite" else _demand_known)(address)
    return address


def _demand_file(address: URL) -> None:
    """Take the path of a file and nothing else: in memory each connection has its own database."""
    path = (address.database or "").strip()
    if address.host or address.username or address.port:
        raise SettingsError(f"{_NAME} has too few slashes; write sqlite:///path or sqlite:////path")
    if not path or path == ":memory:" or path.startswith("file:"):
        raise SettingsError(f"{_NAME} names no file; write sqlite:///path")
    if address.query:
        raise SettingsError(f"{_NAME} has parameters after `?`, and SQLite has none here")


def _demand_known(address: URL) -> None:
    """Take the parameters that libpq knows."""
    if address.port is not None and address.port not in VALID_PORTS:
        raise SettingsError(f"{_NAME} has a port that is none; it is between 1 and 65535")
    for name, value in address.query.items():
        one = value if isinstance(value, str) else value[0]
        if name == "connect_timeout" and not re.fullmatch("[0-9]{1,9}", one):
            raise SettingsError(f"{_NAME} has a connect_timeout that is no number of seconds")
        try:
            make_conninfo(**{name: one})
        except ProgrammingError:
            words = f"has the parameter {name!r}, which PostgreSQL's client does not know"
            raise SettingsError(f"{_NAME} {words}") from None
