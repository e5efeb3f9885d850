"""Changes of the user while a password is being verified, which takes long."""

from collections.abc import Callable

import pytest
from sqlalchemy import delete

from itemsapi.accounts.hashing_queue import HashingQueue
from itemsapi.accounts.models import COMMAND_LINE, User
from itemsapi.accounts.passwords import PasswordService
from itemsapi.testing import PASSWORD
from itemsapi.tokens.sessions import AuthSession
from support.app_factory import Backend
from support.operator_client import NEW_PASSWORD

OTHER = "four lazy otters on a sunny bank"
Meanwhile = Callable[[Callable[[], object]], None]


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Meanwhile:
    """Return a function that arranges an action to run once, right after the next verification."""

    def arrange(action: Callable[[], object]) -> None:
        original, actions = PasswordService.matches, [action]

        def matches(self: PasswordService, password: str, stored: str | None) -> bool:
            is_match = original(self, password, stored)
            for pending in actions[:]:
                actions.clear()
                pending()
            return is_match

        monkeypatch.setattr(PasswordService, "matches", matches)

    return arrange


def login_status(backend: Backend, password: str = PASSWORD) -> int:
    """Try to sign ada in; return the status."""
    body = {"username": "ada", "password": password}
    return backend.client().post("/auth/login", json=body).status_code


def test_login_fails_when_the_password_is_set_during_verification(
    backend: Backend, meanwhile: Meanwhile
) -> None:
    """A thief's session must not outlive the new password (S-126)."""
    user_id = backend.create_user("ada", "member")
    meanwhile(lambda: backend.services.users.set_password(COMMAND_LINE, user_id, OTHER))
    assert login_status(backend) == 401
    assert login_status(backend, OTHER) == 200


def test_login_fails_when_the_user_is_disabled_during_verification(
    backend: Backend, meanwhile: Meanwhile
) -> None:
    """S-067."""
    user_id = backend.create_user("ada", "member")
    meanwhile(lambda: backend.services.users.change(COMMAND_LINE, user_id, None, disabled=True))
    assert login_status(backend) == 401


def test_a_password_change_fails_when_an_operator_sets_the_password_meanwhile(
    backend: Backend, meanwhile: Meanwhile
) -> None:
    """The user proved the previous password (S-042)."""
    ada = backend.signed_in_client("ada", "member")
    user_id = backend.services.users.get_by_name("ada").id
    meanwhile(lambda: backend.services.users.set_password(COMMAND_LINE, user_id, OTHER))
    body = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
    assert ada.post("/me/password", json=body).status_code == 422
    assert login_status(backend, OTHER) == 200


def test_a_password_change_is_404_when_the_user_was_deleted(backend: Backend) -> None:
    """The access token is valid for some more minutes."""
    ada = backend.signed_in_client("ada", "member")
    with backend.services.database.transaction() as tx:
        tx.execute(delete(AuthSession))
        tx.execute(delete(User))
    body = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
    assert ada.post("/me/password", json=body).status_code == 404


def test_a_password_change_is_401_when_the_session_was_purged(backend: Backend) -> None:
    """The access token is valid for some more minutes."""
    ada = backend.signed_in_client("ada", "member")
    with backend.services.database.transaction() as tx:
        tx.execute(delete(AuthSession))
    body = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
    assert ada.post("/me/password", json=body).status_code == 401
    assert login_status(backend) == 200


def test_a_password_change_is_401_when_the_user_is_deleted_meanwhile(
    backend: Backend, meanwhile: Meanwhile
) -> None:
    """While the current password is verified."""
    ada = backend.signed_in_client("ada", "member")

    def delete_user() -> None:
        with backend.services.database.transaction() as tx:
            tx.execute(delete(AuthSession))
            tx.execute(delete(User))

    meanwhile(delete_user)
    body = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
    assert ada.post("/me/password", json=body).status_code == 401
    assert login_status(backend) == 401


