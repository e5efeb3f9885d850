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
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

import click
from flask import Flask, current_app, has_app_context
from sqlalchemy.orm import Session

from itemsapi import clock as clocks
from itemsapi import command_line, rest
from itemsapi.accounts.users import Users
from itemsapi.audit import ApplicationEvent
from itemsapi.callbacks import require_one_argument
from itemsapi.clock import Clock, Timer
from itemsapi.composition import Services, build_services
from itemsapi.db import HostConnection
from itemsapi.gate.credentials import Credential, machine_names
from itemsapi.gate.gate import Gate
from itemsapi.gate.route_rules import RuleDecorator, rule_of
from itemsapi.gate.rulebook import Rulebook
from itemsapi.gate.without_gate import GATE
from itemsapi.gate.wsgi_guard import WsgiGuard
from itemsapi.installation import build_api, build_gate, register_endpoints, set_response_headers
from itemsapi.issuer.additional_claims import ClaimsFunction, ClaimsOfApplications
from itemsapi.layer_options import LayerOptions, Part
from itemsapi.observability import context
from itemsapi.rest.access_log import connect_access_log
from itemsapi.rest.program import program_of_request
from itemsapi.rest.request_context import context_of_request
from itemsapi.services import EXTENSION, services, services_of
from itemsapi.settings import Settings
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
        self._claims = ClaimsOfApplications()
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
        gate = build_gate(services, options)
        app.extensions[EXTENSION] = services
        set_response_headers(app, services, options)
        gate.connect(app)
        if services.settings.access_log:
            connect_access_log(app)
        context.set_fallback(context_of_request)
        command_line.set_fallback(program_of_request)
        self.api = build_api(app, services, gate, options)
        register_endpoints(self.api, services, options)
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
            additional_claims=self._claims.for_application(),
            machine_names=machine_names(options.credentials),
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
        cors = rest.cors_of_application(host)
        guard = WsgiGuard(host, gate_of(host), application, rule_of(rule), cors)
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

        The sessions of a deleted or disabled user end, and the API keys of a deleted user are
        revoked. Within a second every process refuses the tokens (`ITEMSAPI_REVOCATION_LAG`), and
        the next refresh reads the user again. Without this call a change is known at the next
        refresh, or use of a key.

        Call it in an application context, after your transaction is committed; or, on the same
        database, within it, with its `connection`: see `transaction`. Then it happens just before
        the commit on PostgreSQL, and at once on SQLite. Raise `DatabaseUnavailable`, `TypeError`
        for an id of another type, and `ValueError` for a transaction on PostgreSQL at another
        isolation level than READ COMMITTED.
        """
        services().user_changes.revoke([_id_as_text(each) for each in user_ids], connection)

    def claims(self, function: ClaimsFunction) -> ClaimsFunction:
        """Add the claims that `function(user_id)` returns to every access token, as a decorator.

        It runs at sign-in, refresh and change of password. `current_caller().claims` has them. A
        factory may register one for each application, after `init_app`. See
        [rules.md](rules.md#claims). Raise `ValueError` for a second function of one application,
        and `TypeError` for one that does not take one argument.
        """
        require_one_argument(function, "@auth.claims:", "the id of a user: def tenant(user_id)")

        def load(user_id: str) -> Mapping[str, Any]:
            """Call the function, which may be asynchronous."""
            run = current_app.ensure_sync(function) if has_app_context() else function
            return run(user_id)

        self._claims.register(load)
        return function

    @staticmethod
    def record(
        event: str,
        *,
        connection: HostConnection | None = None,
        user_id: int | str | UUID | None = None,
        session_id: str | None = None,
        caller_id: int | str | UUID | None = None,
        **details: str | int | bool | None,
    ) -> None:
        """Add an event of the application to the audit trail: a name of up to 60 characters.

        `user_id` is whom it concerns, `caller_id` who did it, if that is another user. With
        `connection` it is in that transaction, see `transaction`. The details must contain no
        secret. Raise `DatabaseUnavailable`, and `ValueError` for a name or an id that is too long
        or has characters that are not printable. Call it in an application context.
        """
        user, caller = (
            None if each is None else _id_as_text(each) for each in (user_id, caller_id)
        )
        with AuthLayer.transaction(connection=connection) as tx:
            services().audit.record(
                tx,
                ApplicationEvent(event),
                user_id=user,
                session_id=session_id,
                caller_id=caller,
                **details,
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
        raise TypeError(f"the id of a user cannot be of the type {kind}: pass user.id")
    return str(user_id)
