"""A backup is restored while processes run: the numbers of revocations are reused."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import delete, insert, update

from itemsapi.accounts.user_state import StoredUserState
from itemsapi.clock import new_id
from itemsapi.issuer.sessions import end_all_sessions
from itemsapi.problems import TokenInvalid
from itemsapi.tokens.revocation import Revocation, RevocationFeed, session_target
from support.app_factory import Backend
from support.manual_timer import ManualTimer
from support.tokens import revoke_tokens_of_user


@pytest.fixture
def backend(make_backend: Callable[..., Backend]) -> Backend:
    """An application that polls the revocation feed at every request."""
    return make_backend(revocation_lag=timedelta(0))


def passes_feed(revocation_feed: RevocationFeed, sid: str) -> bool:
    """Return whether the tokens of a session pass the check."""
    try:
        revocation_feed.check(sid=sid, gen=1, user_id="", epoch=0)
    except TokenInvalid:
        return False
    return True


def test_a_revocation_is_read_when_it_reuses_a_known_number(backend: Backend) -> None:
    """The last known row is compared by its content, not only its number (R-28)."""
    revocation_feed, database, before, after = (
        backend.services.revocation_feed,
        backend.services.database,
        new_id(),
        new_id(),
    )
    with database.transaction() as tx:
        revocation_feed.revoke(tx, session_target(before))
    assert (passes_feed(revocation_feed, before), passes_feed(revocation_feed, after)) == (
        False,
        True,
    )
    with database.transaction() as tx:
        tx.execute(update(Revocation).values(target=session_target(after)))
    assert (passes_feed(revocation_feed, before), passes_feed(revocation_feed, after)) == (
        False,
        False,
    )


def test_new_tokens_are_valid_when_a_restored_backup_lacks_an_epoch(
    backend: Backend, timer: ManualTimer
) -> None:
    """R-28: running processes forget epochs that the restored database does not have."""
    backend.create_user("ada", "member")
    revoke_tokens_of_user(backend, "ada")
    backend.services.revocation_feed.ensure_fresh()
    timer.advance(1)
    with backend.services.database.transaction() as tx:  # the backup is older than the revocation
        tx.execute(delete(Revocation))
        tx.execute(update(StoredUserState).values(epoch=0))
        tx.execute(insert(Revocation).values(seq=1, target="s:x", made_at=backend.clock()))
    ada = backend.bearer_client(backend.login("ada")["access_token"])
    assert ada.get("/me").status_code == 200


def test_tokens_from_after_the_backup_are_rejected_once_all_sessions_are_ended(
    backend: Backend, make_backend: Callable[..., Backend]
) -> None:
    """R-28: their epochs are later than any in the backup, and the new one is later still."""
    backend.create_user("ada", "member")
    revoke_tokens_of_user(backend, "ada")
    lost = backend.login("ada")["access_token"]
    with backend.services.database.transaction() as tx:
        tx.execute(delete(Revocation))
        tx.execute(update(StoredUserState).values(epoch=0))
    backend.clock.advance(minutes=2)
    restarted = make_backend(revocation_lag=timedelta(0))
    end_all_sessions(restarted.services.issuer, why="backup restored")
    assert restarted.bearer_client(lost).get("/me").status_code == 401
