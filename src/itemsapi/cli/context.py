"""Open the services that a command works with, from the settings in the environment."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from itemsapi.clock import now
from itemsapi.db import check_schema
from itemsapi.observability.context import RequestContext, set_request_context
from itemsapi.observability.logging import set_log_level, write_json_lines
from itemsapi.services import Services, build_services
from itemsapi.settings import Settings


@contextmanager
def open_services(*, check_schema_version: bool = True) -> Iterator[Services]:
    """Yield the services for the settings in the environment; close the database afterwards.

    Raise `SettingsError`, or, with `check_schema_version`, `SchemaOutdated`. Audit events of
    commands have the address "cli" and no user id.
    """
    settings = Settings.from_environment()
    write_json_lines()
    set_log_level(level=logging.WARNING)
    set_request_context(RequestContext(address="cli"))
    services = build_services(settings, now)
    try:
        if check_schema_version:
            check_schema(services.database)
        yield services
    finally:
        services.database.dispose()
