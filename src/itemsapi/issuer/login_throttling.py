"""Guessing: how many wrong passwords are taken, wherever a password is asked for.

A try is held before the password is looked at and counts meanwhile: a hundred parallel tries do not
get past the limits (S-045). Only a wrong one is counted for good (S-079). Three limits stand in the
way, and count everybody alike (docs/adr/0008): of one client at one account, of one client at all
accounts, and of all clients at one account. Where the last is used up, the password of whoever got
into the account from here before is looked at nevertheless, and gets them in: strangers lock no
owner out (S-044). Everybody else is told the same as if it had been a wrong one, after the same
work (S-113).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy.orm import Session

from itemsapi.accounts import known_clients, lookup
from itemsapi.accounts.lookup import Holder
from itemsapi.accounts.usernames import LONGEST_NAME, normal_name
from itemsapi.issuer.issuer import Desk
from itemsapi.observability.logging import origin
from itemsapi.problems import Problem, TooMany
from itemsapi.rate_limits import Hold, Limit
from itemsapi.web_addresses import UNKNOWN, client_key

WINDOW = timedelta(minutes=15)
TRIES_HERE = 10  # of one client at one account
TRIES_CLIENT = 100  # of one client at all accounts
TRIES_ACCOUNT = 200  # of all clients at one account; a known one's right password passes

LOOKS = 3  # at a password whose hash is replaced meanwhile, by a sign-in with newer parameters


class Changed(Exception):
    """What is stored changed while the password was being looked at: look again."""


@dataclass(slots=True)
class Try:
    """One try at the password of an account, by a client that got in before (`known`) or not."""

    name: str
    client: str
    known: bool
    hold: Hold
    judged: bool = False

    @property
    def locked_out(self) -> bool:
        """Whether not even the right password gets in."""
        return bool(self.hold.wait) and not self.known


@contextmanager
def trying(desk: Desk, username: str) -> Iterator[Try]:
    """Hold a try, from where the request comes from, while its password is looked at.

    Whatever ends the block before the password was found wrong hands the try back (S-079). Raises
    `TooMany`; `Busy` holds none.
    """
    desk.passwords.refuse_if_full()
    name, client = normal_name(username)[:LONGEST_NAME], client_key(origin().address)
    with desk.database.reading() as connection:
        known = client != UNKNOWN and known_clients.known(connection, name, client, desk.clock())
        desk.passwords.survey(lambda: lookup.hash_heads(connection))
    guess = Try(name, client, known, desk.throttle.hold(_limits(name, client)))
    try:
        yield guess
    except BaseException:
        if not guess.judged:
            desk.throttle.let_go(guess.hold)
        raise


def _limits(name: str, client: str) -> tuple[Limit, ...]:
    return (
        Limit(("here", name, client), TRIES_HERE, WINDOW),
        Limit(("client", client), TRIES_CLIENT, WINDOW),
        Limit(("account", name), TRIES_ACCOUNT, WINDOW, firm=False),
    )


def matches(desk: Desk, guess: Try, password: str, holder: Holder | None) -> bool:
    """Tell whether the password gets in; the work is the same whoever asks (S-184)."""
    seen = None if guess.locked_out else holder
    return desk.passwords.matches(password, seen.password_hash if seen else None)


def succeed(desk: Desk, tx: Session, guess: Try) -> None:
    """Hand the try back after a right password, and know the client from now on."""
    desk.throttle.pass_over(tx, guess.hold)
    if guess.client != UNKNOWN:  # whoever hides could be any of those who do
        known_clients.remember(tx, guess.name, guess.client, desk.clock())


def fail(  # noqa: PLR0913 - what happened, to whom, and what they are told
    desk: Desk, guess: Try, holder: Holder | None, event: str, *, why: str, told: Problem
) -> Problem:
    """Count a wrong try, write it down, and return the refusal.

    The name shown is not written: people type passwords there (S-150).
    """
    guess.judged = True
    user_id = holder.id if holder else None
    with desk.database.transaction() as tx:
        used_up = desk.throttle.count(tx, guess.hold)
        desk.audit.record(tx, event, user_id=user_id, why="locked" if guess.locked_out else why)
        for limit in used_up:
            desk.audit.record(tx, "authn_login_lock", user_id=user_id, counter=limit.key[0])
    return TooMany(guess.hold.wait) if guess.hold.wait else told
