"""Step 3, the endpoints: one module for each blueprint, with its schemas and its views.

The views do their work for the caller that the gate admitted.
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
    """Return the built-in blueprints, in the order of the document."""
    optional = [docs.blueprint, explorer.blueprint] if settings.docs else []
    optional += [console.blueprint] if settings.console else []
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
        metrics.create_blueprint(settings),
        *optional,
    ]
