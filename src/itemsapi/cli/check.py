"""`itemsapi check`: check settings, database, schema, keys and clock without changing anything."""

import os
import re
import sys
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click
from sqlalchemy import func, select

from itemsapi.audit import AuditEvent
from itemsapi.cli.context import host_application
from itemsapi.cli.errors import error_line
from itemsapi.cli.findings import Finding, next_step
from itemsapi.cli.host_clock import CLOCK_TOLERANCE_SECONDS, clock_is_off
from itemsapi.cli.secret import describe_previous_secret_use, next_step_of_previous_secret
from itemsapi.cli.settings_report import rows_of_set, settings_rows
from itemsapi.cli.terminal import json_option, print_json, print_lines, print_table
from itemsapi.clock import now
from itemsapi.command_line import command_line
from itemsapi.composition import Services, build_services
from itemsapi.db import Database, UpgradeNeeded, check_schema, sqlite
from itemsapi.db.ownership import has_other_tables, missing_tables
from itemsapi.db.url import parse_database_url
from itemsapi.issuer.secret_rotation import previous_secret_use
from itemsapi.private_files import mode_warning
from itemsapi.problems import DatabaseUnavailable
from itemsapi.rate_limits import RequestRateLimiter
from itemsapi.secret_key import exposure_warning, is_kept_in
from itemsapi.settings import (
    ENV_PREFIX,
    Settings,
    SettingsError,
    find_unknown_settings,
    not_a_setting,
)
from itemsapi.uncounted_proxies import uncounted_proxies_warning

if TYPE_CHECKING:
    from flask import Flask

_LOGIN_REJECTED = re.compile(
    r"authentication failed|no password supplied|role \".*\" does not exist"
)
_LATEST_EVENT = select(func.max(AuditEvent.core().c.at))

_LABELS = {"ok": "ok", "warning": "!", "fault": "FAULT"}


@click.command
@click.option("--all", "with_defaults", is_flag=True, help="Show the settings with defaults too.")
@json_option
def command(*, with_defaults: bool, as_json: bool) -> None:
    """Check the settings and what depends on them. Exits with 1 if there is a fault.

    Shows the settings that are not left at their defaults, what is found, and what to do next.
    Nothing is changed, and secrets are not shown. JSON has all settings.
    """
    host = host_application()
    settings, findings = check_host(host) if host else check_environment(os.environ)
    rows = settings_rows(settings, os.environ) if settings else []
    step = next_step(findings, is_host=host is not None)
    if as_json:
        found = [finding.as_row() for finding in findings]
        print_json({"settings": rows, "findings": found, "next": step})
    else:
        if shown := rows if with_defaults else rows_of_set(rows):
            print_table(shown, ["setting", "value", "source"], as_json=False)
            print_lines("")
        for finding in findings:
            _print_finding(finding)
        print_lines("", f"Next: {step}.")
    if any(finding.severity == "fault" for finding in findings):
        sys.exit(1)


def _print_finding(finding: Finding) -> None:
    print_lines(f"  {_LABELS[finding.severity]:6} {finding.subject}: {finding.message}")


def check_environment(environ: Mapping[str, str]) -> tuple[Settings | None, list[Finding]]:
    """Run all checks; return the settings, if they can be read, and the findings."""
    findings = [_unknown_setting(name) for name in find_unknown_settings(environ)]
    try:
        settings = Settings.from_environment(environ)
        RequestRateLimiter(settings.rate_limit, settings.rate_limit_url)  # does not connect
    except SettingsError as error:
        fault = Finding("fault", "settings", str(error))
        return None, [*(found for found in findings if found.message != fault.message), fault]
    findings += [Finding("ok", "settings", "valid"), *_check_proxies(settings)]
    findings += _check_secret_key(settings, environ)
    return settings, [*findings, *_check_services(settings)]


def check_host(app: "Flask") -> tuple[Settings, list[Finding]]:
    """Run all checks on the application of `--app`; return its settings and the findings."""
    from itemsapi.cli.host_checks import check_application  # noqa: PLC0415 - it imports Flask
    from itemsapi.services import services_of  # noqa: PLC0415 - as above

    services = services_of(app)
    settings = services.settings
    findings = [_unknown_setting(name) for name in find_unknown_settings(os.environ)]
    findings += [*_check_proxies(settings), *_check_secret_key(settings, os.environ)]
    findings += check_application(app, services)
    return settings, [*findings, *_check_services(settings, services)]


def _unknown_setting(name: str) -> Finding:
    return Finding("warning", "settings", f"{name} {not_a_setting(name)}")


def _check_proxies(settings: Settings) -> Iterator[Finding]:
    if words := uncounted_proxies_warning(settings):
        yield Finding("warning", "proxies", words)


def _check_secret_key(settings: Settings, environ: Mapping[str, str]) -> Iterator[Finding]:
    path = settings.secret_file
    if words := exposure_warning(settings):
        yield Finding("warning", "secret key", words)
    elif f"{ENV_PREFIX}SECRET_KEY" in environ:
        yield Finding("ok", "secret key", "from the environment")
    elif not settings.secret_key:
        yield Finding("warning", "secret key", f"will be created in {path} on first start")
    elif is_kept_in(path, settings.secret_key):
        yield Finding("ok", "secret key", f"in {path}, readable by its owner only")
    else:
        yield Finding("ok", "secret key", "from the application")


