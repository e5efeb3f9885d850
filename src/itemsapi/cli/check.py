"""`itemsapi check`: are settings, database, schema, keys and clock sound? Changes nothing."""

import dataclasses
import difflib
import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import click
from sqlalchemy import func, select

from itemsapi.audit import AuditEvent
from itemsapi.cli.errors import in_words
from itemsapi.cli.settings_report import every_setting
from itemsapi.cli.terminal import json_option, say, say_json, show
from itemsapi.clock import now
from itemsapi.db import Database, check_schema, sqlite
from itemsapi.db.url import read_address
from itemsapi.problems import DatabaseUnavailable
from itemsapi.rate_limits import RequestRateLimiter
from itemsapi.rest.proxies import untold
from itemsapi.services import Services, build_services
from itemsapi.settings import (
    PREFIX,
    SECRET_FILE,
    Settings,
    SettingsError,
    exposed_secret,
    unknown_settings,
)

CLOCK_TOLERANCE_SECONDS = 5  # beyond it tokens of one host are early or late on another
_SHUT_OUT = re.compile(r"authentication failed|no password supplied|role \".*\" does not exist")
_LATEST = select(func.max(AuditEvent.core().c.at))

_MARKS = {"ok": "ok", "warning": "!", "fault": "FAULT"}

