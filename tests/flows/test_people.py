"""What happens to sessions and tokens when operators change people."""

from collections.abc import Callable
from typing import Any

import pytest

from itemsapi.accounts.models import User, UserRole
from itemsapi.accounts.permissions import COMMAND_LINE
from itemsapi.clock import new_id
from itemsapi.problems import Conflict, Forbidden, NotFound, PreconditionFailed, ValidationFailed
from support.app_factory import PASSWORD, Backend
from support.operator_client import NEW_PASSWORD, create_role, events, is_signed_in, refresh
from support.operators import FakeOperator

SOON = {"seconds": 7}  # later than any `not_before` that was written a moment ago


@pytest.fixture
def ada(backend: Backend) -> str:
    """The id of a member."""
    return backend.create_user("ada", "member")


def disable(backend: Backend, user_id: str, *, disabled: bool = True) -> None:
    """Disable or enable a user from the command line."""
    backend.services.users.change(COMMAND_LINE, user_id, None, disabled=disabled)


def test_disabling_ends_access_at_once(backend: Backend, ada: str) -> None:
    """The access token is refused in the same process without delay (S-067)."""
    tokens = backend.login("ada")
    disable(backend, ada)
    assert not is_signed_in(backend, tokens)


def test_disabling_ends_refreshing(backend: Backend, ada: str) -> None:
    """CVE-2024-22513: nothing is handed to who is disabled (S-067)."""
    tokens = backend.login("ada")
    disable(backend, ada)
    assert refresh(backend, tokens).status_code == 401


def test_a_disabled_user_cannot_sign_in(backend: Backend, ada: str) -> None:
    """With the right password neither (S-067)."""
    disable(backend, ada)
    answer = backend.client().post("/auth/login", json={"username": "ada", "password": PASSWORD})
    assert answer.status_code == 401


def test_an_enabled_user_signs_in_anew(backend: Backend, ada: str) -> None:
    """What ended stays ended; what begins works."""
    old = backend.login("ada")
    disable(backend, ada)
    disable(backend, ada, disabled=False)
    backend.clock.advance(**SOON)
    assert not is_signed_in(backend, old)
    assert is_signed_in(backend, backend.login("ada"))


def test_disabling_twice_changes_nothing(backend: Backend, ada: str) -> None:
    """No new version, no event."""
    disable(backend, ada)
    before = backend.services.users.get(ada)
    disable(backend, ada)
    assert backend.services.users.get(ada) == before


def test_a_set_password_ends_the_sessions(backend: Backend, ada: str) -> None:
    """Who was in with the old one is out (S-126)."""
    tokens = backend.login("ada")
    backend.services.users.set_password(COMMAND_LINE, ada, NEW_PASSWORD)
    assert not is_signed_in(backend, tokens)
    assert is_signed_in(backend, backend.login("ada", password=NEW_PASSWORD))


def test_other_roles_void_the_tokens_and_keep_the_session(backend: Backend, ada: str) -> None:
    """What was granted does not outlive the change; a refresh brings what holds now (S-183)."""
    tokens = backend.login("ada")
    backend.services.users.change(COMMAND_LINE, ada, None, roles=["reader"])
    assert not is_signed_in(backend, tokens)
    assert refresh(backend, tokens).get_json()["scope"] == "items:read"


def test_another_scope_of_a_role_voids_the_tokens_of_its_holders(backend: Backend) -> None:
    """And of nobody else (S-183)."""
    name = create_role(backend, "items:read")
    backend.create_user("ada", name)
    backend.create_user("bob", "reader")
    ada, bob = backend.login("ada"), backend.login("bob")
    backend.services.roles.put(COMMAND_LINE, name, description="", scopes=["items:write"])
    assert not is_signed_in(backend, ada)
    assert is_signed_in(backend, bob)


def test_another_description_of_a_role_voids_nothing(backend: Backend) -> None:
    """The scopes are the same."""
    name = create_role(backend, "items:read")
    backend.create_user("ada", name)
    tokens = backend.login("ada")
    backend.services.roles.put(COMMAND_LINE, name, description="Reads", scopes=["items:read"])
    assert is_signed_in(backend, tokens)


def test_a_role_of_many_voids_all_tokens_by_one_row(backend: Backend) -> None:
    """A hundred rows in every process's memory would cost more than everybody's refresh (R-19)."""
    name = create_role(backend, "items:read")
    backend.create_user("root", "admin")
    crowd(backend, name, 101)
    tokens = backend.login("root")
    backend.services.roles.put(COMMAND_LINE, name, description="", scopes=["items:write"])
    assert not is_signed_in(backend, tokens)
    assert refresh(backend, tokens).status_code == 200


