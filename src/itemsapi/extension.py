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

import time
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Literal, cast

from flask import Flask, Response, request

from itemsapi import clock as clocks
from itemsapi import endpoints, rest
from itemsapi.accounts.users import Users, require_users
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
from itemsapi.services import EXTENSION, Services, build_services, services
from itemsapi.settings import Settings
from itemsapi.tokens.rotation import mark_generation_seen

LAYER = "itemsapi.layer"
Part = Literal["items", "operators", "docs", "console", "health", "metrics"]


class AuthLayer:
    """The issuer, the gate and the endpoints of the signed-in user on a Flask application.

    `rules` are rules for routes without a decorator, see `itemsapi.gate.route_rules`. `settings`
    are read from the environment by default. `include` names further endpoints: those for
    `operators`, the `docs`, the `console`, `health` and `metrics`. With `answer_options` the gate
    responds to OPTIONS for all routes, without running a hook; otherwise only for its own routes.
    `users` are the users of the application, such as `SqlUsers`; otherwise the layer has its own.
    """

    api: rest.Api
    services: Services
    gate: Gate

    def __init__(  # noqa: PLR0913 - the options of the layer
        self,
        app: Flask | None = None,
        *,
        rules: Mapping[str, RuleDecorator] | None = None,
        users: Users | None = None,
        settings: Settings | None = None,
        include: Collection[Part] = (),
        answer_options: bool = False,
        clock: Clock = clocks.now,
        monotonic: Timer = time.monotonic,
    ) -> None:
        """Keep the options; with `app`, call `init_app`."""
        _check_users(users, include)
        self._rules, self._users, self._settings = rules, users, settings
        self._clock, self._monotonic = clock, monotonic
        self._include, self._answer_options = include, answer_options
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Put the layer around `app`, before or after its routes are registered.

        Raise `SettingsError` for a wrong setting.
        """
        settings = self._settings or Settings.from_environment()
        built = build_services(settings, self._clock, users=self._users, monotonic=self._monotonic)
        problems_url = f"{settings.public_url}/docs/problems"
        blueprints = endpoints.blueprints(
            settings, self._include, has_own_users=self._users is None
        )
        own = {blueprint.name for blueprint in blueprints}
        gate = _build_gate(
            built,
            RouteRules(self._rules),
            lambda: self._answer_options or request.blueprint in own,
        )
        app.extensions |= {EXTENSION: built, LAYER: gate}
        set_problems_url(app, problems_url)
        if not isinstance(app.wsgi_app, Middleware):
            app.extensions[RESPONSE_HEADERS] = response_headers(settings)
        built.token_codec.install(app)
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
            self.api.register_blueprint(blueprint)

    @staticmethod
    def users_changed(*user_ids: object) -> None:
        """Revoke the access tokens of users that the application changed, deleted or disabled.

        Call it in an application context, after your transaction is committed: on SQLite it would
        wait for that one. Within a second every process refuses the tokens (`REVOCATION_LAG`), and
        the next refresh reads the user again. Without this call a change is known at the next
        refresh. Sessions end if the user is gone, disabled or has another password. Raise
        `DatabaseUnavailable`.
        """
        services().users_changed(str(user_id) for user_id in user_ids)

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


def _check_users(users: Users | None, include: Collection[Part]) -> None:
    """Raise `TypeError` for an object that has no users.

    Raise `ValueError` for a part that works on the layer's own users, if there are others.
    """
    if users is None:
        return
    require_users(users)
    for part in sorted({"items", "operators"}.intersection(include)):
        raise ValueError(
            f"AuthLayer: include={{{part!r}}} works on the layer's own users; leave it out, or"
            " leave users= out"
        )


def _build_gate(services: Services, rules: RouteRules, answers_options: Callable[[], bool]) -> Gate:
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
        answers_options=answers_options,
    )


def _respond(problem: Problem) -> Response:
    return add_response_headers(problem_response(problem))
