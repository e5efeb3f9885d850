"""Step 3, the endpoints: one module for each blueprint, with its schemas and its views.

The views do their work for the caller that the gate admitted.
"""

from collections.abc import Collection

import flask

from itemsapi.endpoints import (
    admin_audit,
    admin_roles,
    admin_sessions,
    admin_users,
    api_keys,
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


def blueprints(
    settings: Settings, include: Collection[str], *, has_layer_users: bool = True
) -> list[flask.Blueprint]:
    """Return the blueprints of the layer in the order of the document.

    `include` names those that an application may do without. `has_layer_users`: the users are those
    of the layer, which have roles.
    """
    optional = {
        "api_keys": [api_keys.blueprint],
        "items": [items.blueprint],
        "operators": [
            admin_users.blueprint,
            admin_roles.blueprint,
            admin_sessions.blueprint,
            admin_audit.blueprint,
        ],
        "health": [health.blueprint],
        "metrics": [metrics.create_blueprint(settings)] if "metrics" in include else [],
        "docs": [docs.blueprint, explorer.blueprint] if settings.docs else [],
        "console": [console.blueprint] if settings.console else [],
    }
    always = [
        auth.blueprint,
        sessions.blueprint,
        me.create_blueprint(has_layer_users=has_layer_users),
    ]
    metadata = [oauth.blueprint, wellknown.blueprint]
    own = [optional[name] for name in optional if name in include]
    return [*always, *metadata, *(blueprint for part in own for blueprint in part)]
