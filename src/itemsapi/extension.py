"""`AuthLayer`: the three steps around any Flask application.

    ORDERS_READ = Scope("orders:read", "See your orders")

    app = Flask(__name__)
    auth = AuthLayer(app)

    @app.get("/orders")
    @requires(ORDERS_READ)
    def list_orders():
        return find_orders(owner=current_caller().user_id)

The layer adds `/auth/*`, `/oauth/*`, `/.well-known/*` and the endpoints of the signed-in user. All
other behaviour of the application stays as it is, except that each of its routes needs a rule.
"""

import importlib
import time
from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager
from functools import partial
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

import click
from flask import Flask, Response, current_app, has_app_context, request
from sqlalchemy.orm import Session

from itemsapi import clock as clocks
from itemsapi import endpoints, rest
from itemsapi.accounts.users import Users
from itemsapi.clock import Clock, Timer
from itemsapi.db import HostConnection
from itemsapi.gate.api_keys import ApiKeyCredential
from itemsapi.gate.authenticate import SeenGenerations, TokenVerifier
from itemsapi.gate.credentials import Credential, Credentials, FollowsClock
from itemsapi.gate.csrf import CsrfPolicy
from itemsapi.gate.gate import Gate
from itemsapi.gate.route_rules import RuleDecorator, RulesByKey, rule_of
from itemsapi.gate.rulebook import Rulebook
from itemsapi.gate.shadowed_routes import LAYER_PREFIX
from itemsapi.gate.without_gate import GATE
from itemsapi.gate.wsgi_guard import WsgiGuard
from itemsapi.issuer.additional_claims import AdditionalClaims, ClaimsFunction
from itemsapi.layer_options import LayerOptions, Part
from itemsapi.observability.context import set_fallback
from itemsapi.problems import Problem
from itemsapi.rate_limits import RequestRateLimiter
from itemsapi.rest.default_headers import (
    RESPONSE_HEADERS,
    add_cors_headers,
    add_response_headers,
    response_headers,
)
from itemsapi.rest.error_handlers import problem_response, set_problems_url
from itemsapi.rest.middleware import Middleware
from itemsapi.rest.request_context import context_of_request
from itemsapi.services import EXTENSION, Services, build_services, services, services_of
from itemsapi.settings import Settings
from itemsapi.signatures import require_one_argument
from itemsapi.tokens.rotation import mark_generation_seen
from itemsapi.tokens.scopes import Scope

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