def _check_services(settings: Settings, services: Services | None = None) -> Iterator[Finding]:
    is_host = services is not None
    creator = command_line("db upgrade" if is_host else "serve")
    try:
        address = parse_database_url(settings.database_url)
        if address.get_backend_name() == "sqlite" and not Path(address.database or "").exists():
            yield _missing_database(Path(address.database or ""), settings.data_dir, creator)
            return
    except SettingsError as error:
        yield Finding("fault", "database", str(error))
        return
    services = services or build_services(settings, now)
    try:
        yield from _check_database(services, is_host=is_host)
    except Exception as error:  # noqa: BLE001 - an unexpected one is raised again
        yield _finding_of(error)
    finally:
        services.database.dispose()


def _check_database(services: Services, *, is_host: bool) -> Iterator[Finding]:
    check_schema(services.database)
    yield _check_tables(services.database)
    yield from _check_private_files(services.database, is_host=is_host)
    yield from _check_writable(services.database)
    yield from _check_contents(services)


def _finding_of(error: Exception) -> Finding:
    """Return the finding for an error that an operator can fix; raise any other one."""
    if isinstance(error, UpgradeNeeded):
        step = command_line("db upgrade")
        return Finding("warning", "database", f"reachable; {error}", step)
    if isinstance(error, SettingsError):
        return Finding("fault", "secret key", str(error))
    words = error_line(error)
    if words is None:
        raise error
    if _LOGIN_REJECTED.search(words):
        words = f"the database rejects the user or password in ITEMSAPI_DATABASE_URL: {words}"
        return Finding("fault", "settings", words)
    return Finding("fault", "database", words)


def _missing_database(file: Path, data_dir: Path, creator: str) -> Finding:
    """Report a missing SQLite file: `creator` makes it and the data directory, no other folder."""
    folder = file.parent
    if not folder.is_dir() and folder != data_dir.absolute():
        words = f"cannot be created: the folder {folder} does not exist"
        advice = "create it, or correct ITEMSAPI_DATABASE_URL"
        return Finding("fault", "database", f"{words}; {advice}")
    if folder.is_dir() and not os.access(folder, os.W_OK):
        words = f"cannot be created: {folder} is not writable; give it to the user of the service"
        return Finding("fault", "database", words)
    return Finding("warning", "database", f"does not exist yet; {creator} creates it", creator)


def _check_tables(database: Database) -> Finding:
    """Report tables that somebody dropped; migrations do not create them again."""
    with database.reading() as connection:
        missing = missing_tables(connection)
    if missing:
        words = f"the tables {', '.join(missing)} were dropped; restore a backup"
        return Finding("fault", "database", words)
    return Finding("ok", "database", "reachable, and the schema is up to date")


def _check_private_files(database: Database, *, is_host: bool) -> Iterator[Finding]:
    """Report SQLite files that other users may read: they hold all data.

    A file with tables of an application is the application's, which decides who may read it.
    """
    if database.dialect != "sqlite":
        return
    with database.reading() as connection:
        if is_host and has_other_tables(connection):
            return
    files = sqlite.database_files(Path(database.engine.url.database or ""))
    if words := mode_warning(*files):
        yield Finding("warning", "database", words)


def _check_writable(database: Database) -> Iterator[Finding]:
    try:
        database.require_writable()
    except DatabaseUnavailable:
        yield Finding("fault", "database", "does not accept writes: it is a standby, or read-only")


def _check_contents(services: Services) -> Iterator[Finding]:
    has_keys = services.key_set.key_store.check_signing_key()
    readable, made = "can be decrypted with the secret key", "will be created at the first start"
    yield Finding("ok", "signing keys", readable if has_keys else made)
    yield from _check_previous_secret(services)
    if services.has_layer_users and services.users.is_empty():
        add = command_line("users add NAME --role admin")
        yield Finding("warning", "users", f"no user exists yet; run {add}", add)
    yield from _check_clock(services.database)


def _check_previous_secret(services: Services) -> Iterator[Finding]:
    """Report what still needs the previous secret, or that it may go."""
    if not services.settings.secret_key_previous:
        return
    use = previous_secret_use(services.issuer, services.key_set.key_store)
    is_waiting = bool(use.sessions) and not use.keys
    words = describe_previous_secret_use(use)
    if is_waiting:
        yield Finding("ok", "previous secret", words)
    else:
        step = next_step_of_previous_secret(use)
        yield Finding("warning", "previous secret", words, step)


def _check_clock(database: Database) -> Iterator[Finding]:
    """Compare this host's clock with the database's and with the latest audit event."""
    with database.reading() as connection:
        latest = connection.scalar(_LATEST_EVENT)
    here, tolerance = now(), timedelta(seconds=CLOCK_TOLERANCE_SECONDS)
    if clock_is_off(database):
        words = f"differs from the database's by more than {CLOCK_TOLERANCE_SECONDS} s"
        yield Finding("warning", "clock", words)
    elif latest is not None and latest - here > tolerance:
        yield Finding("warning", "clock", f"is behind the latest event, {latest.isoformat()}")
    else:
        yield Finding("ok", "clock", "agrees with the database")
