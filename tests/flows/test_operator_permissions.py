"""What an operator may do, by their roles and the scopes of their token (S-084)."""

import json
from collections.abc import Callable

import pytest

from itemsapi.accounts.models import COMMAND_LINE, Operator, Permissions
from itemsapi.issuer.roles import admin_transaction
from itemsapi.problems import Conflict, Forbidden, NotFound, PreconditionFailed, ValidationFailed
from support.app_factory import Backend
from support.operator_client import NEW_PASSWORD, create_role, events
from support.operators import FakeOperator


def permissions_of(backend: Backend, operator: Operator) -> Permissions:
    """Return the permissions with which a change of this operator starts."""
    with admin_transaction(backend.services.issuer, operator) as change:
        return change.permissions


@pytest.fixture
def every(backend: Backend) -> frozenset[str]:
    """All scopes of the application."""
    return backend.services.issuer.known_scopes()


def test_the_command_line_has_all_permissions(backend: Backend) -> None:
    """Whoever can start it can write to the database."""
    assert permissions_of(backend, COMMAND_LINE).everything


def test_an_admin_with_a_whole_token_has_all_permissions(
    backend: Backend, every: frozenset[str]
) -> None:
    """Those of scopes that do not exist yet, too."""
    root = backend.create_user("root", "admin")
    assert permissions_of(backend, FakeOperator(root, every)) == Permissions(True, every)


def test_an_admin_with_a_narrowed_token_has_its_scopes(
    backend: Backend, every: frozenset[str]
) -> None:
    """One missing scope is enough (S-065)."""
    narrowed = every - {"audit:read"}
    operator = FakeOperator(backend.create_user("root", "admin"), narrowed)
    assert permissions_of(backend, operator) == Permissions(False, narrowed)


def test_an_operator_has_the_scopes_that_role_and_token_share(backend: Backend) -> None:
    """S-065, S-183."""
    role = create_role(backend, "users:read", "users:write")
    operator = FakeOperator(
        backend.create_user("olga", role), frozenset({"users:write", "audit:read"})
    )
    assert permissions_of(backend, operator) == Permissions(False, frozenset({"users:write"}))


@pytest.mark.parametrize("state", ["disabled", "deleted"])
def test_an_operator_who_is_gone_has_no_permissions(
    backend: Backend, every: frozenset[str], state: str
) -> None:
    """The token is valid for some more minutes (S-067); the attempt is audited (S-149)."""
    user_id = "nobody"
    if state == "disabled":
        user_id = backend.create_user("olga", "admin")
        backend.create_user("root", "admin")
        backend.services.users.change(COMMAND_LINE, user_id, None, disabled=True)
    with pytest.raises(Forbidden):
        permissions_of(backend, FakeOperator(user_id, every))
    assert len(events(backend, "authz_fail", caller_id=user_id)) == 1


@pytest.mark.parametrize(
    ("mine", "other", "covered"),
    [
        (Permissions(True, frozenset()), Permissions(True, frozenset("ab")), True),
        (Permissions(True, frozenset()), Permissions(False, frozenset("ab")), True),
        (Permissions(False, frozenset("ab")), Permissions(False, frozenset("ab")), True),
        (Permissions(False, frozenset("ab")), Permissions(False, frozenset("a")), True),
        (Permissions(False, frozenset("a")), Permissions(False, frozenset("ab")), False),
        (Permissions(False, frozenset("ab")), Permissions(True, frozenset()), False),
    ],
)
def test_permissions_cover_equal_and_fewer_ones(
    mine: Permissions, other: Permissions, covered: bool
) -> None:
    """`everything` is covered by nothing else (S-084)."""
    assert mine.covers(other) is covered


@pytest.fixture
def olga(backend: Backend) -> FakeOperator:
    """An operator with a few scopes."""
    scopes = ("roles:write", "users:write", "users:read")
    return FakeOperator(
        backend.create_user("olga", create_role(backend, *scopes)), frozenset(scopes)
    )


Job = Callable[[Backend, FakeOperator, str], object]
JOBS: dict[str, Job] = {
    "change": lambda backend, olga, user_id: backend.services.users.change(
        olga, user_id, None, roles=[]
    ),
    "end_sessions": lambda backend, olga, user_id: backend.services.users.end_sessions(
        olga, user_id
    ),
    "set_password": lambda backend, olga, user_id: backend.services.users.set_password(
        olga, user_id, NEW_PASSWORD
    ),
}


@pytest.mark.parametrize("job", JOBS)
def test_a_user_with_more_permissions_cannot_be_changed(
    backend: Backend, olga: FakeOperator, job: str
) -> None:
    """In no way; the attempt is audited with both users (S-149)."""
    root = backend.create_user("root", "admin")
    with pytest.raises(Forbidden, match="permissions that you do not have"):
        JOBS[job](backend, olga, root)
    (event,) = events(backend, "authz_fail", caller_id=olga.user_id)
    assert event["user_id"] == root


@pytest.mark.parametrize("job", JOBS)
def test_a_user_without_more_permissions_can_be_changed(
    backend: Backend, olga: FakeOperator, job: str
) -> None:
    """Nothing is refused."""
    JOBS[job](backend, olga, backend.create_user("ada"))
    assert events(backend, "authz_fail") == []


@pytest.mark.parametrize(("version", "is_stale"), [(None, False), (1, False), (2, True)])
def test_a_user_is_changed_only_at_the_expected_version(
    backend: Backend, version: int | None, is_stale: bool
) -> None:
    """Any version if none is expected (S-153)."""
    ada = backend.create_user("ada", "member")
    if not is_stale:
        assert backend.services.users.change(COMMAND_LINE, ada, version, roles=[]).roles == ()
        return
    with pytest.raises(PreconditionFailed):
        backend.services.users.change(COMMAND_LINE, ada, version, roles=[])


