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

from itemsapi.accounts import known_clients, repository
from itemsapi.accounts.repository import IssuerUser
from itemsapi.accounts.usernames import MAX_USERNAME_LENGTH, normalize_username
from itemsapi.issuer.issuer import Issuer
from itemsapi.observability.logging import request_context
from itemsapi.problems import Problem, TooMany
from itemsapi.rate_limits import Limit, Reservation
from itemsapi.web_addresses import UNKNOWN, client_key

THROTTLING_WINDOW = timedelta(minutes=15)
MAX_ATTEMPTS_PER_USER_AND_CLIENT = 10  # of one client at one account
MAX_ATTEMPTS_PER_CLIENT = 100  # of one client at all accounts
MAX_ATTEMPTS_PER_USER = 200  # of all clients at one account; a known one's right password passes

MAX_VERIFICATIONS = (
    3  # at a password whose hash is replaced meanwhile, by a sign-in with newer parameters
)


class CredentialsChanged(Exception):
    """What is stored changed while the password was being looked at: look again."""


@dataclass(slots=True)
class LoginAttempt:
    """One try at the password of an account, by a client that got in before (`known`) or not."""

    name: str
    client: str
    known: bool
    hold: Reservation
    judged: bool = False

    @property
    def locked_out(self) -> bool:
        """Whether not even the right password gets in."""
        return bool(self.hold.wait) and not self.known


@contextmanager
def login_attempt(issuer: Issuer, username: str) -> Iterator[LoginAttempt]:
    """Hold a try, from where the request comes from, while its password is looked at.

    Whatever ends the block before the password was found wrong hands the try back (S-079). Raises
    `TooMany`; `Busy` holds none.
    """
    issuer.password_service.refuse_if_full()
    name, client = (
        normalize_username(username)[:MAX_USERNAME_LENGTH],
        client_key(request_context().address),
    )
    with issuer.database.reading() as connection:
        known = client != UNKNOWN and known_clients.is_known_client(
            connection, name, client, issuer.clock()
        )
        issuer.password_service.survey(lambda: repository.hash_parameters(connection))
    guess = LoginAttempt(name, client, known, issuer.attempt_limiter.reserve(_limits(name, client)))
    try:
        yield guess
    except BaseException:
        if not guess.judged:
            issuer.attempt_limiter.release(guess.hold)
        raise


def _limits(name: str, client: str) -> tuple[Limit, ...]:
    return (
        Limit(("here", name, client), MAX_ATTEMPTS_PER_USER_AND_CLIENT, THROTTLING_WINDOW),
        Limit(("client", client), MAX_ATTEMPTS_PER_CLIENT, THROTTLING_WINDOW),
        Limit(("account", name), MAX_ATTEMPTS_PER_USER, THROTTLING_WINDOW, firm=False),
    )


def matches(issuer: Issuer, guess: LoginAttempt, password: str, user: IssuerUser | None) -> bool:
    """Tell whether the password gets in; the work is the same whoever asks (S-184)."""
    seen = None if guess.locked_out else user
    return issuer.password_service.matches(password, seen.password_hash if seen else None)


def succeed(issuer: Issuer, tx: Session, guess: LoginAttempt) -> None:
    """Hand the try back after a right password, and know the client from now on."""
    issuer.attempt_limiter.succeed(tx, guess.hold)
    if guess.client != UNKNOWN:  # whoever hides could be any of those who do
        known_clients.remember_client(tx, guess.name, guess.client, issuer.clock())


def fail(  # noqa: PLR0913 - what happened, to whom, and what they are told
    issuer: Issuer,
    guess: LoginAttempt,
    user: IssuerUser | None,
    event: str,
    *,
    why: str,
    told: Problem,
) -> Problem:
    """Count a wrong try, write it down, and return the refusal.

    The name shown is not written: people type passwords there (S-150).
    """
    guess.judged = True
    user_id = user.id if user else None
    with issuer.database.transaction() as tx:
        used_up = issuer.attempt_limiter.fail(tx, guess.hold)
        issuer.audit.record(tx, event, user_id=user_id, why="locked" if guess.locked_out else why)
        for limit in used_up:
            issuer.audit.record(tx, "authn_login_lock", user_id=user_id, counter=limit.key[0])
    return TooMany(guess.hold.wait) if guess.hold.wait else told
