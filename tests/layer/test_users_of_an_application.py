"""The users of an application sign in, refresh and change their password through the layer."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, cast

import bcrypt
import pytest
from flask import Flask
from sqlalchemy import delete, select

from itemsapi import Scope, SqlUsers, UserAccount, Users, requires
from itemsapi.accounts.hashing_queue import HashingQueue
from itemsapi.audit import AuditEvent
from itemsapi.extension import AuthLayer
from itemsapi.issuer.introspection import introspect
from itemsapi.issuer.sessions import list_open_sessions
from itemsapi.issuer.user_source import ApplicationUsers
from itemsapi.problems import DatabaseUnavailable
from itemsapi.testing import PASSWORD
from support.host_app import Host, HostUser, MakeHost, cheap_hash
from support.log_records import LogRecords
from support.race import race

ORDERS_READ = Scope("orders:read", "See")
NEW_PASSWORD = "seven quiet geese cross the river"


def change_password(host: Host, tokens: dict[str, Any], **fields: Any) -> Any:
    """Change the password of a signed-in user; return the response."""
    body = {"current_password": PASSWORD, "new_password": NEW_PASSWORD} | fields
    return host.client(tokens).post("/me/password", json=body)


def is_accepted(host: Host, tokens: dict[str, Any]) -> bool:
    """Return whether the gate accepts the access token."""
    return host.client(tokens).get("/auth/sessions").status_code == 200


def test_a_user_signs_in_with_the_hash_of_the_application(host: Host) -> None:
    """The id is the text of the primary key."""
    user_id = host.create_user()
    assert host.client(host.login()).get("/orders").text == str(user_id)


def test_scopes_that_the_application_does_not_know_are_dropped(host: Host) -> None:
    """No token has a scope that no rule names (S-082)."""
    host.create_user(scopes="orders:read rockets:launch")
    assert host.login()["scope"] == "orders:read"


@pytest.mark.dialect("sqlite")
def test_the_log_names_an_unknown_scope_once(host: Host, log_records: LogRecords) -> None:
    """A name that is misspelt in the table is in no token."""
    host.create_user(scopes="orders:read rockets:lauch")
    host.login()
    host.login()
    assert sum("rockets:lauch" in line for line in log_records.lines()) == 1


@pytest.mark.parametrize("scopes", [[ORDERS_READ], ("orders:read",), "orders:read"], ids=repr)
def test_scopes_are_given_by_name_or_as_objects(make_host: MakeHost, scopes: Any) -> None:
    """Also as a string with spaces between, as in tokens."""
    host = make_host(scopes=lambda _: scopes)
    host.create_user()
    assert host.login()["scope"] == "orders:read"


@pytest.mark.parametrize("scopes", [None, 1, {"orders:read": False}, [("orders:read",)], b"a:b"])
def test_scopes_of_another_type_are_an_error(
    make_host: MakeHost, scopes: Any, log_records: LogRecords
) -> None:
    """The log says in one line what to return."""
    host = make_host(scopes=lambda _: scopes)
    host.create_user()
    assert host.try_login().status_code == 503
    assert "the scopes of a user are a list of names such as" in "\n".join(log_records.lines())


def test_a_sign_in_replaces_the_hash_with_argon2id(host: Host) -> None:
    """By compare-and-set; the same password matches afterwards (S-047)."""
    user_id = host.create_user()
    host.login()
    replaced = host.stored_hash(user_id)
    assert replaced.startswith("$argon2id$")
    host.login()
    assert host.stored_hash(user_id) == replaced


def test_a_long_password_is_not_replaced_by_a_mistyped_one_when_bcrypt_cut_it(host: Host) -> None:
    """The hash says nothing of what is behind 72 bytes, so it stays (S-040)."""
    password = "correct horse battery staple " * 3
    user_id = host.create_user(
        password_hash=bcrypt.hashpw(password.encode()[:72], bcrypt.gensalt(4)).decode()
    )
    host.login(password=f"{password[:72]}mistyped")
    assert host.stored_hash(user_id).startswith("$2b$")
    host.login(password=password)


def test_no_hash_is_replaced_when_the_users_are_read_only(make_host: MakeHost) -> None:
    """Other programs verify them, too."""
    host = make_host(read_only=True)
    user_id = host.create_user()
    before = host.stored_hash(user_id)
    assert change_password(host, host.login()).status_code == 403
    assert host.stored_hash(user_id) == before


@pytest.mark.parametrize(
    "columns",
    [
        {"username": "somebody"},
        {"password_hash": cheap_hash("another password")},
        {"password_hash": None},
        {"password_hash": ""},
        {"password_hash": "plain"},
        {"active": False},
        {"active": None},
    ],
    ids=["name", "other", "null", "empty", "plain", "off", "unknown"],
)
def test_a_sign_in_is_401_when_it_must_not_succeed(host: Host, columns: dict[str, Any]) -> None:
    """Always with the same response (S-184)."""
    host.create_user(**columns)
    response = host.try_login()
    assert (response.status_code, response.get_json()["code"]) == (401, "invalid_credentials")


def test_users_may_sign_in_with_another_unique_column(make_host: MakeHost) -> None:
    """Such as the address, in the form in which it is stored."""
    host = make_host(username="email", normalize=str.lower)
    host.create_user(email="grace@example.com")
    assert host.try_login("Grace@Example.com").status_code == 200
    assert host.try_login("grace").status_code == 401


def test_me_shows_the_user_of_the_application(host: Host) -> None:
    """Without roles, which only the layer's own users have."""
    user_id, tokens = host.create_user(), host.login()
    shown = host.client(tokens).get("/me").get_json()
    assert (shown["id"], shown["username"]) == (str(user_id), "grace")
    assert shown.keys() == {"id", "username", "scopes", "session_id", "auth_time"}


