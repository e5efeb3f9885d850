"""Open the application or the services that a command works with.

They are those of the Flask application that `--app` or the command `flask` names, or else the Items
API with the settings in the environment.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from itemsapi.clock import now
from itemsapi.command_line import command_line
from itemsapi.observability.context import (
    RequestContext,
    reset_request_context,
    set_request_context,
)
from itemsapi.observability.logging import set_log_level, write_log_lines
from itemsapi.settings import Settings, SettingsError

if TYPE_CHECKING:
    from flask import Flask
    from flask.cli import ScriptInfo

    from itemsapi.accounts.models import Operator
    from itemsapi.composition import Services
    from itemsapi.db import Database
    from itemsapi.server.worker import AppFactory

# ruff: noqa: PLC0415 - a command imports what it needs when it runs: its help needs nothing, and
# most commands need the services but no application


@contextmanager
def open_services(*, check_schema_version: bool = True) -> "Iterator[Services]":
    """Yield the services; close the database afterwards.

    Raise `SettingsError`, or, with `check_schema_version`, `SchemaOutdated`: only the commands that
    set up a service make a database. Audit events of commands have the address "cli" and no user
    id.
    """
    host = host_application()
    services = _services(host)
    write_log_lines(as_json=services.settings.logs_json)
    set_log_level(level=logging.WARNING)
    token = set_request_context(RequestContext(address="cli"))
    try:
        if check_schema_version:
            _require_schema(services.database)
        with host.app_context() if host else nullcontext():  # its users may need it
            yield services
    finally:
        services.database.dispose()
        reset_request_context(token)


def _require_schema(database: "Database") -> None:
    """Raise `SchemaOutdated` unless the database exists, with the newest tables."""
    from itemsapi.db import check_schema

    require_database(database)
    check_schema(database)


def require_database(database: "Database") -> None:
    """Raise `SchemaOutdated` for a missing SQLite file, which SQLite would make when it is opened.

    Another database says itself that it is missing.
    """
    file = database.engine.url.database
    if database.dialect == "sqlite" and file and not Path(file).exists():
        from itemsapi.db import SchemaOutdated

        words = f"there is no database: {file}; set ITEMSAPI_DATA_DIR to the folder that has it"
        raise SchemaOutdated(f"{words}, or make a new one: run {command_line('db upgrade')}")


@contextmanager
def open_own_users() -> "Iterator[Services]":
    """Yield the services as `open_services` does. Raise `SettingsError` for other users."""
    with open_services() as services:
        require_own_users(services)
        yield services


def require_own_users(services: "Services") -> None:
    """Raise `SettingsError` if the users are those of an application: the layer makes none."""
    if not services.has_layer_users:
        raise SettingsError("the users of this application are its own; change them there")


def _services(host: "Flask | None") -> "Services":
    """Return the services of the host's application, which knows the scopes of its routes."""
    if host is None:
        from itemsapi.composition import build_services

        return build_services(Settings.from_environment(), now)
    from itemsapi.extension import gate_of
    from itemsapi.services import services_of

    gate_of(host).seal(host)
    return services_of(host)


def operator() -> "Operator":
    """Return the command line as the one who changes users, roles or sessions."""
    from itemsapi.accounts.models import COMMAND_LINE

    return COMMAND_LINE


def serves_console(services: "Services") -> bool:
    """Return whether people can use the console of the application."""
    host = host_application()
    return services.settings.console if host is None else "itemsapi.console" in host.blueprints


def application() -> "Flask":
    """Return the application; its rules may have faults. Raise `SettingsError`."""
    return host_application() or _create()


def host_application() -> "Flask | None":
    """Return the application that `--app` or `flask` names; None for the Items API.

    Raise `SettingsError` if the layer is not on it, and Flask's `NoAppException` if there is none.
    """
    script = _script()
    if script is None:
        return None
    from itemsapi.services import EXTENSION

    app = script.load_app()
    if EXTENSION not in app.extensions:
        words = f"the application {app.name} has no AuthLayer"
        raise SettingsError(f"{words}; write `auth = AuthLayer(app)`, or call `auth.init_app(app)`")
    return app


def app_factory() -> "AppFactory":
    """Return what loads the application in another process."""
    script = _script()
    return _create if script is None else partial(_load, script.app_import_path)


def _script() -> "ScriptInfo | None":
    """Return how Flask finds the application of this command; None for the Items API."""
    context = click.get_current_context(silent=True)
    if context is None or context.find_root().obj is None:
        return None
    from flask.cli import ScriptInfo

    return context.find_object(ScriptInfo)


def _create() -> "Flask":
    from itemsapi.app import create_app

    return create_app()


def _load(import_path: str | None) -> "Flask":
    from flask.cli import ScriptInfo

    from itemsapi.extension import AuthLayer

    app = ScriptInfo(app_import_path=import_path, set_debug_flag=False).load_app()
    AuthLayer.seal(app)
    return app
