"""Every service of an application, in one record, composed from the settings.

Nothing here needs Flask, and what does is imported when it is used: commands work with the same
services, without an application.
"""

import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cache, partial
from typing import TYPE_CHECKING

from itemsapi.accounts.passwords import PasswordService
from itemsapi.accounts.users import Users, users_name
from itemsapi.attempt_limits import AttemptLimiter
from itemsapi.audit import Audit
from itemsapi.clock import Clock, Timer
from itemsapi.db import LAYER_USERS, Database
from itemsapi.db.schema_probe import SchemaProbe
from itemsapi.issuer.additional_claims import AdditionalClaims
from itemsapi.issuer.api_key_lookup import ApiKeyLookup
from itemsapi.issuer.api_keys import ApiKeyService
from itemsapi.issuer.issuer import Issuer
from itemsapi.issuer.roles import RoleService
from itemsapi.issuer.user_changes import UserChanges
from itemsapi.issuer.user_source import ApplicationUsers, LayerUsers
from itemsapi.issuer.users import UserService
from itemsapi.items.quota import Quota
from itemsapi.items.service import ItemService
from itemsapi.settings import Settings
from itemsapi.tokens.claims import MAX_LIFETIME_SECONDS
from itemsapi.tokens.key_set import KeySet
from itemsapi.tokens.revocation import RevocationFeed
from itemsapi.tokens.scopes import BUILTIN_SCOPES, Scope, ScopeRegistry

if TYPE_CHECKING:
    from itemsapi.tokens.jwt import TokenCodec


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Everything behind the gate, for the endpoints.

    The flows of sign-in and sessions are functions that take `issuer`, and only the sign-in
    endpoints import them: `login(services().issuer, ...)`.
    """

    settings: Settings
    url_prefix: str
    clock: Clock
    database: Database
    schema_probe: SchemaProbe
    key_set: KeySet
    revocation_feed: RevocationFeed
    audit: Audit
    issuer: Issuer
    users: UserService
    user_changes: UserChanges
    roles: RoleService
    api_keys: ApiKeyService
    api_key_lookup: ApiKeyLookup
    items: ItemService

    @property
    def token_codec(self) -> "TokenCodec":
        """The codec of the issuer's tokens."""
        return self.issuer.token_codec

    @property
    def has_layer_users(self) -> bool:
        """Whether the users are those of the layer, and not those of an application."""
        return isinstance(self.issuer.users, LayerUsers)

    @property
    def base_url(self) -> str:
        """The public address under which the endpoints of the layer begin."""
        return f"{self.settings.public_url}{self.url_prefix}"

    @property
    def problems_url(self) -> str:
        """The address of the page that explains the problems.

        Without the part `docs` there is no page, and the `type` of a problem is only an identifier
        (RFC 9457 section 3.1.1).
        """
        return f"{self.base_url}/docs/problems"

    def scopes(self) -> Mapping[str, Scope]:
        """Return the scopes of the application and its blueprints, by name."""
        return self.issuer.scope_registry.by_name


def quota_of(settings: Settings) -> Quota:
    """Return the quota of each user."""
    return Quota(settings.item_limit, settings.item_bytes_limit, settings.idempotency_key_limit)


def build_services(  # noqa: PLR0913 - the options of the layer
    settings: Settings,
    clock: Clock,
    *,
    users: Users | None = None,
    monotonic: Timer = time.monotonic,
    url_prefix: str = "",
    items: bool = True,
    scopes: Iterable[Scope] = BUILTIN_SCOPES,
    additional_claims: AdditionalClaims | None = None,
    machine_names: Collection[str] = (),
) -> Services:
    """Build the services; nothing is opened or read yet. `users` are those of an application.

    `items` tells whether the application has the Items API. The scope registry starts with
    `scopes`, by default those of the Items API; the gate adds those of an application's routes. A
    user whose id is one of `machine_names`, or begins with one and a colon, counts as disabled.
    """
    database = Database(
        settings.database_url,
        pooler=settings.database_pooler,
        migrations=settings.migrations,
        items=items,
        users=LAYER_USERS if users is None else users_name(users),
    )
    audit, registry = Audit(database, clock), ScopeRegistry(scopes)
    key_set = KeySet(database, settings, clock, audit, monotonic=monotonic)
    issuer = Issuer(
        settings=settings,
        database=database,
        clock=clock,
        users=_user_source(users, database, clock, registry, machine_names),
        password_service=PasswordService(settings),
        load_token_codec=cache(partial(_token_codec, settings, key_set, clock)),
        revocation_feed=_revocation_feed(settings, database, clock, monotonic),
        attempt_limiter=AttemptLimiter(database, clock),
        audit=audit,
        scope_registry=registry,
        additional_claims=additional_claims or AdditionalClaims(),
    )
    return _services_around(issuer, key_set, url_prefix, monotonic)


def _token_codec(settings: Settings, key_set: KeySet, clock: Clock) -> "TokenCodec":
    """Return the codec. Its libraries take as long to import as half of the others together."""
    from itemsapi.tokens.jwt import TokenCodec  # noqa: PLC0415

    return TokenCodec(settings, key_set, clock)


def _user_source(
    users: Users | None,
    database: Database,
    clock: Clock,
    registry: ScopeRegistry,
    machine_names: Collection[str],
) -> LayerUsers | ApplicationUsers:
    """Return where the issuer finds users: in the layer's own tables, or in an application."""
    if users is None:
        return LayerUsers(database, clock, registry)
    return ApplicationUsers(users, database, clock, registry, machine_names)


def _revocation_feed(
    settings: Settings, database: Database, clock: Clock, monotonic: Timer
) -> RevocationFeed:
    """Return the revocations, each kept as long as an access token can live."""
    return RevocationFeed(
        database,
        clock,
        lag=settings.revocation_lag,
        token_lifetime=timedelta(seconds=MAX_LIFETIME_SECONDS),
        monotonic=monotonic,
    )


def _services_around(
    issuer: Issuer, key_set: KeySet, url_prefix: str, monotonic: Timer
) -> Services:
    """Return what endpoints call: the parts of the issuer, and the services on top of it."""
    api_key_lookup = ApiKeyLookup(issuer, monotonic)
    return Services(
        settings=issuer.settings,
        url_prefix=url_prefix,
        clock=issuer.clock,
        database=issuer.database,
        schema_probe=SchemaProbe(issuer.database),
        key_set=key_set,
        revocation_feed=issuer.revocation_feed,
        audit=issuer.audit,
        issuer=issuer,
        users=UserService(issuer),
        user_changes=UserChanges(issuer),
        roles=RoleService(issuer),
        api_keys=ApiKeyService(issuer, api_key_lookup.forget),
        api_key_lookup=api_key_lookup,
        items=ItemService(issuer.database, issuer.clock, quota_of(issuer.settings)),
    )