def test_me_is_404_when_the_application_deleted_the_user(host: Host) -> None:
    """The access token is valid for some more minutes."""
    host.create_user()
    tokens = host.login()
    with host.engine.begin() as connection:
        connection.execute(delete(HostUser))
    assert host.client(tokens).get("/me").status_code == 404


def test_a_refresh_has_the_scopes_of_now(host: Host) -> None:
    """The application changed them without a word to the layer."""
    user_id, tokens = host.create_user(), host.login()
    host.change_user(user_id, scopes="")
    assert host.refresh(tokens).get_json()["scope"] == ""


@pytest.mark.parametrize(
    "columns", [{"active": False}, {"password_hash": cheap_hash(NEW_PASSWORD)}], ids=["off", "hash"]
)
def test_a_refresh_is_401_when_the_application_changed_the_user(
    host: Host, columns: dict[str, Any]
) -> None:
    """S-067, S-126: disabled, or with another password, which ends the sessions of the old one."""
    user_id, tokens = host.create_user(), host.login()
    host.change_user(user_id, **columns)
    assert host.refresh(tokens).status_code == 401


def test_a_refresh_is_401_when_the_id_was_given_to_another_user(host: Host) -> None:
    """S-122: SQLite does so after the newest user was deleted."""
    user_id, tokens = host.create_user(), host.login()
    with host.engine.begin() as connection:
        connection.execute(delete(HostUser))
    host.create_user("mallory", id=user_id, password_hash=cheap_hash())
    assert host.refresh(tokens).status_code == 401


def test_a_sign_in_ends_the_sessions_of_the_previous_password(host: Host) -> None:
    """S-126: their access tokens too."""
    user_id, old = host.create_user(), host.login()
    host.change_user(user_id, password_hash=cheap_hash(NEW_PASSWORD))
    new = host.login(password=NEW_PASSWORD)
    assert (is_accepted(host, old), is_accepted(host, new)) == (False, True)


def test_access_tokens_are_revoked_when_the_application_says_so(host: Host) -> None:
    """S-183: the next refresh has the new scopes."""
    user_id, tokens = host.create_user(), host.login()
    host.change_user(user_id, scopes="")
    host.users_changed(user_id)
    assert not is_accepted(host, tokens)
    refreshed = host.refresh(tokens).get_json()
    assert (refreshed["scope"], is_accepted(host, refreshed)) == ("", True)


def test_other_users_keep_their_tokens_when_one_changed(host: Host) -> None:
    """And nothing happens for no user at all."""
    grace, _ = host.create_user(), host.create_user("alan")
    others = host.login("alan")
    host.users_changed(grace)
    host.users_changed()
    assert is_accepted(host, others)