def crowd(backend: Backend, role_name: str, size: int) -> None:
    """Give a role to so many users who never sign in."""
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
    """Somebody must be left who may do everything (S-196)."""
    root = backend.create_user("root", "admin")
    with pytest.raises(Conflict):
        disable(backend, root)
    assert is_signed_in(backend, backend.login("root"))


def test_the_last_admin_cannot_lose_the_role(backend: Backend) -> None:
    """Not together with a disabled one either."""
    root, other = backend.create_user("root", "admin"), backend.create_user("other", "admin")
    disable(backend, other)
    with pytest.raises(Conflict):
        backend.services.users.change(COMMAND_LINE, root, None, roles=[])


def test_one_of_two_admins_can_go(backend: Backend) -> None:
    """The other is left."""
    backend.create_user("root", "admin")
    disable(backend, backend.create_user("other", "admin"))
    assert backend.services.users.get_by_name("other").disabled


def test_without_any_admin_others_can_be_changed(backend: Backend, ada: str) -> None:
    """The rule keeps the last admin; it does not demand one."""
    disable(backend, ada)
    assert backend.services.users.get(ada).disabled


def test_a_stale_version_changes_nothing(backend: Backend, ada: str) -> None:
    """Who read an older one has to read again (S-153)."""
    disable(backend, ada)
    with pytest.raises(PreconditionFailed):
        backend.services.users.change(COMMAND_LINE, ada, 1, disabled=False)


@pytest.mark.parametrize("name", ["ada", "ADA", "Ada"])
def test_a_name_is_taken_once(backend: Backend, ada: str, name: str) -> None:
    """Whatever the case (S-158)."""
    with pytest.raises(Conflict):
        backend.services.users.create(COMMAND_LINE, name, NEW_PASSWORD)


def test_a_role_that_is_not_there_cannot_be_given(backend: Backend, ada: str) -> None:
    """Nothing is changed."""
    with pytest.raises(ValidationFailed):
        backend.services.users.change(COMMAND_LINE, ada, None, roles=["member", "boss"])
    assert backend.services.users.get(ada).roles == ("member",)


def unknown(backend: Backend) -> list[Callable[[str], Any]]:
    """List what can be asked of a user."""
    people = backend.services.users
    return [
        people.get,
        lambda user_id: people.change(COMMAND_LINE, user_id, None, disabled=True),
        lambda user_id: people.set_password(COMMAND_LINE, user_id, NEW_PASSWORD),
        lambda user_id: people.end_sessions(COMMAND_LINE, user_id),
    ]


def test_who_is_not_there_is_not_found(backend: Backend) -> None:
    """Whatever is asked of them."""
    for ask in unknown(backend):
        with pytest.raises(NotFound):
            ask("01960a3b-9a10-7f02-8a55-6b1f0c9d2e10")


def test_a_role_in_use_cannot_be_deleted(backend: Backend, ada: str) -> None:
    """Its holders would silently lose it."""
    with pytest.raises(Conflict):
        backend.services.roles.delete(COMMAND_LINE, "member")


def test_a_deleted_role_is_gone(backend: Backend) -> None:
    """With its scopes."""
    name = create_role(backend, "items:read")
    backend.services.roles.delete(COMMAND_LINE, name)
    assert name not in {one.name for one in backend.services.roles.all()}


@pytest.mark.parametrize("name", ["", "boss", "Admin", "a b", "\0", "a" * 41, "\udcff"])
def test_a_role_that_is_not_there_cannot_be_deleted(backend: Backend, name: str) -> None:
    """Whatever it is called."""
    with pytest.raises(NotFound):
        backend.services.roles.delete(COMMAND_LINE, name)


def test_the_role_that_gives_everything_stays_what_it_is(backend: Backend) -> None:
    """For the operator at the host too: the last admin would be stripped by it."""
    with pytest.raises(Conflict):
        backend.services.roles.put(COMMAND_LINE, "admin", description="", scopes=[])
    with pytest.raises(Conflict):
        backend.services.roles.delete(COMMAND_LINE, "admin")


def test_the_first_admin_is_made_once(backend: Backend) -> None:
    """Nobody is made where somebody is (S-043)."""
    password = backend.services.users.create_first_admin("root")
    assert password is not None
    assert backend.services.users.create_first_admin("other") is None
    assert is_signed_in(backend, backend.login("root", password=password))


def test_a_new_database_has_no_user(backend: Backend) -> None:
    """No default account (S-043)."""
    assert backend.services.users.is_empty()


def test_nobody_sets_their_own_password_as_an_operator(backend: Backend) -> None:
    """It would spare them the current one (S-042)."""
    root = backend.create_user("root", "admin")
    actor = FakeOperator(root, frozenset({"users:write"}))
    with pytest.raises(Forbidden):
        backend.services.users.set_password(actor, root, NEW_PASSWORD)
    assert events(backend, "authn_password_change") == []
