"""What happens to sessions and tokens when operators change users and roles."""

from collections.abc import Callable
from contextlib import nullcontext
from datetime import timedelta
from typing import Any

import pytest

from itemsapi.accounts.models import COMMAND_LINE, User, UserRole
from itemsapi.clock import new_id
from itemsapi.problems import Conflict, Forbidden, NotFound, PreconditionFailed, ValidationFailed
from itemsapi.testing import PASSWORD
from support.app_factory import Backend
from support.operator_client import NEW_PASSWORD, create_role, events, is_signed_in, refresh
from support.operators import FakeOperator
from support.tokens import open_session

SOON = {"seconds": 7}  # later than any `not_before` that was written a moment ago


@pytest.fixture
def ada(backend: Backend) -> str:
    """The id of a member."""
    return backend.create_user("ada", "member")


def disable(backend: Backend, user_id: str, *, disabled: bool = True) -> None:
    """Disable or enable a user from the command line."""
    backend.services.users.change(COMMAND_LINE, user_id, None, disabled=disabled)


def test_an_access_token_is_rejected_at_once_when_its_user_is_disabled(
    backend: Backend, ada: str
) -> None:
    """In the same process without delay (S-067)."""
    tokens = backend.login("ada")
    disable(backend, ada)
    assert not is_signed_in(backend, tokens)


def test_a_refresh_is_rejected_when_the_user_is_disabled(backend: Backend, ada: str) -> None:
    """CVE-2024-22513: a disabled user gets no tokens (S-067)."""
    tokens = backend.login("ada")
    disable(backend, ada)
    assert refresh(backend, tokens).status_code == 401


def test_a_disabled_user_cannot_sign_in(backend: Backend, ada: str) -> None:
    """Not even with the correct password (S-067)."""
    disable(backend, ada)
    answer = backend.client().post("/auth/login", json={"username": "ada", "password": PASSWORD})
    assert answer.status_code == 401


def test_a_user_can_sign_in_again_after_being_enabled(backend: Backend, ada: str) -> None:
    """Ended sessions stay ended."""
    old = backend.login("ada")
    disable(backend, ada)
    disable(backend, ada, disabled=False)
    backend.clock.advance(**SOON)
    assert not is_signed_in(backend, old)
    assert is_signed_in(backend, backend.login("ada"))


def test_disabling_a_disabled_user_changes_nothing(backend: Backend, ada: str) -> None:
    """There is no new version and no event."""
    disable(backend, ada)
    before = backend.services.users.get(ada)
    disable(backend, ada)
    assert backend.services.users.get(ada) == before


def test_sessions_end_when_an_operator_sets_the_password(backend: Backend, ada: str) -> None:
    """Those of the old password (S-126)."""
    tokens = backend.login("ada")
    backend.services.users.set_password(COMMAND_LINE, ada, NEW_PASSWORD)
    assert not is_signed_in(backend, tokens)
    assert is_signed_in(backend, backend.login("ada", password=NEW_PASSWORD))


def test_a_change_of_roles_revokes_access_tokens_and_keeps_sessions(
    backend: Backend, ada: str
) -> None:
    """A refresh applies the new roles (S-183)."""
    tokens = backend.login("ada")
    backend.services.users.change(COMMAND_LINE, ada, None, roles=["reader"])
    assert not is_signed_in(backend, tokens)
    assert refresh(backend, tokens).get_json()["scope"] == "items:read"


def test_a_change_of_scopes_revokes_access_tokens_of_the_roles_users(backend: Backend) -> None:
    """Tokens of other users stay valid (S-183)."""
    name = create_role(backend, "items:read")
    backend.create_user("ada", name)
    backend.create_user("bob", "reader")
    ada, bob = backend.login("ada"), backend.login("bob")
    backend.services.roles.put(COMMAND_LINE, name, description="", scopes=["items:write"])
    assert not is_signed_in(backend, ada)
    assert is_signed_in(backend, bob)


def test_a_change_of_description_revokes_no_token(backend: Backend) -> None:
    """The scopes are the same."""
    name = create_role(backend, "items:read")
    backend.create_user("ada", name)
    tokens = backend.login("ada")
    backend.services.roles.put(COMMAND_LINE, name, description="Reads", scopes=["items:read"])
    assert is_signed_in(backend, tokens)


def test_a_change_of_a_role_with_many_users_revokes_all_tokens_by_one_row(backend: Backend) -> None:
    """A hundred rows in the memory of every process cost more than a refresh by all (R-19)."""
    name = create_role(backend, "items:read")
    backend.create_user("root", "admin")
    create_users_with_role(backend, name, 101)
    tokens = backend.login("root")
    backend.services.roles.put(COMMAND_LINE, name, description="", scopes=["items:write"])
    assert not is_signed_in(backend, tokens)
    assert refresh(backend, tokens).status_code == 200