def test_a_role_with_more_permissions_cannot_be_replaced_or_deleted(
    backend: Backend, olga: FakeOperator
) -> None:
    """Not even by one with fewer scopes (S-084)."""
    name = create_role(backend, "audit:read")
    with pytest.raises(Forbidden, match="This role has permissions"):
        backend.services.roles.put(olga, name, description="", scopes=[])
    with pytest.raises(Forbidden, match="This role has permissions"):
        backend.services.roles.delete(olga, name)


def test_a_scope_that_the_operator_lacks_cannot_be_given(
    backend: Backend, olga: FakeOperator
) -> None:
    """Nothing is stored (S-084)."""
    with pytest.raises(Forbidden, match="cannot give a scope"):
        backend.services.roles.put(olga, "fresh", description="", scopes=["audit:read"])
    assert "fresh" not in {role.name for role in backend.services.roles.all()}


def test_a_role_with_more_permissions_cannot_be_given(backend: Backend, olga: FakeOperator) -> None:
    """Neither to a new user nor to another one (S-084)."""
    ada, users = backend.create_user("ada"), backend.services.users
    with pytest.raises(Forbidden, match="cannot give a role"):
        users.change(olga, ada, None, roles=["admin"])
    with pytest.raises(Forbidden, match="cannot give a role"):
        users.create(olga, "eve", NEW_PASSWORD, ["admin"])


@pytest.mark.parametrize(
    ("name", "scopes", "problem"),
    [
        ("a" * 40, ["users:read"], None),
        ("a" * 41, ["users:read"], ValidationFailed),
        ("Boss", [], ValidationFailed),
        ("boss", ["items:fly"], ValidationFailed),
        ("admin", [], Conflict),
    ],
)
def test_a_role_is_stored_when_its_name_and_scopes_are_acceptable(
    backend: Backend, name: str, scopes: list[str], problem: type[Exception] | None
) -> None:
    """Only the role with all permissions is never changed."""
    put = backend.services.roles.put
    if problem is None:
        assert put(COMMAND_LINE, name, description="", scopes=scopes)[0].scopes == tuple(scopes)
        return
    with pytest.raises(problem):
        put(COMMAND_LINE, name, description="", scopes=scopes)


def test_a_replaced_role_has_only_its_new_scopes(backend: Backend) -> None:
    """And the scopes of other roles are kept."""
    name, other = (
        create_role(backend, "users:read", "audit:read"),
        create_role(backend, "users:read"),
    )
    backend.services.roles.put(COMMAND_LINE, name, description="New", scopes=["items:read"])
    roles = {role.name: role for role in backend.services.roles.all()}
    assert (roles[name].scopes, roles[name].description) == (("items:read",), "New")
    assert roles[other].scopes == ("users:read",)


def test_a_deleted_role_leaves_the_others(backend: Backend) -> None:
    """A second deletion finds nothing; both scopes are in the audit trail (S-149)."""
    name, other = create_role(backend, "users:read"), create_role(backend, "audit:read")
    backend.services.roles.delete(COMMAND_LINE, name)
    with pytest.raises(NotFound):
        backend.services.roles.delete(COMMAND_LINE, name)
    assert other in {role.name for role in backend.services.roles.all()}


def test_a_role_is_deleted_only_when_no_user_has_it(backend: Backend) -> None:
    """One user is enough to keep it."""
    name = create_role(backend, "users:read")
    ada = backend.create_user("ada", name)
    with pytest.raises(Conflict):
        backend.services.roles.delete(COMMAND_LINE, name)
    backend.services.users.change(COMMAND_LINE, ada, None, roles=[])
    backend.services.roles.delete(COMMAND_LINE, name)
    assert name not in {role.name for role in backend.services.roles.all()}


def test_a_change_of_a_role_is_audited_with_its_scopes(backend: Backend) -> None:
    """Those before and after, also of a new and of a deleted role (S-149)."""
    for scopes in (["users:read"], ["users:read", "audit:read"]):
        backend.services.roles.put(COMMAND_LINE, "helpdesk", description="", scopes=scopes)
    backend.services.roles.delete(COMMAND_LINE, "helpdesk")
    found = [json.loads(row["details"]) for row in events(backend, "privilege_permissions_changed")]
    assert [(one["before"], one["after"]) for one in reversed(found)] == [
        ("", "users:read"),
        ("users:read", "audit:read users:read"),
        ("audit:read users:read", None),
    ]


def test_changes_of_a_user_are_audited(backend: Backend) -> None:
    """With the operator and the user (S-149)."""
    operator = FakeOperator(
        backend.create_user("root", "admin"), backend.services.issuer.known_scopes()
    )
    users = backend.services.users
    ada = users.create(operator, "ada", NEW_PASSWORD, ["member"]).id
    users.change(operator, ada, None, roles=["reader"])
    users.change(operator, ada, None, disabled=True)
    users.set_password(operator, ada, NEW_PASSWORD)
    names = ("user_created", "authz_change", "user_updated", "authn_password_change")
    found = [events(backend, name, user_id=ada, caller_id=operator.user_id) for name in names]
    assert [[json.loads(row["details"]) for row in rows] for rows in found] == [
        [{"roles": "member"}],
        [{"before": "member", "after": "reader"}],
        [{"disabled": True}],
        [{"by": "operator"}],
    ]
