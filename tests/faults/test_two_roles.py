"""One role creates the tables, another one serves and cannot change the schema (S-164).

Both are created by the guide's own SQL, on a real PostgreSQL.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, make_url
from sqlalchemy.exc import ProgrammingError

from itemsapi import create_app
from itemsapi.clock import new_id
from itemsapi.services import EXTENSION
from itemsapi.settings import Settings
from itemsapi.testing import MovableClock
from support.app_factory import Backend
from support.command_line import SECRET, Shell, shell_at
from support.postgres_database import execute, url_of

GUIDE = Path(__file__).parents[2] / "docs" / "operations.md"
OWNER, SERVING = "itemsapi_owner", "itemsapi"

pytestmark = [pytest.mark.slow, pytest.mark.postgres]


@pytest.fixture
def urls(postgres_server: str) -> Iterator[dict[str, str]]:
    """The URLs of an empty database for each of the two roles."""
    suffix = new_id()[-12:]
    name, roles = f"two_{suffix}", {OWNER: f"owner_{suffix}", SERVING: f"serving_{suffix}"}
    execute(postgres_server, f"CREATE DATABASE {name}")
    blocks = re.findall(r"```sql\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL)
    (lines,) = (block for block in blocks if OWNER in block)
    lines = re.sub(r"\bitemsapi(_owner)?\b", lambda found: roles[found[0]], lines)
    for statement in filter(str.strip, lines.split(";")):
        execute(url_of(postgres_server, name), statement)
    address = make_url(url_of(postgres_server, name))
    yield {
        role: address.set(username=role_name).render_as_string(hide_password=False)
        for role, role_name in roles.items()
    }
    execute(postgres_server, f"DROP DATABASE {name} WITH (FORCE)")
    for role_name in roles.values():
        execute(postgres_server, f"DROP ROLE {role_name}")


@pytest.fixture
def shells(urls: dict[str, str], tmp_path: Path) -> dict[str, Shell]:
    """A shell for each role; the owner has created the tables."""
    found = {role: shell_at(tmp_path / "data", database_url=url) for role, url in urls.items()}
    done = found[OWNER].run("db", "upgrade")
    assert done.code == 0, done
    return found


@pytest.fixture
def engine(urls: dict[str, str], shells: dict[str, Shell]) -> Iterator[Engine]:
    """The access of an attacker who controls the serving process."""
    created_item = create_engine(make_url(urls[SERVING]).set(drivername="postgresql+psycopg"))
    yield created_item
    created_item.dispose()


@pytest.fixture
def backend(urls: dict[str, str], shells: dict[str, Shell], tmp_path: Path) -> Iterator[Backend]:
    """The application under the serving role."""
    clock = MovableClock()
    settings = Settings(
        database_url=urls[SERVING], data_dir=tmp_path, secret_key=SECRET, rate_limit=None
    )
    app = create_app(settings, clock=clock)
    backend = Backend(app, app.extensions[EXTENSION], clock)
    yield backend
    backend.services.database.dispose()


DEFINITIONS = [
    "CREATE TABLE mine (id integer)",
    "CREATE SCHEMA mine",
    "CREATE FUNCTION mine() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
    "DROP TABLE itemsapi_session",
    "ALTER TABLE itemsapi_user ADD COLUMN mine integer",
    "ALTER TABLE itemsapi_user DISABLE TRIGGER ALL",
    "CREATE INDEX mine ON itemsapi_user (username)",
    "TRUNCATE itemsapi_audit_event",
    "CREATE ROLE mine",
]


@pytest.mark.parametrize("statement", DEFINITIONS)
def test_the_serving_role_cannot_change_the_schema(engine: Engine, statement: str) -> None:
    """S-164: it cannot drop or grant either."""
    with engine.connect() as connection, pytest.raises(ProgrammingError) as refused:
        connection.exec_driver_sql(statement)
    assert getattr(refused.value.orig, "sqlstate", "") == "42501"


def test_the_serving_role_cannot_migrate(shells: dict[str, Shell]) -> None:
    """S-164: a one-line error; the tables stay as they are."""
    done = shells[SERVING].run("db", "downgrade", "base", "--yes")
    assert (done.code, done.err.count("\n")) == (1, 1), done
    assert shells[SERVING].run("db", "check").code == 0


COMMANDS = [
    "check", "db current", "users add eve --role member", "users list", "users disable eve",
    "sessions list ada", "sessions end --everybody --yes", "keys list", "purge", "access",
]  # fmt: skip


def test_commands_work_under_the_serving_role(shells: dict[str, Shell], backend: Backend) -> None:
    """S-164: every command but those of the schema."""
    backend.create_user("ada", "admin")
    for command in COMMANDS:
        done = shells[SERVING].run(*command.split())
        assert done.code == 0, (command, done)


def test_all_endpoints_work_under_the_serving_role(backend: Backend) -> None:
    """S-164: login to logout, items, users, roles and the audit trail."""
    admin = backend.signed_in_client("ada", "admin", "member")
    created_item = admin.post("/items", json={"name": "Lamp", "price": "1", "currency": "EUR"})
    item_path, version = (
        f"/items/{created_item.get_json()['id']}",
        {"If-Match": created_item.headers["ETag"]},
    )
    changed_item = admin.patch(item_path, json={"quantity": 2}, headers=version)
    item_list = admin.get("/items?q=lamp")
    deletion = admin.delete(item_path, headers={"If-Match": changed_item.headers["ETag"]})
    eve = admin.post(
        "/users", json={"username": "eve", "password": "twelve brown horses", "roles": ["member"]}
    )
    role = admin.put("/roles/clerk", json={"description": "Clerk", "scopes": ["items:read"]})
    fetched = [admin.get(path) for path in ("/audit", "/users", "/roles", "/auth/sessions", "/me")]
    responses = [created_item, changed_item, item_list, deletion, eve, role, *fetched]
    assert [response.status_code for response in responses[:6]] == [201, 200, 200, 204, 201, 201]
    assert {response.status_code for response in fetched} == {200}
    token = backend.login("ada")["refresh_token"]
    refreshed = backend.client().post("/auth/refresh", json={"refresh_token": token}).get_json()
    logout_body = {"refresh_token": refreshed["refresh_token"]}
    assert backend.client().post("/auth/logout", json=logout_body).status_code == 204
    assert backend.client().get("/health/ready").status_code == 200
