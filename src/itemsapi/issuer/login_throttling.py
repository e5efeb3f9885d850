"""Login throttling: limit the wrong passwords, wherever a password is verified.

An attempt is reserved before the password is verified and counts while it is reserved: a hundred
parallel attempts do not exceed the limits (S-045). Only a wrong password is counted permanently
(S-079). Three limits apply to all users alike (docs/adr/0008): attempts of one client for one user,
of one client for all users, and of all clients for one user. When the last one is reached, a client
that signed in as this user before can still sign in: other clients cannot lock a user out (S-044).
They get the response to a wrong password, after the same work (S-113).

Attempts are counted by a form of the name that many spellings share.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy.orm import Session

from itemsapi.accounts.users import UserAccount
from itemsapi.attempt_limits import Limit, Reservation
from itemsapi.audit import EventName
from itemsapi.issuer.issuer import Issuer
from itemsapi.issuer.known_clients import is_known_client, remember_client
from itemsapi.observability.context import request_context
from itemsapi.problems import Problem, TooManyRequests
from itemsapi.web_addresses import UNKNOWN_ADDRESS, client_key

THROTTLING_WINDOW = timedelta(minutes=15)
MAX_ATTEMPTS_PER_USER_AND_CLIENT = 10
MAX_ATTEMPTS_PER_CLIENT = 100
MAX_ATTEMPTS_PER_USER = 200  # a known client can still sign in with the correct password
# Another sign-in may replace the hash meanwhile, if its parameters are outdated: verify again.
MAX_VERIFICATIONS = 3


@dataclass(slots=True)
class LoginAttempt:
    """One attempt at the password of a user; a known client signed in as this user before."""

    client: str
    reservation: Reservation
    is_known_client: bool = False
    is_counted: bool = False

    @property
    def is_locked_out(self) -> bool:
        """Return whether even the correct password is rejected."""
        return bool(self.reservation.wait_seconds) and not self.is_known_client


@contextmanager
def login_attempt(issuer: Issuer, username: str) -> Iterator[LoginAttempt]:
    """Reserve an attempt of the current request's client for the time of the verification.

    Release it if the block raises before `record_failure` counted it (S-079). Raise
    `TooManyRequests` if a limit is reached, and `Busy` before anything is reserved.
    """
    issuer.password_service.require_capacity()
    name = issuer.users.attempt_name(username)
    client = client_key(request_context().address)
    issuer.password_service.refresh_parameters(issuer.users.password_hashes)
    attempt = LoginAttempt(client, issuer.attempt_limiter.reserve(_limits(name, client)))
    try:
        yield attempt
    except BaseException:
        if not attempt.is_counted:
            issuer.attempt_limiter.release(attempt.reservation)
        raise


def _limits(name: str, client: str) -> tuple[Limit, ...]:
    return (
        Limit(
            ("user and client", name, client), MAX_ATTEMPTS_PER_USER_AND_CLIENT, THROTTLING_WINDOW
        ),
        Limit(("client", client), MAX_ATTEMPTS_PER_CLIENT, THROTTLING_WINDOW),
        Limit(("user", name), MAX_ATTEMPTS_PER_USER, THROTTLING_WINDOW, enforced=False),
    )


def password_matches(
    issuer: Issuer, attempt: LoginAttempt, password: str, user: UserAccount | None
) -> bool:
    """Return whether the password is accepted; the work is the same in every case (S-184)."""
    attempt.is_known_client = _knows_client(issuer, attempt.client, user)
    stored = None if user is None or attempt.is_locked_out else user.password_hash
    return issuer.password_service.matches(password, stored)


def _knows_client(issuer: Issuer, client: str, user: UserAccount | None) -> bool:
    """Return whether a client is a known one of the user; the database is asked in every case."""
    user_id = user.id if user else ""
    is_known = is_known_client(issuer.database, user_id, client, issuer.clock())
    return is_known and client != UNKNOWN_ADDRESS


def record_success(issuer: Issuer, tx: Session, attempt: LoginAttempt, user_id: str) -> None:
    """Release the attempt after a correct password, and remember the client."""
    issuer.attempt_limiter.succeed(tx, attempt.reservation)
    if attempt.client != UNKNOWN_ADDRESS:  # all clients without an address would look the same
        remember_client(tx, user_id, attempt.client, issuer.clock())


def record_failure(  # noqa: PLR0913 - the event and its response
    issuer: Issuer,
    attempt: LoginAttempt,
    user: UserAccount | None,
    event: EventName,
    *,
    why: str,
    problem: Problem,
) -> Problem:
    """Count a failed attempt, record it in the audit trail, and return the problem to raise.

    The submitted user name is not recorded: users type passwords there by mistake (S-150).
    """
    attempt.is_counted = True
    user_id = user.id if user else None
    with issuer.database.transaction() as tx:
        reached = issuer.attempt_limiter.fail(tx, attempt.reservation)
        reason = "locked" if attempt.is_locked_out else why
        issuer.audit.record(tx, event, user_id=user_id, why=reason)
        for limit in reached:
            issuer.audit.record(tx, "authn_login_lock", user_id=user_id, counter=limit.key[0])
    wait_seconds = attempt.reservation.wait_seconds
    return TooManyRequests(wait_seconds) if wait_seconds else problem