def test_login_succeeds_when_there_is_no_slot_to_rehash(
    make_backend: Callable[..., Backend], meanwhile: Meanwhile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next sign-in replaces the hash (S-047, S-048)."""
    user_id = make_backend(argon2_time=3).create_user("ada", "member")
    backend = make_backend(argon2_time=4)
    passwords = backend.services.issuer.password_service
    full_queue = HashingQueue(max_running=0, max_waiting=0)
    meanwhile(lambda: monkeypatch.setattr(passwords, "_queue", full_queue))
    assert login_status(backend) == 200
    with backend.services.database.transaction() as tx:
        assert "t=3" in tx.get_one(User, user_id).password_hash


def test_login_succeeds_when_another_login_replaced_the_hash(
    make_backend: Callable[..., Backend], meanwhile: Meanwhile
) -> None:
    """The password was correct and still is (S-079, S-047)."""
    make_backend(argon2_time=3).create_user("ada", "member")
    backend = make_backend(argon2_time=4)
    meanwhile(lambda: backend.login("ada"))
    assert login_status(backend) == 200


def test_a_password_change_succeeds_when_a_login_replaced_the_hash(
    make_backend: Callable[..., Backend], meanwhile: Meanwhile
) -> None:
    """The new password is stored (S-079, S-047)."""
    older = make_backend(argon2_time=3)
    tokens = older.signed_in_client("ada", "member").environ_base["HTTP_AUTHORIZATION"]
    backend = make_backend(argon2_time=4)
    meanwhile(lambda: backend.login("ada"))
    body = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
    answer = backend.client().post("/me/password", json=body, headers={"Authorization": tokens})
    assert answer.status_code == 200
    assert login_status(backend, NEW_PASSWORD) == 200


def test_a_password_change_fails_when_the_user_is_disabled_meanwhile(
    backend: Backend, meanwhile: Meanwhile
) -> None:
    """S-067: the sessions have ended; the old password is kept."""
    ada = backend.signed_in_client("ada", "member")
    user_id, users = backend.services.users.get_by_name("ada").id, backend.services.users
    meanwhile(lambda: users.change(COMMAND_LINE, user_id, None, disabled=True))
    body = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
    assert ada.post("/me/password", json=body).status_code == 401
    users.change(COMMAND_LINE, user_id, None, disabled=False)
    assert login_status(backend) == 200


def test_a_password_change_fails_when_only_the_user_row_is_disabled(
    backend: Backend, meanwhile: Meanwhile
) -> None:
    """S-067: whatever the state of the session."""
    ada = backend.signed_in_client("ada", "member")
    user_id = backend.services.users.get_by_name("ada").id

    def disable() -> None:
        with backend.services.database.transaction() as tx:
            tx.get_one(User, user_id).disabled_at = backend.clock()

    meanwhile(disable)
    body = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
    assert ada.post("/me/password", json=body).status_code == 401


def test_login_is_503_when_the_hash_changes_at_every_verification(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After three verifications; no failed attempt is counted (S-079)."""
    user_id = backend.create_user("ada", "member")
    original, passwords = PasswordService.matches, backend.services.issuer.password_service

    def matches(self: PasswordService, password: str, stored: str | None) -> bool:
        is_match = original(self, password, stored)
        with backend.services.database.transaction() as tx:
            tx.get_one(User, user_id).password_hash = passwords.hash(PASSWORD)
        return is_match

    with monkeypatch.context() as patch:
        patch.setattr(PasswordService, "matches", matches)
        assert [login_status(backend) for _ in range(11)] == [503] * 11
    assert login_status(backend) == 200


def test_a_password_that_changes_at_every_verification_is_verified_three_times(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S-045: then the request fails, so that it does not take the hasher for ever."""
    user_id = backend.create_user("ada", "member")
    original, verifications = PasswordService.matches, list[str]()

    def matches(self: PasswordService, password: str, stored: str | None) -> bool:
        verifications.append(password)
        backend.services.users.set_password(COMMAND_LINE, user_id, PASSWORD)
        return original(self, password, stored)

    monkeypatch.setattr(PasswordService, "matches", matches)
    assert login_status(backend) == 503
    assert len(verifications) == 3
