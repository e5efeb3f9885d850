"""A password change by its user, without HTTP: what is stored and which sessions end (S-126)."""

from dataclasses import replace
from datetime import timedelta

import pytest

from itemsapi.accounts.models import User
from itemsapi.attempt_limits import PendingAttempt
from itemsapi.issuer.issuer import Grant
from itemsapi.issuer.passwords import PasswordChange, change_password
from itemsapi.issuer.sessions import list_open_sessions
from itemsapi.problems import TokenInvalid, TooManyRequests, ValidationFailed
from itemsapi.testing import PASSWORD
from itemsapi.tokens.sessions import AuthSession
from support.app_factory import Backend
from support.operator_client import NEW_PASSWORD
from support.tokens import event_details, open_session


@pytest.fixture
def ada(backend: Backend) -> str:
    """The id of a member."""
    return backend.create_user("ada", "member")


def change(
    backend: Backend,
    user_id: str,
    current: str = PASSWORD,
    new: str = NEW_PASSWORD,
    *,
    end_others: bool | None = None,
) -> Grant:
    """Open a session, and change the password in it."""
    sid = open_session(backend, user_id).session_id
    request = PasswordChange(user_id, sid, current, new)
    if end_others is not None:
        request = replace(request, end_others=end_others)
    return change_password(backend.services.issuer, request)


def test_no_password_is_in_the_repr_of_a_change(backend: Backend, ada: str) -> None:
    """It may get into a log (S-150)."""
    sid = open_session(backend, ada).session_id
    request = PasswordChange(ada, sid, current=PASSWORD, new=NEW_PASSWORD)
    change_password(backend.services.issuer, request)
    assert [word for word in (PASSWORD, NEW_PASSWORD) if word in repr(request)] == []


def test_a_password_change_makes_a_new_version_of_the_user(backend: Backend, ada: str) -> None:
    """An operator's older version is stale (S-153)."""
    before = backend.services.users.get(ada)
    backend.clock.advance(seconds=5)
    change(backend, ada)
    after = backend.services.users.get(ada)
    assert (after.version, after.updated_at) == (before.version + 1, backend.clock())


def test_a_password_change_ends_the_other_sessions(backend: Backend, ada: str) -> None:
    """Unless the user wants to keep them: somebody else may have opened them (S-126)."""
    for _ in range(2):
        open_session(backend, ada)
    change(backend, ada, end_others=False)
    assert len(list_open_sessions(backend.services.issuer, ada)) == 3
    change(backend, ada, NEW_PASSWORD, PASSWORD)
    assert len(list_open_sessions(backend.services.issuer, ada)) == 1


def make_temporary(backend: Backend, user_id: str, **expires_in: float) -> None:
    """Make the password of a user a temporary one."""
    with backend.services.database.transaction() as tx:
        expires_at = backend.clock() + timedelta(**expires_in)
        tx.get_one(User, user_id).password_expires_at = expires_at


def test_the_change_of_a_temporary_password_ends_all_other_sessions(
    backend: Backend, ada: str
) -> None:
    """The operator who made it knew it, and may have signed in (S-119)."""
    make_temporary(backend, ada, days=7)
    open_session(backend, ada)
    change(backend, ada, end_others=False)
    assert len(list_open_sessions(backend.services.issuer, ada)) == 1


def test_a_temporary_password_cannot_be_kept(backend: Backend, ada: str) -> None:
    """Its operator knows it (S-119)."""
    make_temporary(backend, ada, days=7)
    with pytest.raises(ValidationFailed, match="other than the temporary one"):
        change(backend, ada, new=PASSWORD)


def test_a_permanent_password_may_be_set_again(backend: Backend, ada: str) -> None:
    """There is no history of passwords (S-131)."""
    change(backend, ada, new=PASSWORD)
    assert backend.login("ada")["access_token"]


@pytest.mark.parametrize("seconds", [0, 1])
def test_an_expired_temporary_password_cannot_be_changed(
    backend: Backend, ada: str, seconds: int
) -> None:
    """From the second in which it expires (S-119)."""
    make_temporary(backend, ada, seconds=-seconds)
    with pytest.raises(ValidationFailed, match="not your current password"):
        change(backend, ada)


def test_a_changed_password_never_expires(backend: Backend, ada: str) -> None:
    """S-131."""
    make_temporary(backend, ada, days=7)
    change(backend, ada)
    assert backend.services.users.get(ada).password_expires_at is None


def test_a_password_change_leaves_no_reserved_attempt(backend: Backend, ada: str) -> None:
    """Ten changes in half a minute would lock the user out (S-079)."""
    change(backend, ada)
    with backend.services.database.reading() as connection:
        assert connection.execute(PendingAttempt.core().select()).all() == []


def test_the_eleventh_wrong_password_is_rejected(backend: Backend, ada: str) -> None:
    """As at a sign-in (S-045)."""
    for _ in range(10):
        with pytest.raises(ValidationFailed):
            change(backend, ada, current="wrong" * 4)
    with pytest.raises(TooManyRequests):
        change(backend, ada)


def test_a_password_change_in_the_session_of_another_user_is_rejected(
    backend: Backend, ada: str
) -> None:
    """Whatever the token says (S-125); nothing is stored."""
    sid = open_session(backend, backend.create_user("eve", "member")).session_id
    with pytest.raises(TokenInvalid):
        change_password(backend.services.issuer, PasswordChange(ada, sid, PASSWORD, NEW_PASSWORD))
    assert backend.login("ada")["access_token"]


def test_a_password_change_in_an_expired_session_is_rejected(backend: Backend, ada: str) -> None:
    """At the idle limit of fourteen days (S-123)."""
    sid = open_session(backend, ada).session_id
    backend.clock.advance(days=14)
    with pytest.raises(TokenInvalid):
        change_password(backend.services.issuer, PasswordChange(ada, sid, PASSWORD, NEW_PASSWORD))


@pytest.mark.parametrize("new", ["short", "ada" * 6, "password" * 3])
def test_an_unacceptable_new_password_is_rejected(backend: Backend, ada: str, new: str) -> None:
    """By the policy for all new passwords (S-040, S-041, S-130)."""
    with pytest.raises(ValidationFailed, match="new_password"):
        change(backend, ada, new=new)


def test_a_password_change_is_audited(backend: Backend, ada: str) -> None:
    """With its user, once (S-149)."""
    change(backend, ada)
    assert event_details(backend, "authn_password_change") == [{"by": "user"}]


def test_a_password_change_renews_its_session(backend: Backend, ada: str) -> None:
    """It has a new generation, and is as fresh as after a sign-in (S-126)."""
    backend.clock.advance(hours=1)
    grant = change(backend, ada)
    with backend.services.database.transaction() as tx:
        session = tx.get_one(AuthSession, grant.session_id)
        assert (session.gen, session.ended_at) == (2, None)
        assert session.rotated_at == backend.clock()