class AuthLayer:
    """The issuer, the gate and the endpoints of the signed-in user on a Flask application.

    `rules` are rules for routes without a decorator, see [adopt.md](adopt.md#rules). `users` are
    the users of the application, such as `SqlUsers`; otherwise the layer has its own. `credentials`
    are accepted beside the access token where a rule names them (`by=`). Without `settings` they
    are read from the environment, and what is not there from `app.config`.

    `include` names further endpoints: `api_keys` with which users make keys for their programs (and
    the credential `api_key`), the `items` of the example with their tables, those for `operators`,
    the `docs`, the `console`, `health` and `metrics`. All paths of the layer begin with
    `url_prefix`, except `/.well-known` (RFC 8615). With `whole_app` the gate treats all routes like
    those of the layer: it responds to OPTIONS, lets pages of `ITEMSAPI_ALLOWED_ORIGINS` read all
    responses, and limits the rate of requests to public routes.

    Raise `ValueError` for a `url_prefix` that is no path, and for `users` beside `items` or
    `operators`; `TypeError` for `users` without the methods of `Users`; and, with `app`, what
    `init_app` raises.
    """

    api: rest.Api

    def __init__(  # noqa: PLR0913 - the options of the layer
        self,
        app: Flask | None = None,
        *,
        rules: Mapping[str, RuleDecorator] | None = None,
        users: Users | None = None,
        credentials: Collection[Credential] = (),
        settings: Settings | None = None,
        include: Collection[Part] = (),
        url_prefix: str = "",
        whole_app: bool = False,
        clock: Clock = clocks.now,
        monotonic: Timer = time.monotonic,
    ) -> None:
        """Keep the options; with `app`, call `init_app`.

        Raise `ValueError` for an option that cannot be, and `TypeError` for a value of a wrong
        type, such as users without the methods of `Users`.
        """
        self._options = LayerOptions(
            rules=rules,
            users=users,
            credentials=credentials,
            settings=settings,
            include=include,
            url_prefix=url_prefix,
            whole_app=whole_app,
            clock=clock,
            monotonic=monotonic,
        )
        self._additional_claims = AdditionalClaims()
        self._apps: list[Flask] = []
        if app is not None:
            self.init_app(app)

    def init_app(  # noqa: PLR0913 - the options that a factory knows
        self,
        app: Flask,
        *,
        rules: Mapping[str, RuleDecorator] | None = None,
        users: Users | None = None,
        credentials: Collection[Credential] | None = None,
        settings: Settings | None = None,
        clock: Clock | None = None,
        monotonic: Timer | None = None,
    ) -> None:
        """Put the layer around `app`, before or after its routes are registered.

        The options replace those of `AuthLayer(...)` for this application: a module of extensions
        makes the layer, and the factory knows the users, the rules and the settings.

        Raise as the constructor does, and `SettingsError` for a wrong setting, `ValueError` for two
        credentials of one name, and `RuntimeError` for an application that has a layer already, or
        `host_matching`.
        """
        _require_possible(app)
        options = self._options.with_given(
            rules=rules,
            users=users,
            credentials=credentials,
            settings=settings,
            clock=clock,
            monotonic=monotonic,
        )
        services = self._build_services(app, options)
        gate = _build_gate(services, options)
        app.extensions[EXTENSION] = services
        _set_response_headers(app, services, options)
        gate.connect(app)
        set_fallback(context_of_request)
        has_pages = "docs" in options.include and services.settings.docs
        self.api = _build_api(app, services, gate, has_pages=has_pages)
        _register_endpoints(self.api, services, options)
        self._apps.append(app)

    def _build_services(self, app: Flask, options: LayerOptions) -> Services:
        return build_services(
            options.settings_for(app.config),
            options.clock,
            users=options.users,
            monotonic=options.monotonic,
            url_prefix=options.url_prefix,
            items="items" in options.include,
            scopes=(),  # those of the routes, which the gate reads when it is sealed
            additional_claims=self._additional_claims,
        )

    @property
    def cli(self) -> click.Group:
        """The commands of `itemsapi`, for the command `flask`: `app.cli.add_command(auth.cli)`.

        Then `flask itemsapi users add ada` is `itemsapi --app ... users add ada`.
        """
        commands = importlib.import_module("itemsapi.cli.commands")  # not needed to serve
        group = commands.host_commands()
        assert isinstance(group, click.Group)  # noqa: S101 - tells the type checker
        return group

    def wsgi_guard(
        self, application: "WSGIApplication", rule: RuleDecorator, *, app: Flask | None = None
    ) -> WsgiGuard:
        """Return a WSGI application, mounted beside Flask, behind the gate.

        `rule` is a decorator such as `requires(REPORTS_READ)`. The caller is in the WSGI
        environment as `itemsapi.caller`. `app` is the Flask application that it is mounted beside,
        if the layer is around several. Raise `RuntimeError` before `init_app`.
        """
        host = self._only_application() if app is None else app
        guard = WsgiGuard(host, gate_of(host), application, rule_of(rule))
        registry = services_of(host).issuer.scope_registry
        registry.register(scope for scope in guard.rule.scopes if isinstance(scope, Scope))
        return guard

    def _only_application(self) -> Flask:
        """Return the application of the layer. Raise `RuntimeError` unless there is exactly one."""
        if not self._apps:
            raise RuntimeError("this AuthLayer has no application; call auth.init_app(app) first")
        if len(self._apps) > 1:
            raise RuntimeError(
                "this AuthLayer is around several applications; write"
                " auth.wsgi_guard(application, rule, app=app)"
            )
        return self._apps[0]

    @staticmethod
    def transaction(*, connection: HostConnection | None = None) -> AbstractContextManager[Session]:
        """Return a block that yields a SQLAlchemy session on the database of the layer.

        It commits at its end. With `connection`, a `Connection` or `Session` of the application on
        the same database, it joins that transaction instead, as a savepoint: what it writes is
        committed or rolled back with it. So an order and its audit event are stored together, or an
        account is closed and its sessions end. Raise `DatabaseUnavailable`, and `ValueError` for a
        connection to another database. Call it in an application context.
        """
        return services().database.transaction(connection=connection)

    @staticmethod
    def users_changed(
        *user_ids: int | str | UUID, connection: HostConnection | None = None
    ) -> None:
        """Revoke the access tokens of users that the application changed, deleted or disabled.

        Call it in an application context, after your transaction is committed, or, on the same
        database, within it, with its `connection`: see `transaction`. Within a second every process
        refuses the tokens (`ITEMSAPI_REVOCATION_LAG`), and the next refresh reads the user again.
        The sessions of a user who is gone or disabled end, and the API keys of one who is gone are
        revoked. Without this call a change is known at the next refresh, or use of a key. Raise
        `DatabaseUnavailable`, and `TypeError` for what is no id.
        """
        services().users_changed([_id_as_text(each) for each in user_ids], connection)

    def claims(self, function: ClaimsFunction) -> ClaimsFunction:
        """Add the claims that `function(user_id)` returns to every access token, as a decorator.

        It runs at sign-in, refresh and change of password. `current_caller().claims` has them. See
        [rules.md](rules.md#claims). Raise `ValueError` for a second function, and `TypeError` for
        one that does not take one argument.
        """
        require_one_argument(function, "@auth.claims:", "the id of a user: def tenant(user_id)")

        def load(user_id: str) -> Mapping[str, Any]:
            """Call the function, which may be asynchronous."""
            run = current_app.ensure_sync(function) if has_app_context() else function
            return run(user_id)

        self._additional_claims.register(load)
        return function

    @staticmethod
    def record(
        event: str,
        *,
        connection: HostConnection | None = None,
        user_id: str | None = None,
        session_id: str | None = None,
        caller_id: str | None = None,
        **details: str | int | bool | None,
    ) -> None:
        """Add an event of the application to the audit trail: a name of up to 60 characters.

        `user_id` is whom it concerns, `caller_id` who did it, if that is another user. With
        `connection` it is in that transaction, see `transaction`. The details must contain no
        secret. Raise `DatabaseUnavailable`. Call it in an application context.
        """
        with AuthLayer.transaction(connection=connection) as tx:
            services().audit.record(
                tx, event, user_id=user_id, session_id=session_id, caller_id=caller_id, **details
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
    """Return the gate of an application. Raise `RuntimeError` if it has none."""
    services_of(app)
    return cast("Gate", app.extensions[GATE])


def _require_possible(app: Flask) -> None:
    """Raise `RuntimeError` for an application that the layer cannot be put around."""
    if GATE in app.extensions:
        raise RuntimeError(f"{app.name} has an AuthLayer already; give all options to that one")
    if app.url_map.host_matching:  # a route without a host matches no request
        raise RuntimeError(
            f"{app.name} has host_matching, so no request would reach the routes of AuthLayer;"
            " use subdomain_matching, or an application for each host"
        )


def _id_as_text(user_id: object) -> str:
    """Return the id of a user as the layer stores it."""
    if isinstance(user_id, bool) or not isinstance(user_id, int | str | UUID):
        kind = type(user_id).__name__
        raise TypeError(f"users_changed() takes ids, and this is of the type {kind}: pass user.id")
    return str(user_id)


def _build_gate(services: Services, options: LayerOptions) -> Gate:
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
        Credentials(verifier, _credentials(services, options)),
        CsrfPolicy(settings.public_url, settings.allowed_origins),
        clock=services.clock,
        rules=RulesByKey(options.rules),
        scope_registry=services.issuer.scope_registry,
        count_request=RequestRateLimiter(
            settings.rate_limit, settings.rate_limit_url, options.monotonic
        ).hit,
        respond=_respond,
        is_layer_request=lambda: options.whole_app or _is_layer_endpoint(),
        on_seal=partial(_complete, services),
    )


