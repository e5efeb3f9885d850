"""The application factory: it puts the three steps together."""

import time
from collections.abc import Iterable, Sequence
from functools import partial

import flask

from itemsapi import clock as clocks
from itemsapi import endpoints, rest
from itemsapi.clock import Clock, Timer
from itemsapi.endpoints.plugins import load_blueprints
from itemsapi.gate.authenticate import SeenGenerations, TokenVerifier
from itemsapi.gate.csrf import CsrfPolicy
from itemsapi.gate.gate import Gate
from itemsapi.gate.rulebook import Rulebook
from itemsapi.observability.logging import log
from itemsapi.rate_limits import RequestRateLimiter
from itemsapi.rest.middleware import require_unambiguous_path, uncounted_proxies_warning
from itemsapi.services import EXTENSION, Services, build_services
from itemsapi.settings import Settings, secret_exposure_warning
from itemsapi.tokens.rotation import mark_generation_seen
from itemsapi.tokens.scopes import Scope

RULEBOOK = "itemsapi.rulebook"


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
    app = flask.Flask("itemsapi", static_folder=None)
    app.debug = settings.debug  # FLASK_DEBUG does not count
    rest.install(app, settings)
    built = build_services(settings, clock, monotonic=monotonic)
    app.extensions[EXTENSION] = built
    built.token_codec.install(app)
    extra = [*blueprints, *load_blueprints(settings.blueprints)]
    api = rest.Api(
        app,
        rule_for=lambda endpoint, method: rulebook(app).rule_for(endpoint, method),
        problems_url=f"{settings.public_url}/docs/problems",
        **rest.spec_options(settings),
    )
    for blueprint in [*endpoints.blueprints(settings), *extra]:
        api.register_blueprint(blueprint)
    app.extensions[RULEBOOK] = Rulebook(app, _scopes(extra))
    built.issuer.scope_registry.register(rulebook(app).scopes.values())
    _gate(built, rulebook(app)).install(app)
    rest.describe(app, api)
    _check_deployment(app, settings)
    return app


def rulebook(app: flask.Flask) -> Rulebook:
    """Return the rulebook of an application: the access rule of each route."""
    book = app.extensions[RULEBOOK]
    assert isinstance(book, Rulebook)  # noqa: S101 - narrows the type
    return book


def _gate(built: Services, book: Rulebook) -> Gate:
    verifier = TokenVerifier(
        token_codec=built.token_codec,
        key_set=built.key_set,
        revocation_feed=built.revocation_feed,
        clock=built.clock,
        on_verified=SeenGenerations(
            partial(mark_generation_seen, built.database)
        ).record_after_response,
    )
    rate_limiter = RequestRateLimiter(built.settings.rate_limit, built.settings.rate_limit_url)
    csrf_policy = CsrfPolicy(built.settings.public_url, built.settings.allowed_origins)
    return Gate(book, verifier, csrf_policy, count_request=rate_limiter.hit)


def _scopes(blueprints: Iterable[flask.Blueprint]) -> list[Scope]:
    return [scope for blueprint in blueprints for scope in getattr(blueprint, "scopes", ())]


def _check_deployment(app: flask.Flask, settings: Settings) -> None:
    """Reject a public path that is one of the API's own; log what `itemsapi check` warns of.

    A secret that others may read only causes a warning: mounted secrets often belong to a group.
    """
    require_unambiguous_path(settings, (route.rule for route in app.url_map.iter_rules()))
    if settings.production and (hint := uncounted_proxies_warning(settings)):
        log.warning("proxies_not_counted", hint=hint)
    if settings.production and (hint := secret_exposure_warning(settings)):
        log.warning("secret_key_exposed", hint=hint)
