"""What changes while a password is being checked, which takes long enough for that."""

from collections.abc import Callable

import pytest
from sqlalchemy import delete

from itemsapi.accounts.hashing_queue import HashingQueue
from itemsapi.accounts.models import User
from itemsapi.accounts.passwords import PasswordService
from itemsapi.accounts.permissions import COMMAND_LINE
from itemsapi.tokens.sessions import AuthSession
from support.app_factory import PASSWORD, Backend
from support.operator_client import NEW_PASSWORD

OTHER = "four lazy otters on a sunny bank"
Meanwhile = Callable[[Callable[[], object]], None]


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Meanwhile:
    """Do something once, when a password has been looked at and before that has consequences."""

    def arrange(act: Callable[[], object]) -> None:
        look, acts = PasswordService.matches, [act]

        def matches(self: PasswordService, password: str, stored: str | None) -> bool:
            found = look(self, password, stored)
            for one in acts[:]:
                acts.clear()
                one()
            return found

        monkeypatch.setattr(PasswordService, "matches", matches)

    return arrange


def login_status(backend: Backend, password: str = PASSWORD) -> int:
    """Try to sign ada in; return the status."""
    wish = {"username": "ada", "password": password}
    return backend.client().post("/auth/login", json=wish).status_code


def test_the_old_password_signs_nobody_in_once_another_is_set(
    backend: Backend, meanwhile: Meanwhile
) -> None:
    """Or a thief's sign-in would outlive the change that was to shut them out (S-126)."""
    user_id = backend.create_user("ada", "member")
    meanwhile(lambda: backend.services.users.set_password(COMMAND_LINE, user_id, OTHER))
    assert login_status(backend) == 401
    assert login_status(backend, OTHER) == 200


def test_nobody_signs_in_once_disabled(backend: Backend, meanwhile: Meanwhile) -> None:
    """S-067."""
    user_id = backend.create_user("ada", "member")
    meanwhile(lambda: backend.services.users.change(COMMAND_LINE, user_id, None, disabled=True))
    assert login_status(backend) == 401


def test_an_operators_password_is_not_overwritten_by_the_users(
    backend: Backend, meanwhile: Meanwhile
) -> None:
    """Who changes it had proved the one from before (S-042)."""
    ada = backend.signed_in_client("ada", "member")
    user_id = backend.services.users.get_by_name("ada").id
    meanwhile(lambda: backend.services.users.set_password(COMMAND_LINE, user_id, OTHER))
    body = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
    assert ada.post("/me/password", json=body).status_code == 422
    assert login_status(backend, OTHER) == 200


def test_an_account_that_is_gone_has_no_password_to_change(backend: Backend) -> None:
    """Its token lives on for some minutes, and finds nothing."""
    ada = backend.signed_in_client("ada", "member")
    with backend.services.database.transaction() as tx:
        tx.execute(delete(AuthSession))
        tx.execute(delete(User))
    body = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
    assert ada.post("/me/password", json=body).status_code == 404


def test_a_session_whose_row_is_gone_changes_no_password(backend: Backend) -> None:
    """A purge took it; its access token lives on for some minutes."""
    ada = backend.signed_in_client("ada", "member")
    with backend.services.database.transaction() as tx:
        tx.execute(delete(AuthSession))
    body = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
    assert ada.post("/me/password", json=body).status_code == 401
    assert login_status(backend) == 200


def test_an_account_that_goes_meanwhile_has_no_password_to_change(
    backend: Backend, meanwhile: Meanwhile
) -> None:
    """While its current password is looked at."""
    ada = backend.signed_in_client("ada", "member")

    def gone() -> None:
        with backend.services.database.transaction() as tx:
            tx.execute(delete(AuthSession))
            tx.execute(delete(User))

    meanwhile(gone)
    body = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
    assert ada.post("/me/password", json=body).status_code == 401
    assert login_status(backend) == 401


def test_a_sign_in_does_not_wait_to_renew_an_old_hash(
    make_backend: Callable[..., Backend], meanwhile: Meanwhile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When all places are taken the next sign-in will do (S-047, S-048)."""
    user_id = make_backend(argon2_time=3).create_user("ada", "member")
    backend = make_backend(argon2_time=4)
    passwords, nowhere = (
        backend.services.issuer.password_service,
        HashingQueue(max_running=0, max_waiting=0),
    )
    meanwhile(lambda: monkeypatch.setattr(passwords, "_queue", nowhere))
    assert login_status(backend) == 200
    with backend.services.database.transaction() as tx:
        assert "t=3" in tx.get_one(User, user_id).password_hash


def test_a_sign_in_goes_on_when_another_renewed_the_hash(
    make_backend: Callable[..., Backend], meanwhile: Meanwhile
) -> None:
    """It was the right password, and still is (S-079, S-047)."""
    make_backend(argon2_time=3).create_user("ada", "member")
    backend = make_backend(argon2_time=4)
    meanwhile(lambda: backend.login("ada"))
    assert login_status(backend) == 200


def test_a_change_goes_on_when_a_sign_in_renewed_the_hash(
    make_backend: Callable[..., Backend], meanwhile: Meanwhile
) -> None:
    """The new password is the one that stays (S-079, S-047)."""
    older = make_backend(argon2_time=3)
    tokens = older.signed_in_client("ada", "member").environ_base["HTTP_AUTHORIZATION"]
    backend = make_backend(argon2_time=4)
    meanwhile(lambda: backend.login("ada"))
    body = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
    answer = backend.client().post("/me/password", json=body, headers={"Authorization": tokens})
    assert answer.status_code == 200
    assert login_status(backend, NEW_PASSWORD) == 200


def test_nobody_changes_a_password_once_disabled(backend: Backend, meanwhile: Meanwhile) -> None:
    """S-067: their sessions have ended; the old password is the one that stays."""
    ada = backend.signed_in_client("ada", "member")
    user_id, users = backend.services.users.get_by_name("ada").id, backend.services.users
    meanwhile(lambda: users.change(COMMAND_LINE, user_id, None, disabled=True))
    body = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
    assert ada.post("/me/password", json=body).status_code == 401
    users.change(COMMAND_LINE, user_id, None, disabled=False)
    assert login_status(backend) == 200


def test_a_disabled_user_changes_no_password_whatever_became_of_the_session(
    backend: Backend, meanwhile: Meanwhile
) -> None:
    """S-067: being disabled is enough; the sessions end beside it."""
    ada = backend.signed_in_client("ada", "member")
    user_id = backend.services.users.get_by_name("ada").id

    def disable() -> None:
        with backend.services.database.transaction() as tx:
            tx.get_one(User, user_id).disabled_at = backend.clock()

    meanwhile(disable)
    body = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
    assert ada.post("/me/password", json=body).status_code == 401


def test_what_changes_at_every_look_is_no_wrong_password(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three looks, then 503 and another try (S-079)."""
    user_id = backend.create_user("ada", "member")
    look, passwords = PasswordService.matches, backend.services.issuer.password_service

    def matches(self: PasswordService, password: str, stored: str | None) -> bool:
        found = look(self, password, stored)
        with backend.services.database.transaction() as tx:
            tx.get_one(User, user_id).password_hash = passwords.hash(PASSWORD)
        return found

    with monkeypatch.context() as patch:
        patch.setattr(PasswordService, "matches", matches)
        assert [login_status(backend) for _ in range(11)] == [503] * 11
    assert login_status(backend) == 200