Mark = Literal["ok", "warning", "fault"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at, and what came of it."""

    mark: Mark
    about: str
    words: str

    def as_row(self) -> dict[str, str]:
        """Return it as JSON has it."""
        return dataclasses.asdict(self)


@click.command
@json_option
def command(*, as_json: bool) -> None:
    """Check the settings and what they lead to. Exits with 1 if something is at fault.

    Nothing is changed. Secrets are not shown.
    """
    settings, findings = examine(os.environ)
    rows = every_setting(settings, os.environ) if settings else []
    if as_json:
        found = [finding.as_row() for finding in findings]
        say_json({"settings": rows, "findings": found})
    else:
        show(rows, ["setting", "value", "source"], as_json=False)
        say("")
        for finding in findings:
            _say(finding)
    if any(finding.mark == "fault" for finding in findings):
        sys.exit(1)


def _say(finding: Finding) -> None:
    say(f"  {_MARKS[finding.mark]:6} {finding.about}: {finding.words}")


def examine(environ: Mapping[str, str]) -> tuple[Settings | None, list[Finding]]:
    """Look at everything; return the settings, if they can be read, and what was found."""
    findings = [_unknown(name) for name in unknown_settings(environ)]
    try:
        settings = _settings(environ)
        RequestRateLimiter(settings.rate_limit, settings.rate_limit_url)  # asks nobody
    except SettingsError as error:
        return None, [*findings, Finding("fault", "settings", str(error))]
    findings += [Finding("ok", "settings", "they fit together"), *_proxies(settings)]
    findings += _secret(settings, environ)
    return settings, [*findings, *_services(settings)]


def _settings(environ: Mapping[str, str]) -> Settings:
    """Read the settings without making a secret where there is none yet."""
    file = environ.get(f"{PREFIX}SECRET_KEY_FILE")
    place = Path(environ.get(f"{PREFIX}DATA_DIR", "").strip() or "itemsapi-data") / SECRET_FILE
    strict = environ.get(f"{PREFIX}PROFILE", "").strip() == "production"
    if f"{PREFIX}SECRET_KEY" in environ or file or place.exists() or strict:
        return Settings.from_environment(environ)
    stand_in = "nothing is signed or sealed with this stand-in"
    return Settings.from_environment({**environ, f"{PREFIX}SECRET_KEY": stand_in})


def _unknown(name: str) -> Finding:
    known = [PREFIX + field.name.upper() for field in dataclasses.fields(Settings)]
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean {close[0]}?" if close else ""
    return Finding("warning", "settings", f"{name} is no setting{hint}")


def _proxies(settings: Settings) -> Iterator[Finding]:
    if words := untold(settings):
        yield Finding("warning", "proxies", words)


def _secret(settings: Settings, environ: Mapping[str, str]) -> Iterator[Finding]:
    if f"{PREFIX}SECRET_KEY" in environ:
        yield Finding("ok", "secret key", "from the environment")
        return
    path = settings.secret_key_file or settings.data_dir / SECRET_FILE
    if not path.exists():
        yield Finding("warning", "secret key", f"will be made in {path} on first start")
    elif words := exposed_secret(settings):
        yield Finding("warning", "secret key", words)
    else:
        yield Finding("ok", "secret key", f"in {path}, for its owner alone")


def _services(settings: Settings) -> Iterator[Finding]:
    try:
        address = read_address(settings.database_url)
        if address.get_backend_name() == "sqlite" and not Path(address.database or "").exists():
            yield _absent(Path(address.database or ""), settings.data_dir)
            return
    except SettingsError as error:
        yield Finding("fault", "database", str(error))
        return
    services = build_services(settings, now, dict)
    try:
        check_schema(services.database)
        yield Finding("ok", "database", "answers, and the schema is up to date")
        yield from _modes(services.database)
        yield from _writable(services.database)
        yield from _contents(services)
    except SettingsError as error:
        yield Finding("fault", "secret key", str(error))
    except Exception as error:
        words = in_words(error)
        if words is None:
            raise
        if _SHUT_OUT.search(words):
            words = f"ITEMSAPI_DATABASE_URL names a user or password that it refuses: {words}"
            yield Finding("fault", "settings", words)
        else:
            yield Finding("fault", "database", words)
    finally:
        services.database.dispose()


def _absent(file: Path, data_dir: Path) -> Finding:
    """Tell what a file that is not there means: `serve` makes it, and the data directory alone."""
    folder = file.parent
    if not folder.is_dir() and folder != data_dir.absolute():
        return Finding("fault", "database", f"cannot be made: the folder {folder} is not there")
    if folder.is_dir() and not os.access(folder, os.W_OK):
        return Finding("fault", "database", f"cannot be made: {folder} may not be written")
    return Finding("warning", "database", "is not there yet; `itemsapi serve` makes it")


def _modes(database: Database) -> Iterator[Finding]:
    """Tell which files of an SQLite database others may read: it holds everybody's data."""
    if database.dialect != "sqlite":
        return
    for file in sqlite.beside(Path(database.engine.url.database or "")):
        if file.stat().st_mode & 0o077:
            words = f"others may read {file}; run chmod 600 {file}"
            yield Finding("warning", "database", words)


def _writable(database: Database) -> Iterator[Finding]:
    try:
        database.demand_writable()
    except DatabaseUnavailable:
        yield Finding("fault", "database", "takes no changes now: a standby, or read-only")


def _contents(services: Services) -> Iterator[Finding]:
    services.key_set.key_store.check()
    yield Finding("ok", "signing keys", "open with the secret key")
    if services.users.nobody():
        words = "nobody can sign in yet; run `itemsapi users add NAME --role admin`"
        yield Finding("warning", "users", words)
    yield from _clock(services.database)


def _clock(database: Database) -> Iterator[Finding]:
    """Compare this host's clock with the database's, and with the latest event written down."""
    with database.reading() as connection:
        latest = connection.scalar(_LATEST)
    here, tolerance = now(), timedelta(seconds=CLOCK_TOLERANCE_SECONDS)
    if clock_is_off(database):
        words = f"differs from the database's by more than {CLOCK_TOLERANCE_SECONDS} s"
        yield Finding("warning", "clock", words)
    elif latest is not None and latest - here > tolerance:
        yield Finding("warning", "clock", f"is behind the latest event, {latest.isoformat()}")
    else:
        yield Finding("ok", "clock", "agrees with the database")


def clock_is_off(database: Database) -> bool:
    """Tell whether this host's clock and the database's are too far apart to judge what is old."""
    with database.reading() as connection:
        there = connection.execute(select(func.now())).scalar_one()
    return abs(_aware(there) - now()) > timedelta(seconds=CLOCK_TOLERANCE_SECONDS)


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
