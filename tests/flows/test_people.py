"""What happens to sessions and tokens when operators change people."""

from collections.abc import Callable
from typing import Any

import pytest

from itemsapi.accounts.models import User, UserRole
from itemsapi.accounts.permissions import COMMAND_LINE
from itemsapi.clock import new_id
from itemsapi.problems import Conflict, Forbidden, Invalid, NotFound, PreconditionFailed
from support.app_factory import PASSWORD, House
from support.operator_client import NEW_PASSWORD, events, refreshes, role, works
from support.operators import Somebody

SOON = {"seconds": 7}  # later than any `not_before` that was written a moment ago


@pytest.fixture
def ada(house: House) -> str:
    """The id of a member."""
    return house.user("ada", "member")


def disable(house: House, user_id: str, *, disabled: bool = True) -> None:
    """Disable or enable a user from the command line."""
    house.services.users.change(COMMAND_LINE, user_id, None, disabled=disabled)


def test_disabling_ends_access_at_once(house: House, ada: str) -> None:
    """The access token is refused in the same process without delay (S-067)."""
    tokens = house.login("ada")
    disable(house, ada)
    assert not works(house, tokens)


def test_disabling_ends_refreshing(house: House, ada: str) -> None:
    """CVE-2024-22513: nothing is handed to who is disabled (S-067)."""
    tokens = house.login("ada")
    disable(house, ada)
    assert refreshes(house, tokens).status_code == 401


def test_a_disabled_user_cannot_sign_in(house: House, ada: str) -> None:
    """With the right password neither (S-067)."""
    disable(house, ada)
    answer = house.client().post("/auth/login", json={"username": "ada", "password": PASSWORD})
    assert answer.status_code == 401


def test_an_enabled_user_signs_in_anew(house: House, ada: str) -> None:
    """What ended stays ended; what begins works."""
    old = house.login("ada")
    disable(house, ada)
    disable(house, ada, disabled=False)
    house.clock.forward(**SOON)
    assert not works(house, old)
    assert works(house, house.login("ada"))


def test_disabling_twice_changes_nothing(house: House, ada: str) -> None:
    """No new version, no event."""
    disable(house, ada)
    before = house.services.users.find(ada)
    disable(house, ada)
    assert house.services.users.find(ada) == before


def test_a_set_password_ends_the_sessions(house: House, ada: str) -> None:
    """Who was in with the old one is out (S-126)."""
    tokens = house.login("ada")
    house.services.users.set_password(COMMAND_LINE, ada, NEW_PASSWORD)
    assert not works(house, tokens)
    assert works(house, house.login("ada", password=NEW_PASSWORD))


def test_other_roles_void_the_tokens_and_keep_the_session(house: House, ada: str) -> None:
    """What was granted does not outlive the change; a refresh brings what holds now (S-183)."""
    tokens = house.login("ada")
    house.services.users.change(COMMAND_LINE, ada, None, roles=["reader"])
    assert not works(house, tokens)
    assert refreshes(house, tokens).get_json()["scope"] == "items:read"


def test_another_scope_of_a_role_voids_the_tokens_of_its_holders(house: House) -> None:
    """And of nobody else (S-183)."""
    name = role(house, "items:read")
    house.user("ada", name)
    house.user("bob", "reader")
    ada, bob = house.login("ada"), house.login("bob")
    house.services.roles.put(COMMAND_LINE, name, description="", scopes=["items:write"])
    assert not works(house, ada)
    assert works(house, bob)


def test_another_description_of_a_role_voids_nothing(house: House) -> None:
    """The scopes are the same."""
    name = role(house, "items:read")
    house.user("ada", name)
    tokens = house.login("ada")
    house.services.roles.put(COMMAND_LINE, name, description="Reads", scopes=["items:read"])
    assert works(house, tokens)


def test_a_role_of_many_voids_all_tokens_by_one_row(house: House) -> None:
    """A hundred rows in every process's memory would cost more than everybody's refresh (R-19)."""
    name = role(house, "items:read")
    house.user("root", "admin")
    crowd(house, name, 101)
    tokens = house.login("root")
    house.services.roles.put(COMMAND_LINE, name, description="", scopes=["items:write"])
    assert not works(house, tokens)
    assert refreshes(house, tokens).status_code == 200


def crowd(house: House, role_name: str, size: int) -> None:
    """Give a role to so many users who never sign in."""
    now = house.clock()
    users = [
        User(id=new_id(), username=f"u{n}", password_hash="", created_at=now, updated_at=now)
        for n in range(size)
    ]
    with house.services.database.transaction() as tx:
        tx.add_all(users)
        tx.flush()
        tx.add_all(UserRole(user_id=user.id, role=role_name) for user in users)


