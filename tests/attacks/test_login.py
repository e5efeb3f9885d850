"""Attacks on sign-in: finding out who has an account, and overloading the service."""

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from itemsapi.accounts.models import COMMAND_LINE
from itemsapi.testing import PASSWORD
from support.app_factory import Backend
from support.operator_client import events
from support.responses import visible_parts

WRONG = "not the password at all"


@pytest.fixture
def client(backend: Backend) -> FlaskClient:
    """An anonymous client of a backend with an enabled and a disabled member."""
    backend.create_user("ada", "member")
    gone = backend.create_user("gone", "member")
    backend.services.users.change(COMMAND_LINE, gone, None, disabled=True)
    return backend.client()


def sign_in(client: FlaskClient, username: str, password: str, **fields: str) -> TestResponse:
    """Attempt to sign in."""
    return client.post("/auth/login", json={"username": username, "password": password} | fields)


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
def test_all_failed_sign_ins_look_alike(client: FlaskClient, username: str, password: str) -> None:
    """Status, body and headers are those of a wrong password (S-184)."""
    assert visible_parts(sign_in(client, username, password)) == visible_parts(
        sign_in(client, "ada", WRONG)
    )


def test_a_locked_name_looks_the_same_if_it_does_not_exist(client: FlaskClient) -> None:
    """Unknown names are locked like known ones (S-184)."""
    for _ in range(10):
        sign_in(client, "ada", WRONG)
        sign_in(client, "nobody", WRONG)
    assert visible_parts(sign_in(client, "ada", WRONG)) == visible_parts(
        sign_in(client, "nobody", WRONG)
    )


def test_the_audit_trail_has_the_reason_of_a_failed_sign_in(
    backend: Backend, client: FlaskClient
) -> None:
    """For operators only (S-149)."""
    for username, password in [("nobody", WRONG), ("ada", WRONG), ("gone", PASSWORD)]:
        sign_in(client, username, password)
    details = [event["details"] for event in events(backend, "authn_login_fail")]
    assert details == [
        '{"why": "disabled user"}', '{"why": "wrong password"}', '{"why": "unknown user"}'
    ]  # fmt: skip


def test_a_sign_in_with_a_forbidden_scope_is_audited_as_failed(
    backend: Backend, client: FlaskClient
) -> None:
    """It reveals that the password is right, so it leaves a trace (S-084, S-149)."""
    assert sign_in(client, "ada", PASSWORD, scope="users:write").status_code == 400
    assert len(events(backend, "authn_login_fail", details='{"why": "invalid_scope"}')) == 1


@pytest.mark.parametrize("scope", ["users:write", "items:read admin:all", "*", "items:read  x:y"])
def test_a_sign_in_grants_no_more_than_the_roles_allow(client: FlaskClient, scope: str) -> None:
    """Whatever scope is requested (S-084)."""
    response = sign_in(client, "ada", PASSWORD, scope=scope)
    assert (response.status_code, response.get_json()["code"]) == (400, "invalid_scope")
