"""Introspection without HTTP: what each state of a session and of its user makes of its tokens."""

from datetime import timedelta

import pytest
from sqlalchemy import update

from itemsapi.accounts.models import User
from itemsapi.issuer.introspection import introspect
from itemsapi.issuer.sessions import end_all_sessions
from itemsapi.tokens.sessions import AuthSession
from support.app_factory import Backend
from support.tokens import OpenedSession, open_session, refreshed


@pytest.fixture
def ada(backend: Backend) -> str:
    """The id of a member."""
    return backend.create_user("ada", "member")


@pytest.fixture
def session(backend: Backend, ada: str) -> OpenedSession:
    """A session of ada."""
    return open_session(backend, ada)


def are_active(backend: Backend, session: OpenedSession) -> tuple[bool, bool]:
    """Return whether the access and the refresh token of a session are active."""
    with backend.app.app_context():
        access, refresh = (
            introspect(backend.services.issuer, token)["active"]
            for token in (session.access_token, session.refresh_token)
        )
    return access, refresh


def set_columns(backend: Backend, model: type[AuthSession | User], **values: object) -> None:
    """Change all rows of a table, without a revocation."""
    with backend.services.database.transaction() as tx:
        tx.execute(update(model).values(**values))


def test_the_tokens_of_a_new_session_are_active(backend: Backend, session: OpenedSession) -> None:
    """Both."""
    assert are_active(backend, session) == (True, True)


def test_an_access_token_is_active_when_its_session_was_purged(
    backend: Backend, session: OpenedSession
) -> None:
    """It lives until it expires: nothing revoked it. A refresh token needs its row."""
    with backend.services.database.transaction() as tx:
        tx.execute(AuthSession.core().delete())
    assert are_active(backend, session) == (True, False)


@pytest.mark.parametrize("column", ["disabled_at", "password_expires_at"])
def test_a_refresh_token_is_inactive_when_its_user_may_not_use_it(
    backend: Backend, session: OpenedSession, column: str
) -> None:
    """Disabled, or with a temporary password (S-067, S-119)."""
    set_columns(backend, User, **{column: backend.clock() + timedelta(days=1)})
    assert are_active(backend, session) == (True, False)


def test_a_refresh_token_is_inactive_when_its_session_has_ended(
    backend: Backend, session: OpenedSession
) -> None:
    """Whatever the feed says."""
    set_columns(backend, AuthSession, ended_at=backend.clock())
    assert are_active(backend, session) == (True, False)


@pytest.mark.parametrize(("seconds", "active"), [(-1, True), (0, False)])
def test_a_refresh_token_is_active_until_the_idle_limit(
    backend: Backend, session: OpenedSession, seconds: int, active: bool
) -> None:
    """To the second (S-123)."""
    backend.clock.advance(days=14, seconds=seconds)
    assert are_active(backend, session) == (False, active)


def test_both_tokens_are_inactive_when_all_sessions_were_ended(
    backend: Backend, session: OpenedSession
) -> None:
    """R-19: later sessions are not."""
    end_all_sessions(backend.services.issuer, why="a test")
    assert are_active(backend, session) == (False, False)
    later = open_session(backend, backend.services.users.get_by_name("ada").id)
    assert are_active(backend, later) == (True, True)


def test_only_the_current_refresh_token_is_active(backend: Backend, session: OpenedSession) -> None:
    """The access token of the generation before is valid until it expires."""
    refreshed(backend, session.refresh_token)
    assert are_active(backend, session) == (True, False)


def test_the_token_of_a_user_who_must_change_their_password_is_inactive(
    backend: Backend, ada: str
) -> None:
    """It permits nothing at other services (S-119)."""
    set_columns(backend, User, password_expires_at=backend.clock() + timedelta(days=1))
    assert are_active(backend, open_session(backend, ada)) == (False, False)


def is_seen(backend: Backend, sid: str) -> bool:
    """Return whether the generation of a session counts as seen."""
    with backend.services.database.transaction() as tx:
        return tx.get_one(AuthSession, sid).seen


@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
def test_a_successor_is_seen_when_it_is_introspected(
    backend: Backend, session: OpenedSession, kind: str
) -> None:
    """Its predecessor is a copy from then on (S-062)."""
    successor = refreshed(backend, session.refresh_token)
    assert not is_seen(backend, session.session_id)
    with backend.app.app_context():
        introspect(backend.services.issuer, successor[kind])
    assert is_seen(backend, session.session_id)


def test_a_successor_is_not_seen_when_its_predecessor_is_introspected(
    backend: Backend, session: OpenedSession
) -> None:
    """Its response may have been lost, and must heal (S-062)."""
    refreshed(backend, session.refresh_token)
    are_active(backend, session)
    assert not is_seen(backend, session.session_id)
