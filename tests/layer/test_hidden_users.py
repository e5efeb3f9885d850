"""Users whom a filter of the application hides: refused now, and nothing of theirs is revoked."""

import secrets
from typing import Any

import pytest
from flask import g, has_request_context, request
from sqlalchemy import Connection, Engine, Update, create_engine, event, text
from sqlalchemy.orm import (
    ORMExecuteState,
    Session,
    scoped_session,
    sessionmaker,
    with_loader_criteria,
)

from itemsapi import SqlUsers
from itemsapi.issuer.sessions import list_open_sessions
from itemsapi.testing import PASSWORD
from support.host_app import Host, HostUser, MakeHost

OURS, THEIRS = "http://ours.example", "http://theirs.example"


def tenant_of_host() -> object:
    """Return the tenant that the address names, as soon as there is a request."""
    return request.host


def tenant_of_hook() -> object:
    """Return the tenant that a `before_request` wrote: the gate is before it."""
    return g.get("tenant")


@pytest.fixture(params=[tenant_of_host, tenant_of_hook])
def host(make_host: MakeHost, request: pytest.FixtureRequest) -> Host:
    """An application with a filter for the tenant of the request, which the address names."""
    host = make_host(include={"api_keys"}, enabled=None)
    host.app.before_request(lambda: setattr(g, "tenant", tenant_of_host()))
    tenant_of = request.param

    def hide_others(state: ORMExecuteState) -> None:
        if has_request_context():
            criteria = with_loader_criteria(HostUser, HostUser.email == tenant_of())
            state.statement = state.statement.options(criteria)

    event.listen(host.session.session_factory, "do_orm_execute", hide_others)
    return host


@pytest.fixture
def tokens(host: Host) -> dict[str, Any]:
    """The tokens of a user of one tenant."""
    host.create_user(id=7, email="ours.example")
    body = {"username": "grace", "password": PASSWORD}
    return dict(call(host, OURS, "/auth/login", json=body)[1])


@pytest.fixture
def key(host: Host, tokens: dict[str, Any]) -> str:
    """An API key of this user."""
    body = {"name": "export", "scopes": ["orders:read"]}
    token = tokens["access_token"]
    return str(call(host, OURS, "/me/api-keys", token, json=body)[1]["key"])


def call(host: Host, tenant: str, path: str, token: str = "", **options: Any) -> tuple[int, Any]:
    """Return the status and the JSON of a request, in a process that remembers no key."""
    host.services.api_key_lookup._remembered.clear()  # noqa: SLF001 - as after a second
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    method = "POST" if options else "GET"
    response = host.app.test_client().open(
        path, base_url=tenant, method=method, headers=headers, **options
    )
    return response.status_code, response.get_json(silent=True)


def refresh(host: Host, tenant: str, tokens: dict[str, Any]) -> int:
    """Return the status of a refresh."""
    body = {"refresh_token": tokens["refresh_token"]}
    return call(host, tenant, "/auth/refresh", json=body)[0]


def open_sessions(host: Host) -> int:
    """Return the number of the user's sessions."""
    return len(list_open_sessions(host.services.issuer, "7"))


def test_a_key_is_refused_and_not_revoked_when_a_filter_hides_its_user(
    host: Host, tokens: dict[str, Any], key: str
) -> None:
    """S-122: the id is not free, so nobody else can have it."""
    assert call(host, THEIRS, "/orders", key)[0] == 401
    with host.services.database.reading() as connection:
        revoked = connection.scalar(text("SELECT revoked_at FROM itemsapi_api_key"))
    assert (revoked, refresh(host, OURS, tokens)) == (None, 200)


def test_a_session_goes_on_when_a_filter_hid_its_user(host: Host, tokens: dict[str, Any]) -> None:
    """A refresh at the address of another tenant is refused, and that is all."""
    assert (refresh(host, THEIRS, tokens), refresh(host, OURS, tokens)) == (401, 200)


