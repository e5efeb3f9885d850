"""The secret key is rotated, or revoked: docs/adr/0014."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import delete

from itemsapi.audit import AuditEvent
from itemsapi.issuer.secret_rotation import (
    PreviousSecretUse,
    previous_secret_use,
    revoke_secret,
)
from itemsapi.issuer.sessions import end_all_sessions
from itemsapi.settings import SettingsError
from itemsapi.tokens.key_store import SecretInUse
from support.app_factory import Backend
from support.keys import kid_of, rotate_when_allowed, states_by_kid
from support.tokens import error_code, event_details, is_accepted, look, refresh, refreshed

Build = Callable[..., Backend]
OLD = "the-old-secret-0123456789-abcdefghijklmnopqrstuvwxyz"
NEW = "another-secret-0123456789-abcdefghijklmnopqrstuvwxyz"


@pytest.fixture
def process(make_backend: Build) -> Build:
    """Start a process on the database with these secrets; it looks at the keys at each request."""

    def start(current: str, previous: str = "") -> Backend:
        return make_backend(
            look,
            secret_key=current,
            secret_key_previous=previous,
            revocation_lag=timedelta(0),
        )

    return start


@pytest.fixture
def old(process: Build) -> Backend:
    """A process with the old secret alone, and the user ada."""
    backend = process(OLD)
    backend.create_user("ada", "member")
    return backend


@pytest.fixture
def token(old: Backend) -> str:
    """A refresh token of ada, made with the old secret."""
    return str(old.login("ada")["refresh_token"])


@pytest.fixture
def both(process: Build, old: Backend) -> Backend:
    """A process that was restarted with the new secret, and the old one as the previous one."""
    old.services.key_set.snapshot()  # the database has keys under the old secret
    return process(NEW, OLD)


def rotate_secret(backend: Backend) -> int:
    """Change over to the current secret of a process."""
    return backend.services.key_set.key_store.use_current_secret()


def use(backend: Backend) -> PreviousSecretUse:
    """Return what still needs the previous secret."""
    return previous_secret_use(backend.services.issuer, backend.services.key_set.key_store)


def is_needed(backend: Backend) -> bool:
    """Return whether keys or sessions still need the previous secret."""
    return use(backend).keys or use(backend).sessions > 0


def test_nobody_is_signed_out_while_processes_are_restarted(
    old: Backend, both: Backend, token: str
) -> None:
    """S-148: old and new process side by side; each accepts what the other made."""
    of_new = refreshed(both, token)
    of_old = refreshed(old, of_new["refresh_token"])
    assert refreshed(both, of_old["refresh_token"])
    assert is_accepted(old, of_new["access_token"])


def test_a_key_is_readable_by_the_old_process_when_the_new_one_makes_it(
    old: Backend, both: Backend
) -> None:
    """Before the change the old secret encrypts a new key too: the next one, published here."""
    kid = rotate_when_allowed(both)
    store = old.services.key_set.key_store
    assert len([store.decrypt(row) for row in store.load_all()]) == 3
    assert kid_of(old.login("ada")["access_token"]) == kid


def test_the_new_secret_is_used_everywhere_after_the_change(
    process: Build, both: Backend, token: str
) -> None:
    """All processes have both secrets, and change over together; then one is enough."""
    other = process(NEW, OLD)
    rotate_secret(both)
    successor = refreshed(other, token)["refresh_token"]
    assert refreshed(process(NEW), successor)


def test_all_tokens_stay_valid_after_the_change(both: Backend, old: Backend) -> None:
    """Nobody is signed out: neither by an access token nor by a refresh token."""
    tokens = old.login("ada")
    rotate_secret(both)
    assert is_accepted(both, tokens["access_token"])
    assert refreshed(both, tokens["refresh_token"])


def test_a_lost_response_is_repeated_after_the_change(both: Backend, token: str) -> None:
    """The client tries again with the old token and the same attempt id (docs/adr/0003)."""
    headers = {"Idempotency-Key": "0190b2d0-0000-7000-8000-000000000001"}
    refresh(both, token, headers)
    rotate_secret(both)
    repeated = refresh(both, token, headers)
    assert refreshed(both, repeated.json["refresh_token"])


def test_a_process_with_the_old_secret_alone_signs_nobody_out_after_the_change(
    old: Backend, both: Backend, token: str
) -> None:
    """It was forgotten at the restarts: it responds 503 until it has the new one too."""
    rotate_secret(both)
    successor = refreshed(both, token)["refresh_token"]
    assert refresh(old, successor).status_code == 503
    assert refreshed(both, successor)


def test_all_keys_are_encrypted_again(process: Build, both: Backend) -> None:
    """Also those that no longer verify: nothing in the database needs the old secret."""
    withdrawn = next(iter(states_by_kid(both)))
    both.services.key_set.key_store.withdraw(withdrawn)
    count = rotate_secret(both)
    store = process(NEW).services.key_set.key_store
    assert len([store.decrypt(row) for row in store.load_all()]) == count == 3


def test_a_second_change_does_nothing(both: Backend) -> None:
    """It may be run again; the audit trail has one event (S-149)."""
    assert [rotate_secret(both), rotate_secret(both)] == [2, 0]
    assert event_details(both, "crypto_secret_rotated") == [{"keys": 2}]


def test_the_change_fails_without_the_previous_secret(process: Build, token: str) -> None:
    """The keys cannot be read, and stay as they are."""
    assert token
    with pytest.raises(SettingsError, match="as ITEMSAPI_SECRET_KEY_PREVIOUS if you rotate it"):
        rotate_secret(process(NEW))


def test_the_keys_need_the_previous_secret_before_the_change(both: Backend) -> None:
    """It must not be removed yet."""
    assert use(both).keys


def test_a_session_needs_the_previous_secret_until_its_client_has_a_new_token(
    both: Backend, token: str
) -> None:
    """A client that did not receive the new token still has the old one: it may heal."""
    rotate_secret(both)
    assert use(both).sessions == 1
    both.clock.advance(minutes=2)
    access_token = refreshed(both, token)["access_token"]
    assert use(both).sessions == 1
    is_accepted(both, access_token)
    assert not is_needed(both)


def test_no_session_needs_the_previous_secret_when_its_tokens_have_expired(
    both: Backend, token: str
) -> None:
    """This is the time that `check` tells; a last refresh before it may have been lost."""
    rotate_secret(both)
    both.clock.current = use(both).until - timedelta(seconds=90)
    assert refreshed(both, token)
    assert use(both).sessions == 1
    both.clock.advance(seconds=90)
    assert not is_needed(both)


@pytest.mark.usefixtures("token")
def test_an_ended_session_does_not_need_the_previous_secret(both: Backend) -> None:
    """It accepts no token any more."""
    rotate_secret(both)
    end_all_sessions(both.services.issuer, why="a test")
    assert not is_needed(both)


def test_a_session_that_began_after_the_change_does_not_need_the_previous_secret(
    both: Backend,
) -> None:
    """All its tokens are made with the new one, also those that a client may not have received."""
    rotate_secret(both)
    both.clock.advance(minutes=2)
    refreshed(both, both.login("ada")["refresh_token"])
    assert not is_needed(both)


@pytest.mark.usefixtures("token")
def test_nothing_needs_the_previous_secret_when_the_record_is_older_than_any_token(
    both: Backend,
) -> None:
    """The event of the change was purged after a year: no token is that old."""
    rotate_secret(both)
    with both.services.database.transaction() as tx:
        tx.execute(delete(AuditEvent))
    assert not is_needed(both)


def test_no_token_is_valid_after_the_secret_is_revoked(process: Build, old: Backend) -> None:
    """S-148: it leaked; whoever has it can make tokens and read the keys."""
    tokens = old.login("ada")
    new = process(NEW)
    revoke_secret(new.services.issuer, new.services.key_set.key_store)
    assert not is_accepted(new, tokens["access_token"])
    assert error_code(refresh(new, tokens["refresh_token"])) == "invalid_refresh_token"
    assert is_accepted(new, new.login("ada")["access_token"])


def test_a_process_with_a_revoked_secret_responds_503(process: Build, old: Backend) -> None:
    """It accepts nothing that the leaked secret made, until it is restarted."""
    access_token = old.login("ada")["access_token"]
    new = process(NEW)
    revoke_secret(new.services.issuer, new.services.key_set.key_store)
    assert old.bearer_client(access_token).get("/look").status_code == 503


@pytest.mark.parametrize("secrets", [(OLD, ""), (NEW, OLD), (OLD, NEW)])
def test_a_secret_that_is_set_is_not_revoked(
    process: Build, token: str, secrets: tuple[str, str]
) -> None:
    """What it made would stay valid; nothing changes."""
    backend = process(*secrets)
    with pytest.raises(SecretInUse):
        revoke_secret(backend.services.issuer, backend.services.key_set.key_store)
    assert refreshed(backend, token)


def test_sessions_end_when_the_secret_is_revoked(process: Build, old: Backend) -> None:
    """Lists of sessions show it, and the audit trail (S-149)."""
    old.login("ada")
    new = process(NEW)
    revoke_secret(new.services.issuer, new.services.key_set.key_store)
    assert event_details(new, "crypto_secret_revoked") == [{"keys": 2}]
    assert event_details(new, "session_end_everybody") == [{"why": "secret revoked"}]