def _credentials(services: Services, options: LayerOptions) -> list[Credential]:
    """Return the credentials beside the access token."""
    given = [
        credential.with_clock(options.clock) if isinstance(credential, FollowsClock) else credential
        for credential in options.credentials
    ]
    if "api_keys" not in options.include:
        return given
    return [*given, ApiKeyCredential(services.api_key_lookup.find_owner)]


def _is_layer_endpoint() -> bool:
    """Return whether the current request is for an endpoint of the layer."""
    return (request.endpoint or "").startswith(LAYER_PREFIX)


def _set_response_headers(app: Flask, services: Services, options: LayerOptions) -> None:
    set_problems_url(app, services.problems_url)
    if isinstance(app.wsgi_app, Middleware):  # it adds them to every response of `create_app`
        return
    app.extensions[RESPONSE_HEADERS] = response_headers(services.settings, services.url_prefix)
    if options.whole_app:
        app.after_request(add_cors_headers)


def _register_endpoints(api: rest.Api, services: Services, options: LayerOptions) -> None:
    """Register the blueprints of the layer under names that the application has not."""
    for blueprint in endpoints.blueprints(
        services.settings, options.include, has_layer_users=options.users is None
    ):
        path = blueprint.url_prefix or ""
        is_well_known = path == "/.well-known"  # it stays at the root: RFC 8615
        api.register_blueprint(
            blueprint,
            name=f"{LAYER_PREFIX}{blueprint.name}",
            url_prefix=path if is_well_known else f"{options.url_prefix}{path}" or None,
        )


def _build_api(app: Flask, services: Services, gate: Gate, *, has_pages: bool) -> rest.Api:
    api = rest.Api(
        app,
        config_prefix="ITEMSAPI_",
        rule_for=lambda endpoint, method: gate.seal(app).rule_for(endpoint, method),
        problems_url=services.problems_url,
        credentials=gate.credentials.others,
        **rest.spec_options(
            services.settings,
            services.url_prefix,
            has_pages=has_pages,
            host=None if isinstance(app.wsgi_app, Middleware) else app,
        ),
    )
    rest.describe(app, api)
    return api


def _complete(services: Services, app: Flask, rulebook: Rulebook) -> None:
    services.token_codec.install(app)
    rest.complete_documents(app, rulebook, rest.Api, gate_of(app).credentials.others)


def _respond(problem: Problem) -> Response:
    return add_response_headers(problem_response(problem))
