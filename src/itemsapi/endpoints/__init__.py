"""STEP 3. The endpoints: one module is one page of the API, schemas on top, routes below.

They do their work and only use the caller whom the gate let in.
"""

import flask

from itemsapi.endpoints import (
    admin_audit,
    admin_roles,
    admin_users,
    auth,
    console,
    docs,
    explorer,
    health,
    items,
    me,
    metrics,
    oauth,
    sessions,
    wellknown,
)
from itemsapi.settings import Settings


def pages(settings: Settings) -> list[flask.Blueprint]:
    """Return the pages that belong to the house, in the order of the document."""
    shown = [docs.page, explorer.page] if settings.docs else []
    shown += [console.page] if settings.console else []
    return [
        auth.page,
        sessions.page,
        me.page,
        items.page,
        admin_users.page,
        admin_roles.page,
        admin_audit.page,
        oauth.page,
        wellknown.page,
        health.page,
        metrics.page(settings),
        *shown,
    ]
