"""Which operator reaches whom: a table over every operation on an account (S-117)."""

from collections.abc import Callable

import pytest
from flask.testing import FlaskClient

from support.app_factory import Backend
from support.operator_client import NEW_PASSWORD, create_role, is_signed_in, patch_user

MAY = "items:read items:write users:read users:write roles:write sessions:write".split()  # noqa: SIM905
OPERATIONS: dict[str, Callable[[FlaskClient, str], int]] = {
    "disable": lambda who, whom: patch_user(who, whom, disabled=True).status_code,
    "enable": lambda who, whom: patch_user(who, whom, disabled=False).status_code,
    "take roles": lambda who, whom: patch_user(who, whom, roles=[]).status_code,
    "give a role": lambda who, whom: patch_user(who, whom, roles=["member"]).status_code,
    "set password": lambda who, whom: (
        who.put(f"/users/{whom}/password", json={"password": NEW_PASSWORD}).status_code
    ),
    "end sessions": lambda who, whom: who.delete(f"/users/{whom}/sessions").status_code,
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


def acting(backend: Backend, kind: str) -> FlaskClient:
    """Return the client of somebody of this kind."""
    scope = " ".join(MAY) if kind == "narrowed admin" else None
    return backend.signed_in_client(
        "actor", create_role(backend, *MAY) if kind == "operator" else "admin", scope=scope
    )


def target(backend: Backend, kind: str, name: str = "target") -> str:
    """Make a user of this kind; return the id."""
    roles = {
        "admin": ["admin"],
        "auditor": [create_role(backend, "audit:read", "items:read")],
        "peer": [create_role(backend, *MAY)],
        "member": ["member"],
        "nobody's": [],
    }
    return backend.create_user(name, *roles[kind])


@pytest.mark.parametrize("whom", TARGETS)
@pytest.mark.parametrize("who", ACTORS)
def test_an_operator_reaches_only_who_goes_no_further(
    backend: Backend, who: str, whom: str
) -> None:
    """Whatever the operation: 403, and the target's session goes on, or it is done."""
    backend.create_user("root", "admin")  # somebody stays who may do everything
    actor = acting(backend, who)
    for number, (operation, done_to) in enumerate(OPERATIONS.items()):
        user_id = target(backend, whom, f"target-{number}")
        tokens = backend.login(f"target-{number}")
        status = done_to(actor, user_id)
        assert (status in {200, 204}) == ((who, whom) in REACHES), operation
        assert status in {200, 204} or (status == 403 and is_signed_in(backend, tokens)), operation


@pytest.mark.parametrize("who", ACTORS)
def test_everybodys_sessions_are_ended_by_an_admin_alone(backend: Backend, who: str) -> None:
    """Admins' are among them: what may not be done to one may not be done to all."""
    target(backend, "admin")
    tokens = backend.login("target")
    status = acting(backend, who).delete("/sessions").status_code
    assert (status, is_signed_in(backend, tokens)) == (
        (204, False) if who == "admin" else (403, True)
    )


def test_what_was_tried_in_bulk_is_written_down(backend: Backend) -> None:
    """As every refusal of an operator is (S-149)."""
    target(backend, "admin")
    acting(backend, "operator").delete("/sessions")
    found = backend.services.audit.latest(before=None, limit=1)
    assert found[0].event == "authz_fail"


def test_who_is_not_there_is_not_found(backend: Backend) -> None:
    """Before anybody asks who reaches them."""
    missing = "01960a3b-9a10-7f02-8a55-6b1f0c9d2e10"
    assert acting(backend, "operator").delete(f"/users/{missing}/sessions").status_code == 404
