"""How sessions are listed and ended, without HTTP (S-125)."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from itemsapi.accounts.user_state import StoredUserState
from itemsapi.issuer import sessions
from itemsapi.issuer.passwords import PasswordChange, change_password
from itemsapi.problems import NotFound
from itemsapi.testing import PASSWORD
from itemsapi.tokens.sessions import AuthSession
from support.app_factory import Backend
from support.operator_client import NEW_PASSWORD, events
from support.tokens import OpenedSession, open_session, revoke_tokens_of_user


@pytest.fixture
def ada(backend: Backend) -> str:
    """The id of a member, beside another one with a session."""
    open_session(backend, backend.create_user("eve", "member"))
    return backend.create_user("ada", "member")


@pytest.fixture
def session(backend: Backend, ada: str) -> OpenedSession:
    """A session of ada."""
    return open_session(backend, ada)


def listed(backend: Backend, user_id: str) -> list[str]:
    """Return the ids of the listed sessions of a user."""
    return [one["id"] for one in sessions.list_open_sessions(backend.services.issuer, user_id)]


def set_columns(backend: Backend, sid: str, **values: Any) -> None:
    """Change the row of a session."""
    with backend.services.database.transaction() as tx:
        tx.execute(update(AuthSession).where(AuthSession.id == sid).values(**values))


@pytest.mark.parametrize(
    ("column", "seconds", "is_listed"),
    [
        ("ended_at", 0, False),
        ("expires_at", 0, False),
        ("expires_at", 1, True),
        ("rotated_at", -14 * 86400, False),
        ("rotated_at", -14 * 86400 + 1, True),
    ],
)
def test_a_session_is_listed_while_it_is_alive(  # noqa: PLR0913, PLR0917 - fixtures and one case
    backend: Backend,
    ada: str,
    session: OpenedSession,
    column: str,
    seconds: int,
    is_listed: bool,
) -> None:
    """Neither ended nor at a limit (S-123)."""
    at = backend.clock() + timedelta(seconds=seconds)
    set_columns(backend, session.session_id, **{column: at})
    assert bool(listed(backend, ada)) is is_listed


def test_sessions_are_listed_with_the_last_used_first(backend: Backend, ada: str) -> None:
    """Those of the same five minutes by id; none of another user."""
    sids = []
    for minutes in (0, 1, 20):
        backend.clock.advance(minutes=minutes)
        sids += [open_session(backend, ada).session_id for _ in range(2)]
    set_columns(backend, sids[1], rotated_at=backend.clock(), used_before=backend.clock())
    found = sessions.list_open_sessions(backend.services.issuer, ada)
    assert found == sorted(found, key=lambda one: (one["last_used_at"], one["id"]), reverse=True)
    assert {one["id"] for one in found} == set(sids)


def test_a_session_ends_once(backend: Backend, ada: str, session: OpenedSession) -> None:
    """With one event that names its user, its operator and the reason (S-149)."""
    kept = open_session(backend, ada).session_id
    for _ in range(2):
        sessions.end_session(
            backend.services.issuer, session.session_id, ada, why="a test", caller_id="olga"
        )
    (event,) = events(backend, "session_end", session_id=session.session_id, caller_id="olga")
    assert (event["user_id"], event["details"], listed(backend, ada)) == (
        ada,
        '{"why": "a test"}',
        [kept],
    )


@pytest.mark.parametrize("whose", ["nobody", "eve"])
def test_a_session_of_another_user_is_not_found(
    backend: Backend, ada: str, session: OpenedSession, whose: str
) -> None:
    """As if it did not exist (S-125)."""
    eve = backend.services.users.get_by_name("eve").id
    sid = "nobody" if whose == "nobody" else session.session_id
    with pytest.raises(NotFound):
        sessions.end_session(backend.services.issuer, sid, eve, why="a test", caller_id=eve)
    assert listed(backend, ada) == [session.session_id]


@pytest.mark.parametrize("keeps", [True, False])
def test_the_other_sessions_end(
    backend: Backend, ada: str, session: OpenedSession, keeps: bool
) -> None:
    """Their number is returned, and the sessions of other users continue (S-125)."""
    for _ in range(2):
        open_session(backend, ada)
    keep = session.session_id if keeps else None
    ended = sessions.end_other_sessions(
        backend.services.issuer, ada, keep=keep, why="a test", caller_id=ada
    )
    assert (ended, listed(backend, ada)) == ((2, [keep]) if keeps else (3, []))
    assert len(listed(backend, backend.services.users.get_by_name("eve").id)) == 1


def test_the_end_of_all_sessions_is_audited(backend: Backend, ada: str) -> None:
    """With the operator (S-149); no session of any user is listed."""
    sessions.end_all_sessions(backend.services.issuer, why="a test", caller_id=ada)
    (event,) = events(backend, "session_end_everybody", caller_id=ada)
    eve = backend.services.users.get_by_name("eve").id
    assert (event["details"], listed(backend, eve)) == ('{"why": "a test"}', [])


def revoke(backend: Backend, token: str) -> None:
    """Revoke a token."""
    with backend.app.app_context():
        sessions.revoke_token(backend.services.issuer, token)


@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
def test_a_revoked_token_ends_its_session(
    backend: Backend, ada: str, session: OpenedSession, kind: str
) -> None:
    """Of either kind (RFC 7009); a second time it is no error."""
    kept = open_session(backend, ada).session_id
    for _ in range(2):
        revoke(backend, getattr(session, kind))
    assert listed(backend, ada) == [kept]
    assert len(events(backend, "session_end", session_id=session.session_id)) == 1


def test_an_access_token_that_was_revoked_ends_nothing(
    backend: Backend, ada: str, session: OpenedSession
) -> None:
    """It proves nothing any more (RFC 7009)."""
    revoke_tokens_of_user(backend, "ada")
    revoke(backend, session.access_token)
    assert listed(backend, ada) == [session.session_id]


@pytest.mark.parametrize("token", ["", "nonsense", "a.b.c"])
def test_an_invalid_token_ends_nothing(
    backend: Backend, ada: str, session: OpenedSession, token: str
) -> None:
    """And is no error (RFC 7009)."""
    revoke(backend, token)
    assert listed(backend, ada) == [session.session_id]


@pytest.mark.parametrize(("is_new", "left"), [(True, 0), (False, 1)])
def test_a_logout_ends_a_session_whose_password_changed_with_its_new_token(
    backend: Backend, ada: str, session: OpenedSession, is_new: bool, left: int
) -> None:
    """A token from before the change ends nothing: a thief may have it (S-126)."""
    change = PasswordChange(ada, session.session_id, PASSWORD, NEW_PASSWORD)
    with backend.app.app_context():
        grant = change_password(backend.services.issuer, change)
        token = grant.refresh_token if is_new else session.refresh_token
        sessions.logout(backend.services.issuer, token or "", delivery="body")
    assert len(listed(backend, ada)) == left


def test_a_revocation_stores_and_returns_the_new_epoch_of_the_user(
    backend: Backend, ada: str
) -> None:
    """Each is later than the one before (S-183)."""
    issuer, epochs = backend.services.issuer, [0]
    for _ in range(2):
        with issuer.database.transaction() as tx:
            epochs.append(sessions.revoke_access_tokens(issuer, tx, ada))
            assert tx.get_one(StoredUserState, ada).epoch == epochs[-1]
    assert epochs == sorted(set(epochs))
