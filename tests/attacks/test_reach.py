"""Which operator may change which user: a table of all operations (S-117)."""

from collections.abc import Callable

import pytest
from flask.testing import FlaskClient

from support.app_factory import Backend
from support.operator_client import NEW_PASSWORD, create_role, is_signed_in, patch_user

MAY = "items:read items:write users:read users:write roles:write sessions:write".split()  # noqa: SIM905
OPERATIONS: dict[str, Callable[[FlaskClient, str], int]] = {
    "disable": lambda operator, target_kind: (
        patch_user(operator, target_kind, disabled=True).status_code
    ),
    "enable": lambda operator, target_kind: (
        patch_user(operator, target_kind, disabled=False).status_code
    ),
    "take roles": lambda operator, target_kind: (
        patch_user(operator, target_kind, roles=[]).status_code
    ),
    "give a role": lambda operator, target_kind: (
        patch_user(operator, target_kind, roles=["member"]).status_code
    ),
    "set password": lambda operator, target_kind: (
        operator.put(f"/users/{target_kind}/password", json={"password": NEW_PASSWORD}).status_code
    ),
    "end sessions": lambda operator, target_kind: (
        operator.delete(f"/users/{target_kind}/sessions").status_code
    ),
}
ACTORS = ("admin", "narrowed admin", "operator")
TARGETS = ("admin", "auditor", "peer", "member", "nobody's")
REACHES = {
    ("admin", "admin"),
    ("admin", "auditor"),
    ("admin", "peer"),
    ("admin", "member"),
    ("admin", "nobody's"),
    ("operator", "peer"),
    ("operator", "member"),
    ("operator", "nobody's"),
    ("narrowed admin", "peer"),
    ("narrowed admin", "member"),
    ("narrowed admin", "nobody's"),
}


def acting_client(backend: Backend, kind: str) -> FlaskClient:
    """Return the client of an operator of this kind."""
    scope = " ".join(MAY) if kind == "narrowed admin" else None
    return backend.signed_in_client(
        "actor", create_role(backend, *MAY) if kind == "operator" else "admin", scope=scope
    )


def target(backend: Backend, kind: str, name: str = "target") -> str:
    """Create a user of this kind; return the id."""
    roles = {
        "admin": ["admin"],
        "auditor": [create_role(backend, "audit:read", "items:read")],
        "peer": [create_role(backend, *MAY)],
        "member": ["member"],
        "nobody's": [],
    }
    return backend.create_user(name, *roles[kind])


@pytest.mark.parametrize("target_kind", TARGETS)
@pytest.mark.parametrize("operator", ACTORS)
def test_an_operator_can_change_only_users_without_more_scopes(
    backend: Backend, operator: str, target_kind: str
) -> None:
    """Otherwise 403 for every operation, and the user's session continues."""
    backend.create_user("root", "admin")  # somebody stays who may do everything
    actor = acting_client(backend, operator)
    for number, (operation, done_to) in enumerate(OPERATIONS.items()):
        user_id = target(backend, target_kind, f"target-{number}")
        tokens = backend.login(f"target-{number}")
        status = done_to(actor, user_id)
        assert (status in {200, 204}) == ((operator, target_kind) in REACHES), operation
        assert status in {200, 204} or (status == 403 and is_signed_in(backend, tokens)), operation


@pytest.mark.parametrize("operator", ACTORS)
def test_only_an_admin_can_end_all_sessions(backend: Backend, operator: str) -> None:
    """Sessions of admins are among them."""
    target(backend, "admin")
    tokens = backend.login("target")
    status = acting_client(backend, operator).delete("/sessions").status_code
    assert (status, is_signed_in(backend, tokens)) == (
        (204, False) if operator == "admin" else (403, True)
    )


def test_a_rejected_end_of_all_sessions_is_audited(backend: Backend) -> None:
    """Like every rejected operation (S-149)."""
    target(backend, "admin")
    acting_client(backend, "operator").delete("/sessions")
    events = backend.services.audit.latest(before=None, limit=1)
    assert events[0].event == "authz_fail"


def test_an_unknown_user_is_not_found(backend: Backend) -> None:
    """Before the rights of the operator are compared."""
    missing = "01960a3b-9a10-7f02-8a55-6b1f0c9d2e10"
    assert (
        acting_client(backend, "operator").delete(f"/users/{missing}/sessions").status_code == 404
    )