def test_a_change_of_a_role_with_a_hundred_users_revokes_only_their_tokens(
    backend: Backend,
) -> None:
    """`MAX_REVOKED_USERS`: a row for each is still cheaper than a refresh by everybody (R-19)."""
    name = create_role(backend, "items:read")
    backend.create_user("root", "admin")
    create_users_with_role(backend, name, 100)
    tokens = backend.login("root")
    backend.services.roles.put(COMMAND_LINE, name, description="", scopes=["items:write"])
    assert is_signed_in(backend, tokens)


def create_users_with_role(backend: Backend, role_name: str, size: int) -> None:
    """Create users with a role who cannot sign in."""
    now = backend.clock()
    users = [
        User(id=new_id(), username=f"u{n}", password_hash="", created_at=now, updated_at=now)
        for n in range(size)
    ]
    with backend.services.database.transaction() as tx:
        tx.add_all(users)
        tx.flush()
        tx.add_all(UserRole(user_id=user.id, role=role_name) for user in users)


def test_the_last_admin_cannot_be_disabled(backend: Backend) -> None:
    """There must always be an admin (S-196)."""
    root = backend.create_user("root", "admin")
    with pytest.raises(Conflict):
        disable(backend, root)
    assert is_signed_in(backend, backend.login("root"))


def test_the_last_admin_cannot_lose_the_role(backend: Backend) -> None:
    """A disabled admin does not count."""
    root, other = backend.create_user("root", "admin"), backend.create_user("other", "admin")
    disable(backend, other)
    with pytest.raises(Conflict):
        backend.services.users.change(COMMAND_LINE, root, None, roles=[])


def test_one_of_two_admins_can_be_disabled(backend: Backend) -> None:
    """The other remains."""
    backend.create_user("root", "admin")
    disable(backend, backend.create_user("other", "admin"))
    assert backend.services.users.get_by_name("other").disabled


def test_users_can_be_changed_when_there_is_no_admin(backend: Backend, ada: str) -> None:
    """The check protects the last admin; it does not require one."""
    disable(backend, ada)
    assert backend.services.users.get(ada).disabled


def test_a_change_is_rejected_when_the_version_is_stale(backend: Backend, ada: str) -> None:
    """The client has to read the user again (S-153)."""
    disable(backend, ada)
    with pytest.raises(PreconditionFailed):
        backend.services.users.change(COMMAND_LINE, ada, 1, disabled=False)


@pytest.mark.parametrize("name", ["ada", "ADA", "Ada"])
def test_a_user_name_cannot_be_taken_twice(backend: Backend, ada: str, name: str) -> None:
    """Whatever the case of its letters (S-158)."""
    with pytest.raises(Conflict):
        backend.services.users.create(COMMAND_LINE, name, NEW_PASSWORD)


def test_an_unknown_role_cannot_be_given(backend: Backend, ada: str) -> None:
    """Nothing changes."""
    with pytest.raises(ValidationFailed):
        backend.services.users.change(COMMAND_LINE, ada, None, roles=["member", "boss"])
    assert backend.services.users.get(ada).roles == ("member",)


def operations_on_a_user(backend: Backend) -> list[Callable[[str], Any]]:
    """Return every operation that takes the id of a user."""
    users = backend.services.users
    return [
        users.get,
        lambda user_id: users.change(COMMAND_LINE, user_id, None, disabled=True),
        lambda user_id: users.set_password(COMMAND_LINE, user_id, NEW_PASSWORD),
        lambda user_id: users.end_sessions(COMMAND_LINE, user_id),
    ]


def test_every_operation_on_an_unknown_user_raises_not_found(backend: Backend) -> None:
    """Whatever is asked of them."""
    for operation in operations_on_a_user(backend):
        with pytest.raises(NotFound):
            operation("01960a3b-9a10-7f02-8a55-6b1f0c9d2e10")


def test_a_role_in_use_cannot_be_deleted(backend: Backend, ada: str) -> None:
    """Its users would lose it without notice."""
    with pytest.raises(Conflict):
        backend.services.roles.delete(COMMAND_LINE, "member")


def test_a_deleted_role_no_longer_exists(backend: Backend) -> None:
    """Nor do its scopes."""
    name = create_role(backend, "items:read")
    backend.services.roles.delete(COMMAND_LINE, name)
    assert name not in {role.name for role in backend.services.roles.all()}


@pytest.mark.parametrize("name", ["", "boss", "Admin", "a b", "\0", "a" * 41, "\udcff"])
def test_an_unknown_role_cannot_be_deleted(backend: Backend, name: str) -> None:
    """Whatever its name."""
    with pytest.raises(NotFound):
        backend.services.roles.delete(COMMAND_LINE, name)


def test_the_admin_role_cannot_be_changed_or_deleted(backend: Backend) -> None:
    """Not even on the command line: the last admin would lose all permissions."""
    with pytest.raises(Conflict):
        backend.services.roles.put(COMMAND_LINE, "admin", description="", scopes=[])
    with pytest.raises(Conflict):
        backend.services.roles.delete(COMMAND_LINE, "admin")


