"""Users of an application whose own code fails: a 503, and a log line that says what is wrong."""

from collections.abc import Callable, Iterator
from typing import Any, cast
from uuid import UUID

import pytest
from flask import Flask

from itemsapi import UserAccount, Users
from itemsapi.extension import AuthLayer
from itemsapi.issuer.user_source import ApplicationUsers
from support.host_app import Host, cheap_hash
from support.log_records import LogRecords

pytestmark = pytest.mark.dialect("sqlite")  # the users are in memory
Build = Callable[..., Host]


class OneUser:
    """A user called `grace`, as docs/users.md shows such classes."""

    read_only = False
    id: Any = "7"

    def __init__(self) -> None:
        """Make a hash that the first sign-in replaces."""
        self.hash = cheap_hash()

    def find_by_name(self, username: str) -> Any:
        """Return the user if it is their name."""
        return UserAccount(self.id, username, self.hash) if username == "grace" else None

    def find_by_id(self, user_id: str) -> Any:
        """Return the user if it is their id."""
        return UserAccount(self.id, "grace", self.hash) if user_id == str(self.id) else None

    def scopes(self, user_id: str) -> Any:
        """Return no scopes."""
        assert user_id
        return []

    def replace_password_hash(self, user_id: str, old: str, new: str) -> Any:
        """Replace the hash."""
        assert user_id != old
        self.hash = new
        return True


@pytest.fixture
def build(host: Host) -> Iterator[Build]:
    """Build an application with a variant of these users, some of whose methods are others."""
    made: list[Host] = []

    def put_around(**attributes: Any) -> Host:
        app, users = Flask("faulty"), type("Faulty", (OneUser,), attributes)()
        settings = host.services.settings
        auth = AuthLayer(app, users=cast("Users", users), settings=settings, clock=host.clock)
        made.append(Host(app, auth, host.engine, host.session, host.clock))
        return made[-1]

    yield put_around
    for each in made:
        each.services.database.dispose()


@pytest.mark.parametrize("user_id", [7, UUID(int=7)], ids=["integer", "uuid"])
def test_an_id_may_be_an_integer_or_a_uuid(build: Build, user_id: object) -> None:
    """Its text is the id in tokens, as in `SqlUsers`."""
    host = build(id=user_id)
    tokens = host.login()
    assert host.refresh(tokens).status_code == 200
    assert host.client(tokens).get("/me").get_json()["id"] == str(user_id)


@pytest.mark.parametrize(
    ("method", "returned", "message"),
    [
        ("find_by_name", {"id": 7}, "find_by_name returned a value of type dict; return a UserA"),
        ("find_by_id", "grace", "find_by_id returned a value of type str; return a UserAccount"),
        ("scopes", None, "the scopes of a user are a list of names"),
        ("scopes", [["x"]], "the scopes of a user are a list of names"),
    ],
)
def test_a_sign_in_is_503_when_a_method_returns_something_else(
    build: Build, method: str, returned: object, message: str, log_records: LogRecords
) -> None:
    """And nobody is signed in (R-35)."""
    host = build(**{method: lambda *_: returned})
    response = host.try_login()
    assert (response.status_code, response.get_json()["code"]) == (503, "users_unavailable")
    assert message in "\n".join(log_records.lines())


@pytest.mark.parametrize("name", ["grace", "nobody"])
def test_a_sign_in_is_503_when_the_users_cannot_be_asked(
    build: Build, name: str, log_records: LogRecords
) -> None:
    """For every name alike (S-184); the log has the place in the code of the application."""

    def find_by_name(_self: OneUser, username: str) -> None:
        raise RuntimeError(f"no directory for {len(username) > 0}")

    host = build(find_by_name=find_by_name)
    assert host.try_login(name).status_code == 503
    lines = "\n".join(log_records.lines())
    assert "RuntimeError: no directory for True" in lines
    assert __file__ in lines


def test_a_sign_in_succeeds_when_the_hash_cannot_be_replaced(
    build: Build, log_records: LogRecords
) -> None:
    """The next one tries again; the log says what to return (S-047)."""
    host = build(replace_password_hash=lambda *_: None)
    assert host.try_login().status_code == 200
    assert "replace_password_hash returned a value of type NoneType" in "\n".join(
        log_records.lines()
    )


def test_a_change_of_the_password_is_503_when_nobody_says_whether_it_is_stored(
    build: Build,
) -> None:
    """A method that returns nothing would say that it is not."""
    host = build(replace_password_hash=lambda *_: None)
    body = {"current_password": "plain horse battery staple", "new_password": "seven quiet geese x"}
    response = host.client(host.login()).post("/me/password", json=body)
    assert response.get_json()["code"] == "users_unavailable"


def test_a_sign_in_is_503_when_no_hashes_can_be_sampled(build: Build) -> None:
    """Without them its time could tell who exists (S-113)."""

    def sample_password_hashes(_self: OneUser) -> None:
        raise LookupError

    assert build(sample_password_hashes=sample_password_hashes).try_login().status_code == 503


def hide(host: Host) -> OneUser:
    """Let nobody be found by the id of the user; return the users."""
    source = host.services.issuer.users
    assert isinstance(source, ApplicationUsers)
    assert isinstance(source.users, OneUser)
    source.users.id = "8"
    return source.users


@pytest.mark.parametrize(("hidden", "status"), [(True, 200), (False, 401)])
def test_a_session_goes_on_when_its_user_was_only_hidden(
    build: Build, hidden: bool, status: int
) -> None:
    """S-122: the class says who may come back; without the method nobody may."""
    host = build(**({"is_hidden": lambda *_: True} if hidden else {}))
    tokens = host.login()
    users = hide(host)
    assert host.refresh(tokens).status_code == 401
    users.id = "7"
    assert host.refresh(tokens).status_code == status


def test_a_refresh_is_503_when_nobody_says_whether_the_user_is_hidden(
    build: Build, log_records: LogRecords
) -> None:
    """Nothing is revoked (R-35)."""
    host = build(is_hidden=lambda *_: None)
    tokens = host.login()
    hide(host)
    assert host.refresh(tokens).status_code == 503
    assert "is_hidden returned a value of type NoneType" in "\n".join(log_records.lines())
