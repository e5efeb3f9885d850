"""The checks of `itemsapi check` that are about an application with the layer, of `--app`."""

import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path

from flask import Flask
from sqlalchemy import URL

from itemsapi.accounts.sql_users import SqlUsers
from itemsapi.cli.access import public_by_pattern, shown_entries
from itemsapi.cli.findings import Finding
from itemsapi.composition import Services
from itemsapi.extension import gate_of
from itemsapi.gate.wsgi_guard import mounted_applications
from itemsapi.issuer.user_source import ApplicationUsers
from itemsapi.observability.logging import summarize_error
from itemsapi.rest.slow_schemas import slow_response_schemas
from itemsapi.settings import ENV_PREFIX, Settings

DEFAULT_PUBLIC_URL = next(f.default for f in dataclasses.fields(Settings) if f.name == "public_url")
FLASK_SQLALCHEMY = "sqlalchemy"  # in `app.extensions`


def check_application(app: Flask, services: Services) -> Iterator[Finding]:
    """Run the checks that the Items API does not need."""
    yield from _check_public_url(app, services.settings)
    yield from _check_rules(app)
    yield from _check_mounts(app)
    yield from _check_schemas(app)
    yield from _check_users(app, services)
    yield from _check_same_file(app, services)


def _check_public_url(app: Flask, settings: Settings) -> Iterator[Finding]:
    """Report an address that nobody set: `flask run` has another port."""
    name = f"{ENV_PREFIX}PUBLIC_URL"
    if settings.public_url == DEFAULT_PUBLIC_URL and name not in {*os.environ, *app.config}:
        words = f"is {settings.public_url} by default; if browsers see another address, such as"
        reason = "only pages of that origin may use the cookie of the layer"
        yield Finding("warning", "public URL", f"{words} port 5000, set {name}: {reason}")


def _check_rules(app: Flask) -> Iterator[Finding]:
    rulebook = gate_of(app).seal(app)
    for fault in rulebook.faults:
        yield Finding("fault", "rules", fault)
    if not rulebook.faults:
        count = len(shown_entries(rulebook))
        yield Finding("ok", "rules", f"each of {count} routes and methods has one")
    for words in public_by_pattern(rulebook):
        yield Finding("warning", "rules", words)


def _check_schemas(app: Flask) -> Iterator[Finding]:
    """Report the responses that take longer than they need to, which is no fault."""
    matrix = gate_of(app).seal(app).matrix()
    views = [(f"{e.method} {e.path}", app.view_functions[e.endpoint], e.method) for e in matrix]
    for words in slow_response_schemas(views):
        yield Finding("ok", "responses", words)


def _check_users(app: Flask, services: Services) -> Iterator[Finding]:
    """Report users that cannot be read, and ids that another user may get (S-122)."""
    source = services.issuer.users
    if not isinstance(source, ApplicationUsers):
        return
    try:
        with app.app_context():
            is_reused = isinstance(source.users, SqlUsers) and source.users.reuses_ids()
    except Exception as error:  # noqa: BLE001 - the code is that of the application's session
        words = f"the session of SqlUsers does not say its engine: {summarize_error(error)}"
        yield Finding("fault", "users", f"{words}; bind it before the check")
        return
    if is_reused:
        words = "SQLite gives the id of a deleted user again; write sqlite_autoincrement=True"
        yield Finding("warning", "user ids", f"{words} in __table_args__, and copy the table")
    yield from _check_users_readable(app, source)


def _check_users_readable(app: Flask, source: ApplicationUsers) -> Iterator[Finding]:
    """Report a table of users that is missing, or a database that does not respond."""
    try:
        with app.app_context():
            source.find_by_name("nobody")
    except Exception as error:  # noqa: BLE001 - the code is that of the application
        cause = getattr(error, "cause", "") or summarize_error(error)
        yield Finding("fault", "users", f"nobody can sign in, because they cannot be read: {cause}")


def _check_mounts(app: Flask) -> Iterator[Finding]:
    """Report what a dispatcher serves beside the application: the gate is not before it."""
    for path, guard in mounted_applications(app.wsgi_app):
        if guard is not None:
            yield Finding("ok", "mounts", f"{path} is behind the gate: {guard}")
        else:
            words = "is outside the gate; put auth.wsgi_guard(application, rule) there"
            yield Finding("warning", "mounts", f"{path} {words}, or checks of its own")


def _check_same_file(app: Flask, services: Services) -> Iterator[Finding]:
    """Report two SQLite files whose URLs are written alike.

    A relative path begins in the current directory, and one of Flask-SQLAlchemy in the instance
    folder.
    """
    theirs, own = _flask_sqlalchemy_url(app), services.database.engine.url
    written = str(app.config.get("SQLALCHEMY_DATABASE_URI"))
    if theirs is None or written != services.settings.database_url:
        return
    file, own_file = (Path(url.database or "").absolute() for url in (theirs, own))
    if own.get_backend_name() == "sqlite" and file != own_file:
        words = f"SQLALCHEMY_DATABASE_URI is {file}, and ITEMSAPI_DATABASE_URL is {own_file}"
        step = f"set ITEMSAPI_DATABASE_URL to sqlite:///{file}"
        message = f"{words}, although both are {written}; for one database {step}"
        yield Finding("warning", "database", message, step)


def _flask_sqlalchemy_url(app: Flask) -> URL | None:
    """Return the URL of the default engine of Flask-SQLAlchemy; None if there is none."""
    with app.app_context():
        engines = getattr(app.extensions.get(FLASK_SQLALCHEMY), "engines", {})
    return getattr(engines.get(None), "url", None)
