"""The session of a sign-in: its name in lists, its tokens and their limits."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from itemsapi.accounts.models import User
from itemsapi.clock import unix_seconds
from itemsapi.issuer.issuer import Grant
from itemsapi.issuer.login import LoginRequest, login
from itemsapi.issuer.sessions import list_open_sessions, logout
from itemsapi.observability.context import (
    RequestContext,
    reset_request_context,
    set_request_context,
)
from itemsapi.testing import PASSWORD
from itemsapi.testing.tokens import decode_part
from itemsapi.tokens.sessions import AuthSession
from support.app_factory import Backend
from support.tokens import open_session, refreshed


@pytest.fixture
def ada(backend: Backend) -> str:
    """The id of a member."""
    return backend.create_user("ada", "member")


@pytest.fixture
def come_from() -> Iterator[Callable[..., object]]:
    """Set the client of the work in progress."""
    before = set_request_context(RequestContext())
    yield lambda **client: set_request_context(RequestContext(**client))
    reset_request_context(before)


def sign_in(backend: Backend, **fields: Any) -> Grant:
    """Sign ada in."""
    return login(backend.services.issuer, LoginRequest("ada", PASSWORD, **fields))


def only_session(backend: Backend, user_id: str) -> dict[str, Any]:
    """Return the one session of a user."""
    (session,) = list_open_sessions(backend.services.issuer, user_id)
    return session


def test_no_secret_is_in_the_repr_of_a_sign_in(backend: Backend, ada: str) -> None:
    """Neither in that of its request nor in that of its tokens: both may get into a log (S-150)."""
    request = LoginRequest("ada", PASSWORD)
    grant = login(backend.services.issuer, request)
    shown = repr(request) + repr(grant)
    secrets = (request.password, grant.access_token, str(grant.refresh_token))
    assert [secret for secret in secrets if secret in shown] == []


@pytest.mark.parametrize(
    ("label", "user_agent", "device"),
    [
        ("Tablet", "Phone/1.0", "Tablet"),
        (" Tablet\t", "Phone/1.0", "Tablet"),
        (None, "Phone/1.0", "Phone/1.0"),
        ("  ", " Phone/1.0 ", "Phone/1.0"),
        (None, "", "unknown device"),
        ("d" * 121, "", "d" * 120),
        (None, "p" * 121, "p" * 120),
    ],
)
def test_a_session_has_the_name_of_its_device(  # noqa: PLR0913, PLR0917 - fixtures and three names
    backend: Backend,
    ada: str,
    come_from: Callable[..., object],
    label: str | None,
    user_agent: str,
    device: str,
) -> None:
    """The label of the sign-in, else the user agent; 120 visible characters at most (S-125)."""
    come_from(user_agent=user_agent)
    sign_in(backend, device=label)
    assert only_session(backend, ada)["device"] == device


def test_a_long_address_is_cut_to_its_column(
    backend: Backend, ada: str, come_from: Callable[..., object]
) -> None:
    """PostgreSQL would reject it."""
    come_from(address="a" * 65)
    sign_in(backend)
    assert only_session(backend, ada)["address"] == "a" * 64


@pytest.mark.parametrize(("at", "expires"), [(0, 14), (13, 27), (26, 28)])
def test_a_refresh_token_expires_with_the_earlier_limit(
    make_backend: Callable[..., Backend], at: int, expires: int
) -> None:
    """Fourteen days after the last refresh, or with the session, after 28 (S-064, S-123)."""
    backend = make_backend(session_max_age=timedelta(days=28))
    started_at = backend.clock()
    token = open_session(backend, backend.create_user("ada", "member")).refresh_token
    for day in range(13, at + 1, 13):
        backend.clock.current = started_at + timedelta(days=day)
        token = refreshed(backend, token)["refresh_token"]
    assert decode_part(token, 1)["exp"] == unix_seconds(started_at + timedelta(days=expires))


def test_a_logout_of_a_purged_session_is_no_error(backend: Backend, ada: str) -> None:
    """R-25: there is nothing left to end."""
    token = open_session(backend, ada).refresh_token
    with backend.services.database.transaction() as tx:
        tx.execute(AuthSession.core().delete())
    logout(backend.services.issuer, token, delivery="body")
    assert list_open_sessions(backend.services.issuer, ada) == []


@pytest.mark.parametrize(("delivery", "left"), [("body", 0), ("cookie", 1)])
def test_a_logout_ends_only_a_session_of_its_delivery(
    backend: Backend, ada: str, delivery: str, left: int
) -> None:
    """A token that was stolen from a body ends nothing as a cookie."""
    token = open_session(backend, ada).refresh_token
    logout(backend.services.issuer, token, delivery=delivery)
    assert len(list_open_sessions(backend.services.issuer, ada)) == left


@pytest.fixture
def limited(make_backend: Callable[..., Backend]) -> Backend:
    """An application in which a user has one session, and eve has hers."""
    backend = make_backend(session_limit=1, session_max_age=timedelta(days=20))
    open_session(backend, backend.create_user("eve", "member"))
    return backend


def open_ids(backend: Backend, user_id: str) -> list[str]:
    """Return the ids of the rows of a user's sessions that have not ended."""
    with backend.services.database.transaction() as tx:
        rows = tx.query(AuthSession).filter_by(user_id=user_id, ended_at=None)
        return [row.id for row in rows]


def test_the_oldest_session_of_the_user_ends_above_the_limit(limited: Backend) -> None:
    """Those of other users do not count, nor do they end (S-124)."""
    ada = limited.create_user("ada", "member")
    ids = [open_session(limited, ada).session_id for _ in range(3)]
    assert open_ids(limited, ada) == ids[-1:]
    assert len(open_ids(limited, limited.services.users.get_by_name("eve").id)) == 1


@pytest.mark.parametrize(
    ("column", "seconds", "ends"),
    [
        ("expires_at", 0, False),
        ("expires_at", 1, True),
        ("rotated_at", -14 * 86400, False),
        ("rotated_at", -14 * 86400 + 1, True),
    ],
)
def test_a_session_counts_towards_the_limit_while_it_is_alive(
    limited: Backend, column: str, seconds: int, ends: bool
) -> None:
    """To the second; one at a limit is over anyway (S-124)."""
    ada = limited.create_user("ada", "member")
    old = open_session(limited, ada).session_id
    at = limited.clock() + timedelta(seconds=seconds)
    with limited.services.database.transaction() as tx:
        setattr(tx.get_one(AuthSession, old), column, at)
    open_session(limited, ada)
    assert (old not in open_ids(limited, ada)) is ends


def test_a_temporary_password_is_accepted_until_it_expires(backend: Backend, ada: str) -> None:
    """To the second (S-119)."""
    user = backend.services.users.get(ada)
    expires_at = backend.clock() + timedelta(seconds=1)
    with backend.services.database.transaction() as tx:
        tx.get_one(User, user.id).password_expires_at = expires_at
    assert sign_in(backend).access_token
    backend.clock.advance(seconds=1)
    body = {"username": "ada", "password": PASSWORD}
    assert backend.client().post("/auth/login", json=body).status_code == 401
