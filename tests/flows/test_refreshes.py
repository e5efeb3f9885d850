"""A refresh without HTTP: whose token it is, and which scopes the new tokens have."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import update

from itemsapi.accounts.models import COMMAND_LINE, User
from itemsapi.issuer.issuer import Grant
from itemsapi.issuer.refresh import RefreshRequest, refresh
from itemsapi.issuer.sessions import end_all_sessions
from itemsapi.problems import RefreshInvalid, RefreshReused, ScopeInvalid
from itemsapi.testing.tokens import decode_part
from itemsapi.tokens.revocation import ALL_USERS
from itemsapi.tokens.scopes import PASSWORD_CHANGE
from itemsapi.tokens.sessions import AuthSession
from support.app_factory import Backend
from support.tokens import OpenedSession, event_details, open_session


@pytest.fixture
def ada(backend: Backend) -> str:
    """The id of a member."""
    return backend.create_user("ada", "member")


@pytest.fixture
def session(backend: Backend, ada: str) -> OpenedSession:
    """A session of ada."""
    return open_session(backend, ada)


def refreshed(
    backend: Backend, token: str | None, delivery: str = "body", scope: str | None = None
) -> Grant:
    """Refresh a token."""
    assert token is not None
    return refresh(backend.services.issuer, token, RefreshRequest(delivery, scope))


def set_columns(backend: Backend, model: type[AuthSession | User], **values: object) -> None:
    """Change all rows of a table, without a revocation."""
    with backend.services.database.transaction() as tx:
        tx.execute(update(model).values(**values))


def test_a_refresh_returns_the_scopes_of_the_roles(
    backend: Backend, session: OpenedSession
) -> None:
    """All, or those that are requested (RFC 6749 section 6)."""
    whole = refreshed(backend, session.refresh_token)
    assert whole.scope == "items:read items:write"
    narrowed = refreshed(backend, whole.refresh_token, scope="items:read")
    assert narrowed.scope == "items:read"


@pytest.mark.parametrize("scope", ["users:read", "items:read users:read", "a  b"])
def test_a_scope_that_the_user_lacks_is_rejected(
    backend: Backend, session: OpenedSession, scope: str
) -> None:
    """And the token is not used up (S-065)."""
    with pytest.raises(ScopeInvalid):
        refreshed(backend, session.refresh_token, scope=scope)
    assert refreshed(backend, session.refresh_token).scope == "items:read items:write"


def test_a_refresh_returns_no_scope_that_was_not_requested_at_sign_in(
    backend: Backend, session: OpenedSession
) -> None:
    """The session is narrowed (S-065)."""
    set_columns(backend, AuthSession, scope="items:read users:read")
    assert refreshed(backend, session.refresh_token).scope == "items:read"


def test_a_user_with_a_temporary_password_gets_only_the_scope_of_its_change(
    backend: Backend, session: OpenedSession
) -> None:
    """Whatever is requested (S-119)."""
    set_columns(backend, User, password_expires_at=backend.clock() + timedelta(days=1))
    grant = refreshed(backend, session.refresh_token, scope="items:read")
    assert grant.scope == PASSWORD_CHANGE.name


@pytest.mark.parametrize("delivery", ["cookie", ""])
def test_a_refresh_is_rejected_when_the_delivery_is_not_that_of_the_session(
    backend: Backend, session: OpenedSession, delivery: str
) -> None:
    """And the token is not used up."""
    with pytest.raises(RefreshInvalid):
        refreshed(backend, session.refresh_token, delivery)
    assert refreshed(backend, session.refresh_token).delivery == "body"


Change = Callable[[Backend], None]
CHANGES: dict[str, Change] = {
    "disabled": lambda backend: set_columns(backend, User, disabled_at=backend.clock()),
    "password expired": lambda backend: set_columns(
        backend, User, password_expires_at=backend.clock()
    ),
    "session ended": lambda backend: set_columns(backend, AuthSession, ended_at=backend.clock()),
    "all sessions ended": lambda backend: end_all_sessions(backend.services.issuer, why="a test"),
    "idle": lambda backend: backend.clock.advance(days=14),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_refresh_is_rejected_when_user_or_session_are_over(
    backend: Backend, session: OpenedSession, change: str
) -> None:
    """It is no reuse (S-062)."""
    CHANGES[change](backend)
    with pytest.raises(RefreshInvalid):
        refreshed(backend, session.refresh_token)
    assert event_details(backend, "token_reuse") == []


def test_a_refresh_is_rejected_when_the_session_belongs_to_another_user(
    backend: Backend, session: OpenedSession
) -> None:
    """The row decides."""
    eve = backend.create_user("eve", "member")
    set_columns(backend, AuthSession, user_id=eve)
    with pytest.raises(RefreshInvalid):
        refreshed(backend, session.refresh_token)


def test_a_refresh_is_rejected_when_the_session_was_purged(
    backend: Backend, session: OpenedSession
) -> None:
    """Its token is not reported as reused."""
    with backend.services.database.transaction() as tx:
        tx.execute(AuthSession.core().delete())
    with pytest.raises(RefreshInvalid):
        refreshed(backend, session.refresh_token)


def test_a_reused_token_ends_its_session_for_good(backend: Backend, session: OpenedSession) -> None:
    """The end is stored although the request fails, with its cause (S-062, S-149)."""
    first = refreshed(backend, session.refresh_token)
    second = refreshed(backend, first.refresh_token)
    backend.clock.advance(minutes=5)
    with pytest.raises(RefreshReused):
        refreshed(backend, session.refresh_token)
    with pytest.raises(RefreshInvalid):
        refreshed(backend, second.refresh_token)
    assert [event["gen"] for event in event_details(backend, "token_reuse")] == [1]


@pytest.mark.parametrize("everybody", [False, True])
def test_a_refreshed_access_token_is_accepted_after_a_revocation_of_all_before(
    backend: Backend, ada: str, session: OpenedSession, everybody: bool
) -> None:
    """It has the later epoch: that of the user, or that of all users (S-183)."""
    backend.services.users.change(COMMAND_LINE, ada, None, roles=["reader"])
    if everybody:
        with backend.services.database.transaction() as tx:
            backend.services.revocation_feed.revoke(tx, ALL_USERS)
    grant = refreshed(backend, session.refresh_token)
    assert backend.bearer_client(grant.access_token).get("/me").status_code == 200
    assert not decode_part(grant.access_token, 1)["fresh"]
