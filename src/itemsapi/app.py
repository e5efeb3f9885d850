"""The application factory: it puts the three steps together."""

import time
from collections.abc import Sequence

import flask

from itemsapi import clock as clocks
from itemsapi import rest
from itemsapi.clock import Clock, Timer
from itemsapi.endpoints import start
from itemsapi.endpoints.plugins import load_blueprints
from itemsapi.extension import AuthLayer
from itemsapi.gate.rulebook import Rulebook
from itemsapi.layer_options import Part
from itemsapi.observability.logging import log, write_log_lines
from itemsapi.rest.async_views import Application
from itemsapi.rest.middleware import require_unambiguous_path
from itemsapi.secret_key import exposure_warning
from itemsapi.settings import Settings
from itemsapi.uncounted_proxies import uncounted_proxies_warning

PARTS: tuple[Part, ...] = ("api_keys", "items", "operators", "health", "metrics", "docs", "console")


def create_app(
    settings: Settings | None = None,
    blueprints: Sequence[flask.Blueprint] = (),
    *,
    clock: Clock = clocks.now,
    monotonic: Timer = time.monotonic,
) -> flask.Flask:
    """Build the application with its own blueprints and yours.

    Raise `SettingsError` for a wrong setting and `RulesInvalid` for a route without exactly one
    access rule: an application that is not fully secured does not start.
    """
    settings = settings or Settings.from_environment()
    write_log_lines(as_json=settings.logs_json)
    app = Application("itemsapi", static_folder=None)
    app.debug = settings.debug  # FLASK_DEBUG does not count
    rest.install(app, settings)
    layer = AuthLayer(
        app, settings=settings, include=PARTS, whole_app=True, clock=clock, monotonic=monotonic
    )
    for blueprint in [*blueprints, *load_blueprints(settings.blueprints)]:
        layer.api.register_blueprint(blueprint)
    if not start.has_start_page(app):
        layer.api.register_blueprint(start.blueprint, name="itemsapi.start")
    layer.seal(app)
    _check_deployment(app, settings)
    return app


def rulebook(app: flask.Flask) -> Rulebook:
    """Return the rulebook of an application: the access rule of each route."""
    return AuthLayer.seal(app)


def _check_deployment(app: flask.Flask, settings: Settings) -> None:
    """Reject a public path that is one of the API's own; log what `itemsapi check` warns of.

    A secret that others may read only causes a warning: mounted secrets often belong to a group.
    """
    require_unambiguous_path(settings, (route.rule for route in app.url_map.iter_rules()))
    if settings.production and (hint := uncounted_proxies_warning(settings)):
        log.warning("proxies_not_counted", hint=hint)
    hint = exposure_warning(settings)
    if settings.production and hint:
        log.warning("secret_key_exposed", hint=hint)
