"""The application: the three steps, put in a row. Read it as a table of contents."""

from collections.abc import Iterable, Sequence
from functools import partial

import flask

from itemsapi import clock as clocks
from itemsapi import endpoints, rest
from itemsapi.clock import Clock
from itemsapi.endpoints.plugins import load_blueprints
from itemsapi.gate.authenticate import TokenVerifier
from itemsapi.gate.csrf import CsrfPolicy
from itemsapi.gate.gate import Gate
from itemsapi.gate.rulebook import Rulebook
from itemsapi.gate.seen_generations import SeenGenerations
from itemsapi.observability.logging import log, start_logging
from itemsapi.rate_limits import RequestRateLimiter
from itemsapi.rest.proxies import demand_own_path, untold
from itemsapi.services import EXTENSION, Services, build_services
from itemsapi.settings import Settings, exposed_secret
from itemsapi.tokens.scopes import Scope
from itemsapi.tokens.sessions import note_seen

RULEBOOK = "itemsapi.rulebook"


def create_app(
    settings: Settings | None = None,
    blueprints: Sequence[flask.Blueprint] = (),
    *,
    clock: Clock = clocks.now,
) -> flask.Flask:
    """Make the application with its own pages and yours.

    Raises `SettingsError` for a wrong setting and `UnguardedRoute` for a route without exactly one
    access rule: it does not start half-secured.
    """
    settings = settings or Settings.from_environment()
    start_logging()
    app = flask.Flask("itemsapi", static_folder=None)
    app.debug = settings.debug  # FLASK_DEBUG has no say
    rest.install(app, settings)
    built = build_services(settings, clock, lambda: rulebook(app).scopes)
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
    _gate(built, rulebook(app)).install(app)
    rest.describe(app, api)
    _look_around(app, settings)
    return app


def rulebook(app: flask.Flask) -> Rulebook:
    """Return the rulebook of an application: what stands before each of its routes."""
    book = app.extensions[RULEBOOK]
    assert isinstance(book, Rulebook)  # noqa: S101 - narrows the type
    return book


def _gate(built: Services, book: Rulebook) -> Gate:
    verifier = TokenVerifier(
        token_codec=built.token_codec,
        key_set=built.key_set,
        revocation_feed=built.revocation_feed,
        clock=built.clock,
        seen=SeenGenerations(partial(note_seen, built.database)).see,
    )
    pace = RequestRateLimiter(built.settings.rate_limit, built.settings.rate_limit_url)
    csrf_policy = CsrfPolicy(built.settings.public_url, built.settings.allowed_origins)
    return Gate(book, verifier, csrf_policy, paced=pace.hit)


def _scopes(guests: Iterable[flask.Blueprint]) -> list[Scope]:
    return [scope for page in guests for scope in getattr(page, "scopes", ())]


def _look_around(app: flask.Flask, settings: Settings) -> None:
    """Refuse a public path that is an address of our own; warn of what `itemsapi check` warns of.

    A secret that others may read is no reason to refuse: mounted ones often belong to a group.
    """
    demand_own_path(settings, (address.rule for address in app.url_map.iter_rules()))
    if settings.production and (words := untold(settings)):
        log.warning("proxies_not_counted", hint=words)
    if settings.production and (words := exposed_secret(settings)):
        log.warning("secret_key_exposed", hint=words)