@pytest.mark.parametrize("kind", [int, str])
def test_a_changed_user_may_be_named_by_an_id_of_any_type(
    host: Host, kind: Callable[[object], object]
) -> None:
    """The one of the column, or as the layer has it."""
    user_id, tokens = host.create_user(), host.login()
    host.users_changed(kind(user_id))
    assert not is_accepted(host, tokens)


@pytest.mark.parametrize(
    "wrong", [HostUser(id=1), [1, 2], None, True, b"1"], ids=lambda wrong: type(wrong).__name__
)
def test_what_is_no_id_of_a_changed_user_is_rejected(host: Host, wrong: object) -> None:
    """Nobody would have lost their tokens."""
    with pytest.raises(TypeError, match=r"pass user\.id"):
        host.users_changed(1, wrong)


def test_a_password_change_is_stored_in_the_table_of_the_application(host: Host) -> None:
    """The session goes on, and the others end (S-126)."""
    host.create_user()
    here, there = host.login(), host.login()
    changed = change_password(host, here)
    assert changed.status_code == 200
    assert host.refresh(changed.get_json()).status_code == 200
    assert (is_accepted(host, there), host.refresh(there).status_code) == (False, 401)
    assert [host.try_login(password=word).status_code for word in (PASSWORD, NEW_PASSWORD)] == [
        401,
        200,
    ]


def test_other_sessions_go_on_when_the_user_wants_so(host: Host) -> None:
    """They belong to the new hash from then on."""
    host.create_user()
    here, there = host.login(), host.login()
    assert change_password(host, here, end_other_sessions=False).status_code == 200
    assert host.refresh(there).status_code == 200


