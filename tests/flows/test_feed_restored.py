"""A backup is put back under running processes: numbers of revocations are given out again."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import delete, insert, update

from itemsapi.accounts.models import User
from itemsapi.clock import new_id
from itemsapi.issuer.sessions import end_all_sessions
from itemsapi.problems import TokenInvalid
from itemsapi.tokens.revocation import Revocation, RevocationFeed, session_target
from support.app_factory import Backend
from support.tokens import revoke_tokens_of_user


@pytest.fixture
def backend(make_backend: Callable[..., Backend]) -> Backend:
    """A backend whose feed asks at every look."""
    return make_backend(revocation_lag=timedelta(0))


def look(revocation_feed: RevocationFeed, sid: str) -> bool:
    """Tell whether a session's tokens pass."""
    try:
        revocation_feed.check(sid=sid, gen=1, user_id="", epoch=0)
    except TokenInvalid:
        return False
    return True


def test_another_revocation_under_a_known_number_is_seen(backend: Backend) -> None:
    """The last row known is compared whole, not by its number (R-28)."""
    revocation_feed, database, before, after = (
        backend.services.revocation_feed,
        backend.services.database,
        new_id(),
        new_id(),
    )
    with database.transaction() as tx:
        revocation_feed.revoke(tx, session_target(before))
    assert (look(revocation_feed, before), look(revocation_feed, after)) == (False, True)
    with database.transaction() as tx:
        tx.execute(update(Revocation).values(target=session_target(after)))
    assert (look(revocation_feed, before), look(revocation_feed, after)) == (False, False)


def test_who_was_recalled_after_the_backup_is_let_in_again_by_new_tokens(
    backend: Backend,
) -> None:
    """R-28: running processes forget epochs that the restored database has never heard of."""
    backend.create_user("ada", "member")
    revoke_tokens_of_user(backend, "ada")
    backend.services.revocation_feed.ensure_fresh()
    with backend.services.database.transaction() as tx:  # the backup is older than the recall
        tx.execute(delete(Revocation))
        tx.execute(update(User).values(epoch=0))
        tx.execute(insert(Revocation).values(seq=1, target="s:x", made_at=backend.clock()))
    ada = backend.bearer_client(backend.login("ada")["access_token"])
    assert ada.get("/me").status_code == 200


def test_tokens_from_after_the_backup_are_refused_once_everybody_is_signed_out(
    backend: Backend, make_backend: Callable[..., Backend]
) -> None:
    """R-28: their epochs are later than any in the backup, and the command's is later still."""
    backend.create_user("ada", "member")
    revoke_tokens_of_user(backend, "ada")
    lost = backend.login("ada")["access_token"]
    with backend.services.database.transaction() as tx:
        tx.execute(delete(Revocation))
        tx.execute(update(User).values(epoch=0))
    backend.clock.advance(minutes=2)
    restarted = make_backend(revocation_lag=timedelta(0))
    end_all_sessions(restarted.services.issuer, why="backup restored")
    assert restarted.bearer_client(lost).get("/me").status_code == 401