@pytest.mark.parametrize("is_joined", [False, True])
def test_a_change_of_a_hidden_user_ends_their_sessions_and_no_key(
    host: Host, key: str, is_joined: bool
) -> None:
    """S-067: who is hidden may be deleted for the application, which keeps the row."""
    with host.app.test_request_context("/", base_url=THEIRS), Session(host.engine) as session:
        host.auth.users_changed(7, connection=session if is_joined else None)
        session.commit()
    with host.services.database.reading() as connection:
        revoked = connection.scalar(text("SELECT revoked_at FROM itemsapi_api_key"))
    assert (revoked, open_sessions(host)) == (None, 0)


def test_what_a_hidden_user_has_ends_once_the_row_is_deleted(
    host: Host, tokens: dict[str, Any], key: str
) -> None:
    """S-122: the id is free then, and the next user must not get it."""
    host.delete_user(7)
    assert call(host, THEIRS, "/orders", key)[0] == 401
    host.create_user(id=7, email="ours.example", username="mallory")
    assert (call(host, OURS, "/orders", key)[0], open_sessions(host)) == (401, 0)


# Other ways to hide a row.


@pytest.fixture
def engine(make_host: MakeHost) -> Engine:
    """The engine of an application, which a user is stored with."""
    host = make_host()
    host.create_user(id=7)
    return host.engine


@pytest.mark.dialect("sqlite")
@pytest.mark.parametrize("read_only", [False, True])
def test_a_user_whom_a_follower_does_not_have_yet_is_not_gone(
    engine: Engine, read_only: bool
) -> None:
    """S-122: another follower may have shown the user already."""
    follower = create_engine("sqlite://")
    HostUser.metadata.create_all(follower)

    class Routing(Session):
        def get_bind(self, _: Any = None, /, *, clause: Any = None, **__: Any) -> Engine:
            return engine if isinstance(clause, Update) else follower

    users = SqlUsers(Routing(), HostUser, read_only=read_only)
    assert (users.find_by_id("7"), users.is_hidden("7"), users.is_hidden("8")) == (
        None,
        True,
        False,
    )
    follower.dispose()


@pytest.mark.postgres
@pytest.mark.dialect("postgresql")
@pytest.mark.parametrize("is_joined", [False, True])
def test_a_user_is_not_gone_when_policies_choose_the_rows(engine: Engine, is_joined: bool) -> None:
    """S-122: nobody knows then whether the row exists."""
    role = f"tenant_{secrets.token_hex(8)}"  # a server has one set of roles for all databases

    def become_a_role(connection: Connection) -> None:
        connection.exec_driver_sql(f"SET LOCAL ROLE {role}")

    with engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE host_user ENABLE ROW LEVEL SECURITY")
        connection.exec_driver_sql(f"CREATE ROLE {role}")
        connection.exec_driver_sql(f"GRANT SELECT ON host_user TO {role}")
    tenant = create_engine(engine.url)
    event.listen(tenant, "begin", become_a_role)
    users = SqlUsers(sessionmaker(tenant), HostUser)
    try:
        with tenant.connect() as connection:
            joined = connection if is_joined else None
            assert (users.find_by_id("7"), users.is_hidden("7", joined)) == (None, True)
    finally:
        tenant.dispose()
        with engine.begin() as connection:
            connection.exec_driver_sql("ALTER TABLE host_user DISABLE ROW LEVEL SECURITY")
            connection.exec_driver_sql(f"DROP OWNED BY {role}")
            connection.exec_driver_sql(f"DROP ROLE {role}")


def test_no_user_is_hidden_behind_a_text_that_is_no_id(engine: Engine) -> None:
    """Of another shape, or of no shape."""
    users = SqlUsers(scoped_session(sessionmaker(engine)), HostUser)
    assert [users.is_hidden(wrong) for wrong in ("", "x", "07", "8")] == [False] * 4
