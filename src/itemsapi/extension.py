"""`AuthLayer`: the three steps around any Flask application.

    app = Flask(__name__)
    auth = AuthLayer(app)

    @app.get("/orders")
    @requires("orders:read")
    def list_orders():
        return find_orders(owner=current_caller().user_id)

The layer adds `/auth/*`, `/oauth/*`, `/.well-known/*` and the endpoints of the signed-in user. All
other behaviour of the application stays as it is, except that each of its routes needs a rule.
"""

import re
import time
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Literal, cast

from flask import Flask, Response, request

from itemsapi import clock as clocks
from itemsapi import endpoints, rest
from itemsapi.clock import Clock, Timer
from itemsapi.gate.authenticate import SeenGenerations, TokenVerifier
from itemsapi.gate.csrf import CsrfPolicy
from itemsapi.gate.gate import Gate
from itemsapi.gate.route_rules import RouteRules, RuleDecorator
from itemsapi.gate.rulebook import Rulebook
from itemsapi.problems import Problem
from itemsapi.rate_limits import RequestRateLimiter
from itemsapi.rest.default_headers import RESPONSE_HEADERS, add_response_headers, response_headers
from itemsapi.rest.error_handlers import problem_response, set_problems_url
from itemsapi.rest.middleware import Middleware
from itemsapi.services import EXTENSION, Services, build_services
from itemsapi.settings import Settings
from itemsapi.tokens.rotation import mark_generation_seen

LAYER = "itemsapi.layer"
_PREFIX = re.compile(r"(/[\w.~-]+)+", re.ASCII)
Part = Literal["operators", "docs", "console", "health", "metrics"]


class AuthLayer:
    """The issuer, the gate and the endpoints of the signed-in user on a Flask application.

    `rules` are rules for routes without a decorator, see `itemsapi.gate.route_rules`. `settings`
    are read from the environment by default. `include` names further endpoints: those for
    `operators`, the `docs`, the `console`, `health` and `metrics`. All paths of the layer begin
    with `url_prefix`, except `/.well-known` (RFC 8615). With `whole_app` the gate treats all routes
    like those of the layer: it responds to OPTIONS, and limits the rate of requests to public ones.
    """

    api: rest.Api
    services: Services
    gate: Gate

    def __init__(  # noqa: PLR0913 - the options of the layer
        self,
        app: Flask | None = None,
        *,
        rules: Mapping[str, RuleDecorator] | None = None,
        settings: Settings | None = None,
        include: Collection[Part] = (),
        url_prefix: str = "",
        whole_app: bool = False,
        clock: Clock = clocks.now,
        monotonic: Timer = time.monotonic,
    ) -> None:
        """Keep the options; with `app`, call `init_app`."""
        if url_prefix and not _PREFIX.fullmatch(url_prefix):
            raise ValueError(f"url_prefix={url_prefix!r} is no path; write it as in '/api'")
        self._rules, self._settings = rules, settings
        self._clock, self._monotonic = clock, monotonic
        self._include, self._whole_app = include, whole_app
        self._url_prefix = url_prefix
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Put the layer around `app`, before or after its routes are registered.

        Raise `SettingsError` for a wrong setting.
        """
        settings = self._settings or Settings.from_environment()
        prefix = self._url_prefix
        services = build_services(
            settings, self._clock, monotonic=self._monotonic, url_prefix=prefix
        )
        problems_url = f"{services.base_url}/docs/problems"
        blueprints = endpoints.blueprints(settings, self._include)
        gate = _build_gate(
            services,
            RouteRules(self._rules),
            lambda: self._whole_app or EXTENSION in request.blueprints,
        )
        app.extensions |= {EXTENSION: services, LAYER: gate}
        set_problems_url(app, problems_url)
        if not isinstance(app.wsgi_app, Middleware):
            app.extensions[RESPONSE_HEADERS] = response_headers(settings, prefix)
        gate.connect(app)
        self.api = rest.Api(
            app,
            config_prefix="ITEMSAPI_",
            rule_for=lambda endpoint, method: gate.seal(app).rule_for(endpoint, method),
            problems_url=problems_url,
            **rest.spec_options(settings),
        )
        rest.describe(app, self.api)
        for blueprint in blueprints:
            is_well_known = blueprint.url_prefix == "/.well-known"  # at the root: RFC 8615
            self.api.register_blueprint(
                blueprint,
                name=f"{EXTENSION}.{blueprint.name}",  # the application may have the same name
                url_prefix=f"{'' if is_well_known else prefix}{blueprint.url_prefix or ''}" or None,
            )

    @staticmethod
    def seal(app: Flask) -> Rulebook:
        """Refuse to start with unguarded routes: write it as the last line of a factory.

        Raise `RulesInvalid` with every route that needs a rule, and how to write it. Without this
        call the first request seals the application, and refuses only these routes.
        """
        rulebook = gate_of(app).seal(app)
        rulebook.require_complete()
        return rulebook


def gate_of(app: Flask) -> Gate:
    """Return the gate of an application."""
    return cast("Gate", app.extensions[LAYER])


def _build_gate(services: Services, rules: RouteRules, is_own_request: Callable[[], bool]) -> Gate:
    settings = services.settings
    verifier = TokenVerifier(
        token_codec=services.token_codec,
        key_set=services.key_set,
        revocation_feed=services.revocation_feed,
        clock=services.clock,
        on_verified=SeenGenerations(
            partial(mark_generation_seen, services.database)
        ).record_after_response,
    )
    return Gate(
        verifier,
        CsrfPolicy(settings.public_url, settings.allowed_origins),
        rules=rules,
        scope_registry=services.issuer.scope_registry,
        count_request=RequestRateLimiter(settings.rate_limit, settings.rate_limit_url).hit,
        respond=_respond,
        is_own_request=is_own_request,
        on_seal=partial(_complete, services),
    )


def _complete(services: Services, app: Flask, rulebook: Rulebook) -> None:
    services.token_codec.install(app)
    rest.complete_documents(app, rulebook, rest.Api)


def _respond(problem: Problem) -> Response:
    return add_response_headers(problem_response(problem))
