"""The queries of users and roles, each on a database with rows that it must not find.

Without one `where`, `join`, `outerjoin` or `bindparam` of a `select` a test fails.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from itemsapi.accounts import repository
from itemsapi.accounts.models import Permissions, Role, RoleScope, User, UserRole
from itemsapi.accounts.users import UserAccount
from itemsapi.clock import new_id
from itemsapi.db import Database
from itemsapi.testing import MovableClock

TAIL = "$" + "c" * 22 + "$" + "d" * 43  # salt and digest of a hash
ScopesOf = Callable[[str], frozenset[str]]


@pytest.fixture
def add_user(database: Database, clock: MovableClock) -> Callable[..., str]:
    """Insert a user with roles; return the id."""

    def add(name: str, *roles: str, **columns: Any) -> str:
        user_id = new_id()
        values = {"password_hash": "", "created_at": clock(), "updated_at": clock()} | columns
        with database.transaction() as tx:
            tx.add(User(id=user_id, username=name, **values))
            tx.flush()
            tx.add_all(UserRole(user_id=user_id, role=role) for role in roles)
        return user_id

    return add


@pytest.fixture(autouse=True)
def _roles(database: Database) -> None:
    """Insert two roles beside those of a new database: admin, member and reader."""
    scopes = {"helpdesk": ["users:read", "users:write"], "empty": []}
    with database.transaction() as tx:
        tx.add_all(Role(name=name) for name in scopes)
        tx.flush()
        tx.add_all(RoleScope(role=role, scope=one) for role in scopes for one in scopes[role])


def test_a_user_is_found_by_name_and_by_id(
    database: Database, add_user: Callable[..., str]
) -> None:
    """Whatever the case of the name (S-158), and no other user."""
    add_user("ada"), add_user("eve")
    bob = add_user("bob")
    with database.reading() as connection:
        found = repository.find_by_name(database, "BOB")
        assert found is not None
        assert (found.id, repository.find_by_id(connection, bob)) == (bob, found)


@pytest.mark.parametrize("name", ["", "adah", "a_a", "%", "\u212aate"])
def test_no_user_is_found_by_another_name(
    database: Database, add_user: Callable[..., str], name: str
) -> None:
    """Names are compared as a whole."""
    add_user("ada"), add_user("kate")
    with database.reading() as connection:
        assert repository.find_by_name(database, name) is None
        assert repository.find_by_id(connection, name) is None


def test_a_user_is_enabled_unless_disabled(
    database: Database, add_user: Callable[..., str], clock: MovableClock
) -> None:
    """S-067."""
    add_user("ada"), add_user("eve", disabled_at=clock())
    with database.reading() as connection:
        users = [repository.find_by_name(database, name) for name in ("ada", "eve")]
        assert [user.enabled for user in users if user] == [True, False]
        listed = repository.list_users(connection, after="", limit=9)
        assert [user.disabled for user in listed] == [False, True]


@pytest.mark.parametrize(
    ("seconds", "temporary", "expired"), [(None, False, False), (1, True, False), (0, True, True)]
)
def test_a_temporary_password_expires_at_its_time(
    clock: MovableClock, seconds: int | None, temporary: bool, expired: bool
) -> None:
    """In the same second (S-119); any other one never does (S-131)."""
    expires_at = None if seconds is None else clock() + timedelta(seconds=seconds)
    user = UserAccount("u", "ada", "", enabled=True, password_expires_at=expires_at)
    assert (user.must_change_password, user.password_expired(clock())) == (temporary, expired)


@pytest.mark.parametrize(
    ("roles", "scopes"),
    [
        ((), set()),
        (("empty",), set()),
        (("helpdesk",), {"users:read"}),
        (("helpdesk", "reader"), {"users:read", "items:read"}),
        (("admin",), {"users:read", "items:read", "audit:read"}),
        (("admin", "empty", "reader"), {"users:read", "items:read", "audit:read"}),
    ],
)
def test_a_user_has_the_known_scopes_of_their_roles(
    database: Database, add_user: Callable[..., str], roles: tuple[str, ...], scopes: set[str]
) -> None:
    """And neither unknown scopes nor those of roles of other users (S-082)."""
    add_user("eve", "admin", "helpdesk")
    user_id = add_user("ada", *roles)
    with database.transaction() as tx:
        known = ["users:read", "items:read", "audit:read"]
        assert repository.find_with_scopes(tx, user_id, known)[1] == scopes


@pytest.mark.parametrize(
    ("roles", "everything", "scopes"),
    [
        ((), False, set()),
        (("helpdesk",), False, {"users:read", "users:write"}),
        (("helpdesk", "admin"), True, {"users:read", "users:write"}),
    ],
)
def test_a_user_has_the_permissions_of_their_roles(
    database: Database,
    add_user: Callable[..., str],
    roles: tuple[str, ...],
    everything: bool,
    scopes: set[str],
) -> None:
    """Unknown scopes included: they count when permissions are compared (S-084)."""
    add_user("eve", "admin", "member")
    user_id = add_user("ada", *roles)
    with database.reading() as connection:
        found = repository.load_permissions(connection, user_id)
    assert found == Permissions(everything, frozenset(scopes))


def test_roles_are_listed_in_order_with_their_scopes(database: Database) -> None:
    """All of them, or those that are named and exist."""
    with database.reading() as connection:
        names = [role.name for role in repository.list_roles(connection)]
        assert names == ["admin", "empty", "helpdesk", "member", "reader"]
        named = repository.list_roles(connection, names=["nobody", "helpdesk", "admin"])
        assert [(role.everything, role.scopes) for role in named] == [
            (True, ()),
            (False, ("users:read", "users:write")),
        ]


def test_a_record_of_a_user_has_the_sorted_roles_of_this_user(
    database: Database, add_user: Callable[..., str]
) -> None:
    """By id, by name and in a list alike."""
    add_user("eve", "admin")
    ada = add_user("ada", "reader", "member", "helpdesk")
    with database.reading() as connection:
        found = repository.get_user(connection, ada)
        assert found is not None
        assert found.roles == ("helpdesk", "member", "reader")
        assert found == repository.get_user_by_name(connection, "ada")
        assert found == repository.list_users(connection, after="", limit=1)[0]


def test_users_are_listed_by_name(database: Database, add_user: Callable[..., str]) -> None:
    """After a name, up to a limit, with a prefix in which `_` and `%` are letters."""
    for name in ("bob", "a_c", "abc", "ada"):
        add_user(name)
    with database.reading() as connection:
        for arguments, names in (
            ({"after": "", "limit": 3}, ["a_c", "abc", "ada"]),
            ({"after": "abc", "limit": 9}, ["ada", "bob"]),
            ({"after": "", "limit": 9, "prefix": "a_"}, ["a_c"]),
            ({"after": "a_c", "limit": 9, "prefix": "a"}, ["abc", "ada"]),
        ):
            found = repository.list_users(connection, **arguments)  # type: ignore[arg-type]  # of two types
            assert [user.username for user in found] == names


def test_the_users_of_a_role_are_listed_by_id(
    database: Database, add_user: Callable[..., str]
) -> None:
    """Up to a limit, and no others."""
    add_user("eve", "reader")
    ids = sorted(add_user(name, "member", "reader") for name in ("ada", "bob", "cid"))
    with database.reading() as connection:
        assert repository.list_users_with_role(connection, "member", limit=9) == ids
        assert repository.list_users_with_role(connection, "member", limit=2) == ids[:2]


def test_enabled_admins_are_counted(
    database: Database, add_user: Callable[..., str], clock: MovableClock
) -> None:
    """Each once, whatever other roles they have (S-196)."""
    with database.transaction() as tx:
        tx.add(Role(name="owner", everything=True))
    add_user("ada", "admin", "owner"), add_user("bob", "owner", "member")
    add_user("cid", "admin", disabled_at=clock()), add_user("eve", "helpdesk")
    with database.reading() as connection:
        assert repository.count_admins(connection) == 2


def test_a_database_has_users_from_the_first_one_on(
    database: Database, add_user: Callable[..., str]
) -> None:
    """S-043: then no first admin is made."""
    with database.reading() as connection:
        assert not repository.has_users(connection)
    add_user("ada")
    with database.reading() as connection:
        assert repository.has_users(connection)


def test_the_parameters_of_hashes_are_loaded_with_the_most_frequent_first(
    database: Database, add_user: Callable[..., str]
) -> None:
    """Without salt and digest (`HASH_TAIL_LENGTH`), and without what is too short (S-113)."""
    for number, passes in enumerate([2, 1, 1, 3, 1, 2]):
        add_user(f"u{number}", password_hash=f"$argon2id$v=19$m=64,t={passes},p=1{TAIL}")
    for number in range(4):
        add_user(f"short{number}", password_hash=TAIL)
    with database.reading() as connection:
        assert repository.load_hash_parameters(connection) == [
            f"$argon2id$v=19$m=64,t={passes},p=1" for passes in (1, 2, 3)
        ]
