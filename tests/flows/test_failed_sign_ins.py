"""Failed sign-ins without HTTP: their response, their reason in the audit trail, their limits."""

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta

import pytest
from sqlalchemy import update

from itemsapi.accounts.models import User
from itemsapi.attempt_limits import AttemptCounter, Limit
from itemsapi.issuer.issuer import Grant
from itemsapi.issuer.login import LoginRequest, login
from itemsapi.observability.context import (
    RequestContext,
    reset_request_context,
    set_request_context,
)
from itemsapi.problems import CredentialsInvalid, ScopeInvalid, TooManyRequests
from itemsapi.testing import PASSWORD
from support.app_factory import Backend
from support.operator_client import events

WRONG = "not the password at all"
HOME, AWAY = "198.51.100.7", "203.0.113.9"


@pytest.fixture(autouse=True)
def ada(backend: Backend) -> str:
    """The id of a member."""
    return backend.create_user("ada", "member")


@pytest.fixture(autouse=True)
def come_from() -> Iterator[Callable[[str], object]]:
    """Set the address of the client; at first it is AWAY."""
    before = set_request_context(RequestContext(address=AWAY))
    yield lambda address: set_request_context(RequestContext(address=address))
    reset_request_context(before)


def sign_in(
    backend: Backend, password: str = PASSWORD, name: str = "ada", scope: str | None = None
) -> Grant:
    """Sign a user in."""
    return login(backend.services.issuer, LoginRequest(name, password, scope))


def reasons(backend: Backend) -> list[str]:
    """Return the reasons of failed sign-ins, newest first."""
    return [json.loads(row["details"])["why"] for row in events(backend, "authn_login_fail")]


def use_up(backend: Backend, key: tuple[str, ...], count: int) -> None:
    """Count so many failed attempts."""
    row = AttemptCounter(
        key=Limit(key, count, timedelta(1)).digest, started_at=backend.clock(), failures=count
    )
    with backend.services.database.transaction() as tx:
        tx.merge(row)


def set_user(backend: Backend, **values: object) -> None:
    """Change the row of the user."""
    with backend.services.database.transaction() as tx:
        tx.execute(update(User).values(**values))


@pytest.mark.parametrize(
    ("name", "password", "column", "reason"),
    [
        ("bob", PASSWORD, None, "unknown user"),
        ("ada", WRONG, None, "wrong password"),
        ("ada", WRONG, "disabled_at", "wrong password"),
        ("ada", PASSWORD, "disabled_at", "disabled user"),
        ("ada", PASSWORD, "password_expires_at", "temporary password expired"),
    ],
)
def test_a_failed_sign_in_is_audited_with_its_reason(  # noqa: PLR0913, PLR0917 - one case has four
    backend: Backend, ada: str, name: str, password: str, column: str | None, reason: str
) -> None:
    """The response has none (S-149, S-184); the user is named if there is one."""
    if column:
        set_user(backend, **{column: backend.clock()})
    with pytest.raises(CredentialsInvalid):
        sign_in(backend, password, name)
    (event,) = events(backend, "authn_login_fail")
    expected = (None if name == "bob" else ada, {"why": reason})
    assert (event["user_id"], json.loads(event["details"])) == expected


def test_a_scope_that_the_user_lacks_is_audited(backend: Backend, ada: str) -> None:
    """The password was right, and no session is opened (S-149)."""
    with pytest.raises(ScopeInvalid):
        sign_in(backend, scope="users:write")
    (event,) = events(backend, "authn_login_fail", user_id=ada)
    assert json.loads(event["details"]) == {"why": "invalid_scope"}
    assert events(backend, "authn_login_success") == []


@pytest.mark.parametrize(
    ("key", "maximum"),
    [(("user and client", "ada", AWAY), 10), (("client", AWAY), 100), (("user", "ada"), 200)],
)
def test_each_limit_allows_its_last_attempt(
    backend: Backend, key: tuple[str, ...], maximum: int
) -> None:
    """And no further one (S-044).

    `MAX_ATTEMPTS_PER_USER_AND_CLIENT`, `MAX_ATTEMPTS_PER_CLIENT`, `MAX_ATTEMPTS_PER_USER`.
    """
    use_up(backend, key, maximum - 1)
    with pytest.raises(CredentialsInvalid):
        sign_in(backend, WRONG)
    with pytest.raises(TooManyRequests):
        sign_in(backend)


def test_the_limits_of_others_do_not_count(backend: Backend) -> None:
    """Neither those of another user nor of another client (S-044)."""
    for key in (
        ("user and client", "eve", AWAY),
        ("user and client", "ada", HOME),
        ("client", HOME),
        ("user", "eve"),
    ):
        use_up(backend, key, 200)
    assert sign_in(backend).access_token


def test_a_known_client_can_sign_in_when_others_used_up_the_attempts_at_a_user(
    backend: Backend, come_from: Callable[[str], object]
) -> None:
    """With the right password; an unknown one gets the response to a wrong one (S-044)."""
    come_from(HOME)
    sign_in(backend)
    use_up(backend, ("user", "ada"), 200)
    assert sign_in(backend).access_token
    come_from(AWAY)
    with pytest.raises(TooManyRequests):
        sign_in(backend)


def test_a_rejected_attempt_at_a_used_up_user_is_audited_as_locked(backend: Backend) -> None:
    """Whether the password was right is not known (S-113)."""
    use_up(backend, ("user", "ada"), 200)
    with pytest.raises(TooManyRequests):
        sign_in(backend)
    assert reasons(backend) == ["locked"]


def test_a_wrong_password_of_a_known_client_at_a_used_up_user_is_rejected_like_others(
    backend: Backend,
) -> None:
    """S-113: with the time to wait, and audited as what it is."""
    sign_in(backend)
    use_up(backend, ("user", "ada"), 200)
    with pytest.raises(TooManyRequests):
        sign_in(backend, WRONG)
    assert reasons(backend) == ["wrong password"]


def test_a_client_without_a_readable_address_never_becomes_known(
    backend: Backend, come_from: Callable[[str], object]
) -> None:
    """All of them look the same (S-114)."""
    come_from("unix:")
    sign_in(backend)
    use_up(backend, ("user", "ada"), 200)
    with pytest.raises(TooManyRequests):
        sign_in(backend)


def test_a_limit_is_audited_when_it_is_reached(backend: Backend, ada: str) -> None:
    """Once, with its counter (S-149)."""
    for _ in range(12):
        with suppress(CredentialsInvalid, TooManyRequests):
            sign_in(backend, WRONG)
    (event,) = events(backend, "authn_login_lock", user_id=ada)
    assert json.loads(event["details"]) == {"counter": "user and client"}


def test_an_outdated_hash_is_replaced_at_the_next_sign_in(
    make_backend: Callable[..., Backend], backend: Backend
) -> None:
    """And only then (S-047)."""
    newer = make_backend(argon2_time=3)
    sign_in(newer)
    with newer.services.database.reading() as connection:
        stored = connection.exec_driver_sql("SELECT password_hash FROM itemsapi_user").scalar_one()
    assert newer.services.issuer.password_service.needs_rehash(stored, PASSWORD) is False
    assert sign_in(newer).access_token
