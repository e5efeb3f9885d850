"""Services: the record of what an endpoint may call, and how it finds it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import cast

from flask import current_app

from itemsapi.accounts.passwords import PasswordService
from itemsapi.audit import Audit
from itemsapi.clock import Clock
from itemsapi.db import Database
from itemsapi.issuer.issuer import Issuer
from itemsapi.issuer.roles import RoleService
from itemsapi.issuer.users import UserService
from itemsapi.items.quota import Quota
from itemsapi.items.service import ItemService
from itemsapi.rate_limits import AttemptLimiter
from itemsapi.settings import Settings
from itemsapi.tokens.jwt import MAX_LIFETIME_SECONDS, TokenCodec
from itemsapi.tokens.key_set import KeySet
from itemsapi.tokens.revocation import RevocationFeed
from itemsapi.tokens.scopes import Scope

EXTENSION = "itemsapi"


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Everything behind the gate. An endpoint calls these and nothing else."""

    settings: Settings
    clock: Clock
    database: Database
    key_set: KeySet
    revocation_feed: RevocationFeed
    token_codec: TokenCodec
    audit: Audit
    issuer: Issuer
    users: UserService
    roles: RoleService
    items: ItemService
    scopes: Callable[[], Mapping[str, Scope]]


def quota_of(settings: Settings) -> Quota:
    """Return how much a user may hold."""
    return Quota(settings.item_limit, settings.item_bytes_limit, settings.idempotency_key_limit)


def services() -> Services:
    """Return the services of the current application."""
    return cast("Services", current_app.extensions[EXTENSION])


def build_services(
    settings: Settings, clock: Clock, scopes: Callable[[], Mapping[str, Scope]]
) -> Services:
    """Put the services together; nothing is opened or read yet.

    `scopes` returns those that the application and its pages know, by name.
    """
    database = Database(settings.database_url, pooler=settings.database_pooler)
    audit = Audit(database, clock)
    ring = KeySet(database, settings, clock, audit)
    feed = RevocationFeed(
        database,
        clock,
        lag=settings.revocation_lag,
        life=timedelta(seconds=MAX_LIFETIME_SECONDS),
    )
    codec = TokenCodec(settings, ring, clock)
    desk = Issuer(
        settings=settings,
        database=database,
        clock=clock,
        password_service=PasswordService(settings),
        token_codec=codec,
        revocation_feed=feed,
        attempt_limiter=AttemptLimiter(database, clock),
        audit=audit,
        known_scopes=lambda: frozenset(scopes()),
    )
    return Services(
        settings=settings,
        clock=clock,
        database=database,
        key_set=ring,
        revocation_feed=feed,
        token_codec=codec,
        audit=audit,
        issuer=desk,
        users=UserService(desk),
        roles=RoleService(desk),
        items=ItemService(database, clock, quota_of(settings)),
        scopes=scopes,
    )