def test_the_last_admin_cannot_be_disabled(house: House) -> None:
    """Somebody must be left who may do everything (S-196)."""
    root = house.user("root", "admin")
    with pytest.raises(Conflict):
        disable(house, root)
    assert works(house, house.login("root"))


def test_the_last_admin_cannot_lose_the_role(house: House) -> None:
    """Not together with a disabled one either."""
    root, other = house.user("root", "admin"), house.user("other", "admin")
    disable(house, other)
    with pytest.raises(Conflict):
        house.services.users.change(COMMAND_LINE, root, None, roles=[])


def test_one_of_two_admins_can_go(house: House) -> None:
    """The other is left."""
    house.user("root", "admin")
    disable(house, house.user("other", "admin"))
    assert house.services.users.named("other").disabled


def test_without_any_admin_others_can_be_changed(house: House, ada: str) -> None:
    """The rule keeps the last admin; it does not demand one."""
    disable(house, ada)
    assert house.services.users.find(ada).disabled


def test_a_stale_version_changes_nothing(house: House, ada: str) -> None:
    """Who read an older one has to read again (S-153)."""
    disable(house, ada)
    with pytest.raises(PreconditionFailed):
        house.services.users.change(COMMAND_LINE, ada, 1, disabled=False)


@pytest.mark.parametrize("name", ["ada", "ADA", "Ada"])
def test_a_name_is_taken_once(house: House, ada: str, name: str) -> None:
    """Whatever the case (S-158)."""
    with pytest.raises(Conflict):
        house.services.users.create(COMMAND_LINE, name, NEW_PASSWORD)


def test_a_role_that_is_not_there_cannot_be_given(house: House, ada: str) -> None:
    """Nothing is changed."""
    with pytest.raises(Invalid):
        house.services.users.change(COMMAND_LINE, ada, None, roles=["member", "boss"])
    assert house.services.users.find(ada).roles == ("member",)


def unknown(house: House) -> list[Callable[[str], Any]]:
    """List what can be asked of a user."""
    people = house.services.users
    return [
        people.find,
        lambda user_id: people.change(COMMAND_LINE, user_id, None, disabled=True),
        lambda user_id: people.set_password(COMMAND_LINE, user_id, NEW_PASSWORD),
        lambda user_id: people.end_sessions(COMMAND_LINE, user_id),
    ]


def test_who_is_not_there_is_not_found(house: House) -> None:
    """Whatever is asked of them."""
    for ask in unknown(house):
        with pytest.raises(NotFound):
            ask("01960a3b-9a10-7f02-8a55-6b1f0c9d2e10")


def test_a_role_in_use_cannot_be_deleted(house: House, ada: str) -> None:
    """Its holders would silently lose it."""
    with pytest.raises(Conflict):
        house.services.roles.delete(COMMAND_LINE, "member")


def test_a_deleted_role_is_gone(house: House) -> None:
    """With its scopes."""
    name = role(house, "items:read")
    house.services.roles.delete(COMMAND_LINE, name)
    assert name not in {one.name for one in house.services.roles.all()}


@pytest.mark.parametrize("name", ["", "boss", "Admin", "a b", "\0", "a" * 41, "\udcff"])
def test_a_role_that_is_not_there_cannot_be_deleted(house: House, name: str) -> None:
    """Whatever it is called."""
    with pytest.raises(NotFound):
        house.services.roles.delete(COMMAND_LINE, name)


def test_the_role_that_gives_everything_stays_what_it_is(house: House) -> None:
    """For the operator at the host too: the last admin would be stripped by it."""
    with pytest.raises(Conflict):
        house.services.roles.put(COMMAND_LINE, "admin", description="", scopes=[])
    with pytest.raises(Conflict):
        house.services.roles.delete(COMMAND_LINE, "admin")


def test_the_first_admin_is_made_once(house: House) -> None:
    """Nobody is made where somebody is (S-043)."""
    password = house.services.users.first_admin("root")
    assert password is not None
    assert house.services.users.first_admin("other") is None
    assert works(house, house.login("root", password=password))


def test_a_new_database_has_no_user(house: House) -> None:
    """No default account (S-043)."""
    assert house.services.users.nobody()


def test_nobody_sets_their_own_password_as_an_operator(house: House) -> None:
    """It would spare them the current one (S-042)."""
    root = house.user("root", "admin")
    actor = Somebody(root, frozenset({"users:write"}))
    with pytest.raises(Forbidden):
        house.services.users.set_password(actor, root, NEW_PASSWORD)
    assert events(house, "authn_password_change") == []
