"""Guessing: how many wrong passwords are taken, wherever a password is asked for.

A try is counted before the password is looked at, and handed back when it was right: a hundred
parallel tries do not get past the counters (S-045). Three counters stand in the way: of one client
at one account, of one client at all accounts, and of all strangers at one account. A client that
got into the account before meets the first alone, so that strangers who use up the other two do not
lock the owner out (S-044).
"""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy.orm import Session

from itemsapi.accounts import clients
from itemsapi.accounts.lookup import Holder
from itemsapi.accounts.names import LONGEST_NAME, normal_name
from itemsapi.accounts.passwords import LONGEST
from itemsapi.issuer.desk import Desk
from itemsapi.observe import origin
from itemsapi.problems import Busy
from itemsapi.throttle import Limit
from itemsapi.web_addresses import UNKNOWN, client_key

WINDOW = timedelta(minutes=15)
TRIES_HERE = 10  # of one client at one account
TRIES_CLIENT = 100  # of one client at all accounts
TRIES_ACCOUNT = 200  # of all clients that never got into this account, at it


@dataclass(frozen=True, slots=True)
class Try:
    """One try at the password of an account: what it counts against, and what it used up."""

    name: str
    client: str
    limits: tuple[Limit, ...]
    used_up: tuple[Limit, ...]


def begin(desk: Desk, username: str) -> Try:
    """Count a try from where the request comes from. Raises `TooMany`; `Busy` counts none."""
    desk.passwords.refuse_if_full()
    name, client = normal_name(username)[:LONGEST_NAME], client_key(origin().address)
    limits = [Limit(("here", name, client), TRIES_HERE, WINDOW)]
    with desk.database.reading() as connection:
        known = client != UNKNOWN and clients.known(connection, name, client, desk.clock())
    if not known:
        limits += [
            Limit(("client", client), TRIES_CLIENT, WINDOW),
            Limit(("account", name), TRIES_ACCOUNT, WINDOW),
        ]
    return Try(name, client, tuple(limits), tuple(desk.throttle.take(limits)))


def matches(desk: Desk, guess: Try, password: str, holder: Holder | None) -> bool:
    """Tell whether the password is right; the work is the same whoever asks (S-184).

    Raises `Busy`, having handed the try back: nothing was looked at.
    """
    shown = password if len(password) <= LONGEST else ""
    try:
        return desk.passwords.matches(shown, holder.password_hash if holder else None)
    except Busy:
        with desk.database.transaction() as tx:
            desk.throttle.succeed(tx, forget=(), give_back=guess.limits)
        raise


def succeed(desk: Desk, tx: Session, guess: Try) -> None:
    """Hand the try back after a right password, and know the client from now on."""
    desk.throttle.succeed(tx, forget=guess.limits[:1], give_back=guess.limits[1:])
    if guess.client != UNKNOWN:  # whoever hides could be any of those who do
        clients.remember(tx, guess.name, guess.client, desk.clock())


def fail(desk: Desk, guess: Try, holder: Holder | None, event: str, *, why: str) -> None:
    """Write a wrong try down, without the name shown: people type passwords there (S-150)."""
    user_id = holder.id if holder else None
    with desk.database.transaction() as tx:
        desk.audit.record(tx, event, user_id=user_id, why=why)
        for limit in guess.used_up:
            desk.audit.record(tx, "authn_login_lock", user_id=user_id, counter=limit.key[0])
