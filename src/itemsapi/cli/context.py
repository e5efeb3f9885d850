"""Opening: what a command works with, from the settings to the services."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from itemsapi.clock import now
from itemsapi.db import check_schema
from itemsapi.observability.logging import RequestContext, set_request_context, start_logging
from itemsapi.services import Services, build_services
from itemsapi.settings import Settings
from itemsapi.tokens.scopes import BUILTIN


@contextmanager
def opened(*, schema: bool = True) -> Iterator[Services]:
    """Yield the services by the settings of the environment, and close the database afterwards.

    Raises `SettingsError`, and `SchemaOutdated` unless the schema is said not to matter. What is
    done is written down as done from the address "cli" by nobody who has an account.
    """
    settings = Settings.from_environment()
    start_logging(level=logging.WARNING)
    set_request_context(RequestContext(address="cli"))
    services = build_services(settings, now, lambda: {scope.name: scope for scope in BUILTIN})
    try:
        if schema:
            check_schema(services.database)
        yield services
    finally:
        services.database.dispose()
