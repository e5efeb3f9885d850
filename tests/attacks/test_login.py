"""Attacks on sign-in: learning who has an account, and stopping the service by signing in."""

from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from itemsapi.accounts.permissions import COMMAND_LINE
from support.app_factory import PASSWORD, Backend
from support.operator_client import events

WRONG = "not the password at all"


@pytest.fixture
def client(backend: Backend) -> FlaskClient:
    """A stranger before a backend with a member and a disabled member."""
    backend.create_user("ada", "member")
    gone = backend.create_user("gone", "member")
    backend.services.users.change(COMMAND_LINE, gone, None, disabled=True)
    return backend.client()


def sign_in(client: FlaskClient, username: str, password: str, **more: str) -> TestResponse:
    """Try to sign in."""
    return client.post("/auth/login", json={"username": username, "password": password} | more)


def seen(answer: TestResponse) -> tuple[int, dict[str, Any], dict[str, str]]:
    """Return all that an answer tells, but the id of its request."""
    body = {**answer.get_json(), "request_id": ""}
    headers = {name: value for name, value in answer.headers if name != "X-Request-Id"}
    return answer.status_code, body, headers


@pytest.mark.parametrize(
    ("username", "password"),
    [
        ("nobody", WRONG),
        ("gone", WRONG),
        ("gone", PASSWORD),
        ("\u0430da", WRONG),
        ("x" * 200, WRONG),
        ("ada", "\u0958" * 256),
        ("ada", "\u202e"),
    ],
)
def test_all_refusals_look_alike(client: FlaskClient, username: str, password: str) -> None:
    """Status, body and headers are those of a wrong password (S-184)."""
    assert seen(sign_in(client, username, password)) == seen(sign_in(client, "ada", WRONG))


def test_a_locked_name_looks_alike_whether_it_exists(client: FlaskClient) -> None:
    """Unknown names are locked as known ones are (S-184)."""
    for _ in range(10):
        sign_in(client, "ada", WRONG)
        sign_in(client, "nobody", WRONG)
    assert seen(sign_in(client, "ada", WRONG)) == seen(sign_in(client, "nobody", WRONG))


def test_the_trail_tells_what_the_answer_does_not(backend: Backend, client: FlaskClient) -> None:
    """Why it failed, for operators alone (S-149)."""
    for username, password in [("nobody", WRONG), ("ada", WRONG), ("gone", PASSWORD)]:
        sign_in(client, username, password)
    told = [event["details"] for event in events(backend, "authn_login_fail")]
    assert told == [
        '{"why": "disabled user"}', '{"why": "wrong password"}', '{"why": "unknown user"}'
    ]  # fmt: skip


def test_a_scope_that_one_may_not_have_is_a_failed_try(
    backend: Backend, client: FlaskClient
) -> None:
    """Whoever learns this way that a password is right leaves a trace (S-084, S-149)."""
    assert sign_in(client, "ada", PASSWORD, scope="users:write").status_code == 400
    assert len(events(backend, "authn_login_fail", details='{"why": "invalid_scope"}')) == 1


@pytest.mark.parametrize("scope", ["users:write", "items:read admin:all", "*", "items:read  x:y"])
def test_nobody_signs_in_with_more_than_they_may(client: FlaskClient, scope: str) -> None:
    """Asking does not help (S-084)."""
    answer = sign_in(client, "ada", PASSWORD, scope=scope)
    assert (answer.status_code, answer.get_json()["code"]) == (400, "invalid_scope")
