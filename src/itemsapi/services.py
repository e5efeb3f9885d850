"""Services: the record of what an endpoint may call, and how it finds it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import cast

from flask import current_app

from itemsapi.accounts.passwords import Passwords
from itemsapi.audit import Audit
from itemsapi.clock import Clock
from itemsapi.db import Database
from itemsapi.issuer.issuer import Desk
from itemsapi.issuer.roles import Roles
from itemsapi.issuer.users import People
from itemsapi.items.quota import Quota
from itemsapi.items.service import Items
from itemsapi.rate_limits import Throttle
from itemsapi.settings import Settings
from itemsapi.tokens.jwt import LONGEST_LIFE, Codec
from itemsapi.tokens.key_set import KeyRing
from itemsapi.tokens.revocation import Feed
from itemsapi.tokens.scopes import Scope

EXTENSION = "itemsapi"


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Everything behind the gate. An endpoint calls these and nothing else."""

    settings: Settings
    clock: Clock
    database: Database
    ring: KeyRing
    feed: Feed
    codec: Codec
    audit: Audit
    desk: Desk
    people: People
    roles: Roles
    items: Items
    scopes: Callable[[], Mapping[str, Scope]]


def quota_of(settings: Settings) -> Quota:
    """Return how much a user may hold."""
    return Quota(settings.item_limit, settings.item_bytes_limit, settings.idempotency_key_limit)


def services() -> Services:
    """Return the services of the current application."""
    return cast("Services", current_app.extensions[EXTENSION])


def assemble(
    settings: Settings, clock: Clock, scopes: Callable[[], Mapping[str, Scope]]
) -> Services:
    """Put the services together; nothing is opened or read yet.

    `scopes` returns those that the application and its pages know, by name.
    """
    database = Database(settings.database_url, pooler=settings.database_pooler)
    audit = Audit(database, clock)
    ring = KeyRing(database, settings, clock, audit)
    feed = Feed(
        database,
        clock,
        lag=settings.revocation_lag,
        life=timedelta(seconds=LONGEST_LIFE),
    )
    codec = Codec(settings, ring, clock)
    desk = Desk(
        settings=settings,
        database=database,
        clock=clock,
        passwords=Passwords(settings),
        codec=codec,
        feed=feed,
        throttle=Throttle(database, clock),
        audit=audit,
        known_scopes=lambda: frozenset(scopes()),
    )
    return Services(
        settings=settings,
        clock=clock,
        database=database,
        ring=ring,
        feed=feed,
        codec=codec,
        audit=audit,
        desk=desk,
        people=People(desk),
        roles=Roles(desk),
        items=Items(database, clock, quota_of(settings)),
        scopes=scopes,
    )