def test_the_first_admin_is_created_once(backend: Backend) -> None:
    """Only while there is no user (S-043)."""
    password = backend.services.users.create_first_admin("root")
    assert password is not None
    assert backend.services.users.create_first_admin("other") is None
    assert is_signed_in(backend, backend.login("root", password=password))


def test_a_new_database_has_no_user(backend: Backend) -> None:
    """There is no default user (S-043)."""
    assert backend.services.users.is_empty()


def test_an_operator_cannot_set_their_own_password(backend: Backend) -> None:
    """They would not have to prove the current one (S-042)."""
    root = backend.create_user("root", "admin")
    operator = FakeOperator(root, frozenset({"users:write"}))
    with pytest.raises(Forbidden):
        backend.services.users.set_password(operator, root, NEW_PASSWORD)
    assert events(backend, "authn_password_change") == []


@pytest.mark.parametrize(("fields", "days"), [({}, None), ({"temporary": True}, 7)])
def test_a_created_user_is_returned_as_stored(
    backend: Backend, fields: dict[str, bool], days: int | None
) -> None:
    """`TEMPORARY_PASSWORD_LIFETIME`: seven days; any other password is permanent (S-119)."""
    users = backend.services.users
    made = users.create(COMMAND_LINE, "bob", NEW_PASSWORD, ["member"], **fields)
    assert made == users.get(made.id)
    assert made.password_expires_at == (
        None if days is None else backend.clock() + timedelta(days=days)
    )


@pytest.mark.parametrize(("fields", "days"), [({}, None), ({"temporary": True}, 7)])
def test_a_password_set_by_an_operator_is_permanent_unless_it_is_temporary(
    backend: Backend, ada: str, fields: dict[str, bool], days: int | None
) -> None:
    """A temporary one expires after seven days (S-119)."""
    backend.clock.advance(seconds=5)
    backend.services.users.set_password(COMMAND_LINE, ada, NEW_PASSWORD, **fields)
    user = backend.services.users.get(ada)
    assert user.password_expires_at == (
        None if days is None else backend.clock() + timedelta(days=days)
    )
    assert (user.version, user.updated_at) == (2, backend.clock())


@pytest.mark.parametrize("changes", [{"disabled": True}, {"roles": ["reader", "member"]}])
def test_a_changed_user_is_returned_as_stored(
    backend: Backend, ada: str, changes: dict[str, Any]
) -> None:
    """With a new version and time (S-153)."""
    backend.clock.advance(seconds=5)
    changed = backend.services.users.change(COMMAND_LINE, ada, 1, **changes)
    assert changed == backend.services.users.get(ada)
    assert (changed.version, changed.updated_at) == (2, backend.clock())


def test_disabling_and_a_change_of_roles_can_be_one_change(backend: Backend, ada: str) -> None:
    """Both are stored (S-067, S-183)."""
    changed = backend.services.users.change(
        COMMAND_LINE, ada, None, disabled=True, roles=["reader"]
    )
    assert (changed.disabled, changed.roles) == (True, ("reader",))


def test_the_number_of_ended_sessions_is_returned(backend: Backend, ada: str) -> None:
    """Those that were open (S-125)."""
    for _ in range(3):
        open_session(backend, ada)
    users = backend.services.users
    assert [users.end_sessions(COMMAND_LINE, ada) for _ in range(2)] == [3, 0]


def test_a_new_database_is_empty_until_its_first_user(backend: Backend) -> None:
    """Then no first admin is made (S-043)."""
    assert backend.services.users.is_empty()
    backend.create_user("ada")
    assert not backend.services.users.is_empty()


def test_users_are_listed_in_order_of_name_after_a_name(backend: Backend) -> None:
    """Up to the limit, with the prefix as it is, not as a pattern."""
    for name in ("bob", "a_c", "abc", "ada"):
        backend.create_user(name)
    users = backend.services.users
    assert [user.username for user in users.list_page(after="a_c", limit=2)] == ["abc", "ada"]
    assert [user.username for user in users.list_page(limit=9, prefix="a_")] == ["a_c"]


def test_an_unknown_name_is_not_found(backend: Backend, ada: str) -> None:
    """The message has it as it was written."""
    with pytest.raises(NotFound, match="no user Bob"):
        backend.services.users.get_by_name("Bob")


@pytest.mark.parametrize("role", ["admin", "member"])
def test_the_sessions_of_everybody_can_be_ended_only_by_an_admin(
    backend: Backend, role: str
) -> None:
    """Sessions of admins end too (S-117)."""
    operator = FakeOperator(
        backend.create_user("olga", role), backend.services.issuer.known_scopes()
    )
    with nullcontext() if role == "admin" else pytest.raises(Forbidden):
        backend.services.users.end_all_sessions(operator)
    assert len(events(backend, "session_end_everybody")) == (role == "admin")


def test_a_role_is_returned_as_stored(backend: Backend) -> None:
    """And whether it is new."""
    roles = backend.services.roles
    for is_new in (True, False):
        made = roles.put(COMMAND_LINE, "helpdesk", description="Helps", scopes=["users:read"])
        assert made == (next(r for r in roles.all() if r.name == "helpdesk"), is_new)