def test_a_password_change_is_422_when_the_application_replaces_the_hash_meanwhile(
    make_host: MakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The user proved the previous password (S-042)."""
    host = make_host()
    user_id = host.create_user()
    tokens, passwords = host.login(), host.services.issuer.password_service
    hash_password = type(passwords).hash

    def hash_and_change(*arguments: Any) -> str:
        host.change_user(user_id, password_hash=cheap_hash("of an operator"))
        return hash_password(*arguments)

    monkeypatch.setattr(type(passwords), "hash", hash_and_change)
    assert change_password(host, tokens).status_code == 422
    assert host.stored_hash(user_id).startswith("pbkdf2:")


def test_a_sign_in_is_401_when_the_password_is_changed_just_before_its_session_opens(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S-126: a thief's session must not outlive the new password."""
    host.create_user()
    tokens, read_scopes = host.login(), SqlUsers.scopes
    pending = [lambda: change_password(host, tokens)]

    def scopes(users: SqlUsers, user_id: str) -> Iterable[object]:
        found = read_scopes(users, user_id)
        if pending:
            assert pending.pop()().status_code == 200
        return found

    monkeypatch.setattr(SqlUsers, "scopes", scopes)
    assert host.try_login().status_code == 401


def test_a_password_change_is_503_when_the_table_cannot_be_written(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing changed: the session and the password stay."""
    host.create_user()
    tokens = host.login()
    monkeypatch.setattr("itemsapi.accounts.sql_users.SqlUsers.replace_password_hash", fail)
    assert change_password(host, tokens).status_code == 503
    assert host.refresh(tokens).status_code == 200


def test_a_sign_in_succeeds_when_the_hash_cannot_be_replaced(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next one tries again."""
    user_id = host.create_user()
    with monkeypatch.context() as patch:
        patch.setattr("itemsapi.accounts.sql_users.SqlUsers.renew_password_hash", fail)
        assert host.refresh(host.login()).status_code == 200
    host.login()
    assert host.stored_hash(user_id).startswith("$argon2id$")


def test_a_refresh_goes_on_when_a_sign_in_replaces_the_hash_meanwhile(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The refresh read the state before the sign-in, and the user after it."""
    host.create_user()
    with monkeypatch.context() as patch:
        patch.setattr("itemsapi.accounts.sql_users.SqlUsers.replace_password_hash", fail)
        tokens = host.login()
    find, pending = SqlUsers.find_by_id, [host.login]

    def find_by_id(users: SqlUsers, user_id: str) -> UserAccount | None:
        if pending:
            pending.pop()()
        return find(users, user_id)

    monkeypatch.setattr(SqlUsers, "find_by_id", find_by_id)
    assert host.refresh(tokens).status_code == 200


def fail(*_: object) -> bool:
    """Fail as a database does that is away."""
    raise DatabaseUnavailable(cause="test")


@pytest.fixture
def parallel(host: Host, monkeypatch: pytest.MonkeyPatch) -> Host:
    """The application, with room for more passwords at once than one client usually gets."""
    queue = HashingQueue(max_running=8, max_waiting=8)
    monkeypatch.setattr(host.services.issuer.password_service, "_queue", queue)
    return host


def test_all_sessions_go_on_when_parallel_sign_ins_replace_the_hash(
    parallel: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of them replaces it; the sessions of the others know the new hash, too."""
    # A sign-in that finds the table locked leaves it to the next one; here they all wait.
    monkeypatch.setattr(SqlUsers, "renew_password_hash", SqlUsers.replace_password_hash)
    host, user_id = parallel, parallel.create_user()
    opened = race(*[host.login] * 3)
    assert host.stored_hash(user_id).startswith("$argon2id$")
    assert [host.refresh(tokens).status_code for tokens in opened] == [200] * 3


def test_a_session_ends_with_logout(host: Host) -> None:
    """For every user alike."""
    host.create_user()
    tokens = host.login()
    host.client(tokens).post("/auth/logout", json={})
    assert (is_accepted(host, tokens), host.refresh(tokens).status_code) == (False, 401)


def test_the_oldest_session_ends_above_the_limit(host: Host) -> None:
    """S-124: the limit is three here."""
    user_id = str(host.create_user())
    opened = [host.login() for _ in range(4)]
    assert [is_accepted(host, tokens) for tokens in opened] == [False, True, True, True]
    assert len(list_open_sessions(host.services.issuer, user_id)) == 3


def test_parallel_sign_ins_do_not_exceed_the_limit(parallel: Host) -> None:
    """S-124: the row of the user's state is the lock, also when it does not exist yet."""
    user_id = str(parallel.create_user())
    race(*[parallel.login] * 6)
    assert len(list_open_sessions(parallel.services.issuer, user_id)) == 3


@pytest.mark.parametrize("user", ["grace", "nobody"])
def test_wrong_passwords_are_limited_in_every_spelling_of_the_name(host: Host, user: str) -> None:
    """S-045: a database that ignores case or accents does not give further attempts."""
    host.create_user()
    spellings = [user, user.upper(), f"{user} ", user.replace("a", "\u00e1"), user.title()] * 2
    for name in spellings:
        assert host.try_login(name, "wrong").status_code == 401
    assert host.try_login(user, "wrong").status_code == 429


def test_the_audit_trail_names_the_user_of_the_application(host: Host) -> None:
    """By the id, not by the name (S-150)."""
    user_id = host.create_user()
    host.login()
    host.try_login(password="wrong")
    with host.services.database.reading() as connection:
        table = AuditEvent.core()
        query = select(table.c.event, table.c.user_id).where(table.c.user_id.is_not(None))
        events = sorted(map(tuple, connection.execute(query)))
    expected = ["authn_login_fail", "authn_login_success"]
    assert events == [(event, str(user_id)) for event in expected]


def test_introspection_knows_the_users_of_the_application(host: Host) -> None:
    """A refresh token is inactive as soon as the password is another one."""
    user_id, tokens = host.create_user(), host.login()
    issuer, token = host.services.issuer, tokens["refresh_token"]
    assert introspect(issuer, token)["active"]
    host.change_user(user_id, password_hash=cheap_hash(NEW_PASSWORD))
    assert not introspect(issuer, token)["active"]


@pytest.mark.dialect("sqlite")
@pytest.mark.parametrize("part", ["operators", "items"])
def test_parts_for_the_own_users_are_refused_with_other_users(host: Host, part: Any) -> None:
    """They would manage users who cannot sign in."""
    users = host.auth._options.users  # noqa: SLF001 - any users will do
    with pytest.raises(ValueError, match=f"include=.'{part}'. works on the layer's own users"):
        AuthLayer(users=users, include={part})


class UsersInMemory:
    """Users of an application that has no database; they sign in by several names."""

    read_only = False

    def __init__(self, *, scopes: str = "orders:read") -> None:
        """Start with one user."""
        self.hashes, self.granted = {"Grace H.": cheap_hash()}, scopes

    def find_by_name(self, username: str) -> UserAccount | None:
        """Return the user by any of their names."""
        known = username in {"grace", "grace@example.com"}
        return UserAccount("Grace H.", username, self.hashes["Grace H."]) if known else None

    def find_by_id(self, user_id: str) -> UserAccount | None:
        """Return the user, whatever the case of the id."""
        assert user_id
        return UserAccount("Grace H.", "Grace", self.hashes["Grace H."])

    def scopes(self, user_id: str) -> str:
        """Return the scopes as one text."""
        assert user_id
        return self.granted

    def replace_password_hash(self, user_id: str, old: str, new: str) -> bool:
        """Replace the hash."""
        is_unchanged = self.hashes[user_id] == old
        self.hashes[user_id] = new
        return is_unchanged


def make_memory_host(host: Host, users: object) -> Host:
    """Build an application with such users, on the database of another one."""
    app = Flask("memory")
    settings = host.services.settings
    auth = AuthLayer(app, users=cast("Users", users), settings=settings, clock=host.clock)
    app.add_url_rule("/orders", "orders", requires(Scope("orders:read", "See"))(lambda: ""))
    return Host(app, auth, host.engine, host.session, host.clock)


@pytest.fixture
def memory_host(host: Host) -> Iterator[Host]:
    """An application whose users are in memory."""
    made = make_memory_host(host, UsersInMemory())
    yield made
    made.services.database.dispose()


@pytest.mark.parametrize("name", ["grace", "grace@example.com"])
def test_any_object_with_the_methods_may_be_the_users(memory_host: Host, name: str) -> None:
    """The name in the account may be another one each time; the id counts."""
    tokens = memory_host.login(name)
    assert tokens["scope"] == "orders:read"
    assert memory_host.refresh(tokens).status_code == 200


def test_no_hash_is_replaced_when_any_users_are_read_only(host: Host) -> None:
    """The method is not even called."""
    users = UsersInMemory()
    users.read_only = True
    memory_host = make_memory_host(host, users)
    memory_host.login()
    memory_host.services.database.dispose()
    assert users.hashes["Grace H."].startswith("pbkdf2:")


def test_a_user_is_not_another_whose_id_differs_in_case(memory_host: Host) -> None:
    """S-122: some databases compare without regard to it."""
    users = memory_host.services.issuer.users
    assert users.find_by_id("Grace H.") is not None
    assert users.find_by_id("grace h.") is None


@pytest.mark.dialect("sqlite")
@pytest.mark.parametrize(
    ("users", "message"),
    [
        (HostUser, "has no method find_by_name: give an object such as SqlUsers"),
        (UsersInMemory, "has no method find_by_name"),
        ([], "has no method find_by_name"),
        (type("Half", (), {"find_by_name": print})(), "has no method find_by_id"),
        (type("Unclear", (UsersInMemory,), {"read_only": None})(), "has no attribute read_only"),
        (type("Named", (UsersInMemory,), {"name": 7})(), "has the name 7: write a text"),
        (
            type("Wrong", (UsersInMemory,), {"scopes": lambda _: []})(),
            "has to take a name or an id",
        ),
    ],
)
def test_an_object_without_the_methods_is_refused(users: Any, message: str) -> None:
    """At the start, not at the first sign-in."""
    with pytest.raises(TypeError, match=message):
        AuthLayer(users=users)


@pytest.mark.dialect("sqlite")
@pytest.mark.parametrize("user_id", ["", "x" * 129, "a\nb"])
def test_a_user_whose_id_no_token_can_have_is_unknown(
    host: Host, user_id: str, log_records: LogRecords
) -> None:
    """The response is that for any other name; the log says what has to be changed (S-184)."""

    class Unusable(UsersInMemory):
        def find_by_name(self, username: str) -> UserAccount | None:
            return UserAccount(user_id, username, None)

    issuer = host.services.issuer
    source = ApplicationUsers(Unusable(), issuer.database, issuer.clock, issuer.scope_registry)
    assert source.find_by_name("grace") is None
    assert "1 to 128 printable characters" in "\n".join(log_records.lines())
