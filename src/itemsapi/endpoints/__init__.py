"""STEP 3. The endpoints: one module is one page of the API, schemas on top, routes below.

They do their work and only use the caller whom the gate let in.
"""

import flask

from itemsapi.endpoints import (
    admin_audit,
    admin_roles,
    admin_sessions,
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


def blueprints(settings: Settings) -> list[flask.Blueprint]:
    """Return the pages that belong to the house, in the order of the document."""
    shown = [docs.blueprint, explorer.blueprint] if settings.docs else []
    shown += [console.blueprint] if settings.console else []
    return [
        auth.blueprint,
        sessions.blueprint,
        me.blueprint,
        items.blueprint,
        admin_users.blueprint,
        admin_roles.blueprint,
        admin_sessions.blueprint,
        admin_audit.blueprint,
        oauth.blueprint,
        wellknown.blueprint,
        health.blueprint,
        metrics.page(settings),
        *shown,
    ]
