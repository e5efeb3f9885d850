"""`itemsapi db backup` and `db restore`: nothing is lost, and nothing revoked comes back."""

import os
import re
import sqlite3
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url, text

from itemsapi.db import postgres_backup
from itemsapi.db.backup_file import BackupFailed, kind_of
from itemsapi.tokens.key_store import KEY_LOCK_ID
from itemsapi.tokens.revocation import FEED_LOCK_ID
from support.app_factory import Backend
from support.command_line import CommandResult, Shell
from support.postgres_database import LOCKED_OUT, count_connections
from support.postgres_database import execute as execute_sql
from support.postgres_programs import path_with_postgres_programs
from support.service import wait_until
from support.tokens import OpenedSession, error_code, is_accepted, look, open_session, refresh

Build = Callable[..., Backend]
SQLITE = pytest.mark.dialect("sqlite")
POSTGRES = pytest.mark.dialect(pytest.param("postgresql", marks=pytest.mark.postgres))


@pytest.fixture(autouse=True)
def _programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the commands find the programs of PostgreSQL's wheel."""
    monkeypatch.setenv("PATH", path_with_postgres_programs())


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The name of a backup."""
    return tmp_path / "backup"


@pytest.fixture
def backend(make_backend: Build) -> Backend:
    """An application with a view that only the gate protects."""
    return make_backend(look)


@pytest.fixture
def back_up(shell: Shell, file: Path) -> Callable[[], CommandResult]:
    """Make a backup."""
    return lambda: shell.run("db", "backup", str(file))


@pytest.fixture
def restore(shell: Shell, file: Path, make_backend: Build) -> Callable[..., Backend]:
    """Restore the backup over the database, and start the service again."""

    def run(*options: str) -> Backend:
        done = shell.run("db", "restore", str(file), "--replace", *options)
        assert done.code == 0, done.err
        return make_backend(look)

    return run


def execute(backend: Backend, statement: str) -> None:
    """Change rows as an accident would."""
    with backend.services.database.transaction() as tx:
        tx.execute(text(statement))


def server_of(backend: Backend) -> postgres_backup.Server:
    """Return how the programs of PostgreSQL reach the database."""
    with backend.services.database.reading() as connection:
        return postgres_backup.Server.of(connection)


def interrupt(_steps: float) -> None:
    """Press Ctrl-C while the progress is shown."""
    raise KeyboardInterrupt


def make_key(backend: Backend) -> str:
    """Make an API key of a new user."""
    client = backend.signed_in_client("eve", "member")
    body = {"name": "export", "scopes": ["items:read"]}
    return str(client.post("/me/api-keys", json=body).get_json()["key"])


def test_a_backup_can_be_read_by_its_owner_only(
    back_up: Callable[[], CommandResult], file: Path
) -> None:
    """It has password hashes (S-064)."""
    assert back_up().code == 0
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_backup_overwrites_no_file(back_up: Callable[[], CommandResult], file: Path) -> None:
    """The line says what to do."""
    file.write_text("mine")
    line = f"itemsapi: {file} exists; give the backup another name\n"
    assert (back_up().err, file.read_text()) == (line, "mine")


@SQLITE
def test_each_backup_in_a_folder_has_its_own_name(shell: Shell, project: Path) -> None:
    """Also if several are made within a second."""
    codes = [shell.run("db", "backup", ".").code for _ in range(3)]
    assert (codes, len(list(project.glob("*Z.backup")))) == ([0, 0, 0], 3)


@SQLITE
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("", "the name of the backup is empty; name a file or a folder"),
        ("nightly/", "nightly/ is no folder; make it, or write the name without /"),
    ],
)
def test_a_name_that_is_no_file_and_no_folder_gets_no_backup(
    shell: Shell, project: Path, name: str, words: str
) -> None:
    """A script would find it nowhere, or have no place for the one of the next night."""
    done = shell.run("db", "backup", name)
    assert (done.code, done.err, list(project.iterdir())) == (1, f"itemsapi: {words}\n", [])


def test_a_backup_leaves_files_with_names_like_its_own(
    back_up: Callable[[], CommandResult], file: Path
) -> None:
    """One of them may be a backup too."""
    other = file.with_name(f"{file.name}.part")
    other.write_text("mine")
    assert back_up().code == 0
    assert other.read_text() == "mine"


def test_a_backup_names_the_secret_which_it_does_not_have(
    back_up: Callable[[], CommandResult],
) -> None:
    """An operator who keeps only the database loses what the secret encrypts."""
    assert "Keep the secret key too, in another place" in back_up().out


def test_a_restore_brings_the_rows_of_the_backup_back(
    backend: Backend, back_up: Callable[[], CommandResult], restore: Callable[..., Backend]
) -> None:
    """A user deleted since then is there again."""
    backend.create_user("ada", "member")
    back_up()
    execute(backend, "DELETE FROM itemsapi_user_role")
    execute(backend, "DELETE FROM itemsapi_user")
    assert restore().login("ada")["access_token"]


def test_a_replaced_refresh_token_stays_invalid_after_a_restore(
    backend: Backend, back_up: Callable[[], CommandResult], restore: Callable[..., Backend]
) -> None:
    """R-28: in the restored row it is the current one, and a thief may have it."""
    session = open_session(backend, backend.create_user("ada", "member"))
    back_up()
    refresh(backend, session.refresh_token)
    assert error_code(refresh(restore(), session.refresh_token)) == "invalid_refresh_token"


def test_an_access_token_is_refused_after_a_restore(
    backend: Backend, back_up: Callable[[], CommandResult], restore: Callable[..., Backend]
) -> None:
    """R-28: its session may have ended since the backup."""
    session = open_session(backend, backend.create_user("ada", "member"))
    back_up()
    assert not is_accepted(restore(), session.access_token)


def test_a_signing_key_does_not_come_back_after_a_restore(
    backend: Backend, back_up: Callable[[], CommandResult], restore: Callable[..., Backend]
) -> None:
    """Whoever stole a key that was withdrawn since could sign tokens of any epoch."""
    kid = backend.services.key_set.snapshot().current.kid
    back_up()
    assert kid not in restore().services.key_set.snapshot().verifying


def test_users_sign_in_again_after_a_restore(
    backend: Backend, back_up: Callable[[], CommandResult], restore: Callable[..., Backend]
) -> None:
    """The new tokens are valid."""
    backend.create_user("ada", "member")
    back_up()
    restored = restore()
    assert is_accepted(restored, restored.login("ada")["access_token"])


@pytest.mark.parametrize(("options", "status"), [([], 401), (["--keep-api-keys"], 200)])
def test_api_keys_are_revoked_by_a_restore_unless_the_operator_keeps_them(
    backend: Backend,
    back_up: Callable[[], CommandResult],
    restore: Callable[..., Backend],
    options: list[str],
    status: int,
) -> None:
    """S-163: the backup does not know which of them were revoked after it."""
    key = make_key(backend)
    back_up()
    assert restore(*options).bearer_client(key).get("/items").status_code == status


def test_a_restore_is_in_the_audit_trail(
    back_up: Callable[[], CommandResult], restore: Callable[..., Backend]
) -> None:
    """Whoever reads it sees why events are missing."""
    back_up()
    events = restore().services.audit.latest(before=None, limit=1, event="database_restored")
    assert [event.address for event in events] == ["cli"]


def test_a_database_in_use_is_not_replaced_unasked(
    shell: Shell, backend: Backend, back_up: Callable[[], CommandResult], file: Path
) -> None:
    """The line says which option loses the data."""
    backend.create_user("ada", "member")
    back_up()
    done = shell.run("db", "restore", str(file))
    assert (done.code, done.err.count("\n")) == (1, 1)
    assert "the database is in use: `itemsapi_user` has rows; back it up, and write --" in done.err


def test_a_database_without_users_is_replaced(
    shell: Shell, backend: Backend, back_up: Callable[[], CommandResult], file: Path
) -> None:
    """That `serve` made keys in it is no reason to ask."""
    backend.services.key_set.snapshot()
    back_up()
    assert shell.run("db", "restore", str(file)).code == 0


@SQLITE
@pytest.mark.parametrize("options", [[], ["--replace"]])
def test_a_backup_is_restored_where_nothing_is(
    shell: Shell, file: Path, tmp_path: Path, options: list[str]
) -> None:
    """On a new machine; the new file is for its owner only."""
    shell.run("users", "add", "ada", "--role", "member")
    shell.run("db", "backup", str(file))
    new = shell.with_settings(
        data_dir=str(tmp_path / "new"), database_url=f"sqlite:///{tmp_path}/new/itemsapi.db"
    )
    assert new.run("db", "restore", str(file), *options).code == 0
    assert "ada" in new.run("users", "list").out
    assert (tmp_path / "new/itemsapi.db").stat().st_mode & 0o777 == 0o600


def test_a_backup_of_a_newer_version_is_not_restored(
    shell: Shell, backend: Backend, back_up: Callable[[], CommandResult], file: Path
) -> None:
    """The database keeps what it has."""
    execute(backend, "UPDATE itemsapi_alembic_version SET version_num = '9999'")
    back_up()
    execute(backend, "UPDATE itemsapi_alembic_version SET version_num = '0001'")
    done = shell.run("db", "restore", str(file), "--replace")
    assert "; install the newer version, and restore with that" in done.err


def test_a_backup_for_other_users_is_not_restored(
    shell: Shell, backend: Backend, back_up: Callable[[], CommandResult], file: Path
) -> None:
    """User 1 of one application would have what user 1 of another one has."""
    execute(backend, "DELETE FROM itemsapi_user_set")
    execute(backend, "INSERT INTO itemsapi_user_set (id, name) VALUES (1, 'shop')")
    back_up()
    with backend.services.database.engine.begin() as connection:  # which no transaction can
        connection.execute(text("DELETE FROM itemsapi_user_set"))
    assert "it is for the users of `shop`" in shell.run("db", "restore", str(file)).err


@pytest.mark.parametrize("lost", [0.5, 20])
def test_a_damaged_backup_changes_nothing(
    shell: Shell,
    backend: Backend,
    back_up: Callable[[], CommandResult],
    file: Path,
    lost: float,
) -> None:
    """Half of the file is lost, or only some bytes at its end."""
    back_up()
    backend.create_user("ada", "member")
    content = file.read_bytes()
    file.write_bytes(content[: -int(lost if lost > 1 else len(content) * lost)])
    done = shell.run("db", "restore", str(file), "--replace")
    assert (done.code, done.err.count("\n")) == (1, 1)
    assert backend.login("ada")


@POSTGRES
def test_a_restore_that_postgresql_refuses_changes_nothing(
    shell: Shell, backend: Backend, back_up: Callable[[], CommandResult], file: Path
) -> None:
    """Somebody made a view of a table since; the line has the words of the server."""
    execute(backend, "CREATE TABLE theirs (id integer)")
    back_up()
    backend.create_user("ada", "member")
    execute(backend, "CREATE VIEW shown AS SELECT id FROM theirs")
    done = shell.run("db", "restore", str(file), "--replace")
    assert "nothing was changed: cannot drop table public.theirs because other objects" in done.err
    assert backend.login("ada")


@POSTGRES
def test_a_database_without_tables_is_not_dumped(
    shell: Shell, file: Path, new_database_url: str
) -> None:
    """Such a file would be taken for a backup."""
    done = shell.with_settings(database_url=new_database_url).run("db", "backup", str(file))
    assert "the dump has no tables of itemsapi; run `itemsapi db upgrade` first" in done.err
    assert not file.exists()


@POSTGRES
@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ("app", "the dump has the schema public, and the search_path names app; write ?options="),
        ("nowhere", "the search_path names no schema that this role may use; write ?options="),
    ],
)
def test_a_dump_is_restored_into_its_own_schema_only(
    shell: Shell, file: Path, new_database_url: str, schema: str, words: str
) -> None:
    """In another one the service would not find the tables."""
    shell.run("db", "backup", str(file))
    execute_sql(new_database_url, "CREATE SCHEMA app")
    options = {"options": f"-csearch_path={schema}"}
    url = make_url(new_database_url).update_query_dict(options).render_as_string(False)
    done = shell.with_settings(database_url=url).run("db", "restore", str(file), "--replace")
    assert (done.code, words in done.err) == (1, True), done.err


@POSTGRES
def test_an_interrupted_restore_changes_nothing(
    backend: Backend, back_up: Callable[[], CommandResult], file: Path
) -> None:
    """At the end of its input psql would commit, without what ends the old tokens."""
    back_up()
    backend.create_user("ada", "member")

    server = server_of(backend)
    with pytest.raises(KeyboardInterrupt):
        postgres_backup.restore(server, file, [], lambda _description, _total: interrupt)
    assert backend.login("ada")


@POSTGRES
def test_a_backup_without_a_server_is_refused_in_one_line(shell: Shell, file: Path) -> None:
    """As with any other command; cron sends the line."""
    url = "postgresql://itemsapi:x@127.0.0.1:1/itemsapi"
    done = shell.with_settings(database_url=url).run("db", "backup", str(file))
    assert (done.code, done.err.count("\n")) == (1, 1)
    assert done.err.startswith("itemsapi: the database cannot be used: "), done.err


@POSTGRES
def test_an_interrupted_backup_leaves_no_file(backend: Backend, file: Path) -> None:
    """The name is free again, and pg_dump has ended."""
    server = server_of(backend)
    with pytest.raises(KeyboardInterrupt):
        postgres_backup.back_up(server, file, lambda _description, _total: interrupt)
    assert list(file.parent.glob("backup*")) == []


@POSTGRES
def test_a_dump_of_another_application_is_not_restored(
    shell: Shell, backend: Backend, file: Path, new_database_url: str
) -> None:
    """It would leave the service without tables."""
    server = server_of(backend)
    options = [*server.dump_options, "--exclude-table=itemsapi_*", f"--file={file}"]
    subprocess.run(["pg_dump", *options], check=True)  # noqa: S603, S607 - of the wheel
    done = shell.with_settings(database_url=new_database_url).run("db", "restore", str(file))
    words = "the dump has no tables of itemsapi; name a file of `itemsapi db backup`"
    assert (done.code, words in done.err) == (1, True)


@POSTGRES
def test_a_dump_is_restored_into_an_empty_database(
    shell: Shell,
    backend: Backend,
    back_up: Callable[[], CommandResult],
    file: Path,
    new_database_url: str,
) -> None:
    """On a new server."""
    backend.create_user("ada", "member")
    back_up()
    new = shell.with_settings(database_url=new_database_url)
    assert new.run("db", "restore", str(file)).code == 0
    assert "ada" in new.run("users", "list").out


@SQLITE
def test_a_file_that_is_no_backup_is_refused(shell: Shell, file: Path) -> None:
    """Such as the empty file that a killed backup leaves."""
    file.touch()
    done = shell.run("db", "restore", str(file))
    assert "is not a backup; `itemsapi db backup FILE` makes one" in done.err


@SQLITE
def test_a_backup_of_the_other_database_is_refused(shell: Shell, file: Path) -> None:
    """The line names both."""
    file.write_bytes(b"PGDMP")
    done = shell.run("db", "restore", str(file))
    assert "ITEMSAPI_DATABASE_URL is SQLite; set it to one of PostgreSQL" in done.err


@SQLITE
def test_a_database_without_tables_of_the_layer_is_no_backup(shell: Shell, file: Path) -> None:
    """Some other program wrote it."""
    with closing(sqlite3.connect(file)) as other:
        other.execute("CREATE TABLE orders (id INTEGER)")
    words = "has no tables of itemsapi; name a file of `itemsapi db backup`"
    assert words in shell.run("db", "restore", str(file)).err


@SQLITE
def test_a_missing_database_leaves_no_backup(bare_shell: Shell, file: Path) -> None:
    """The name is free again."""
    assert bare_shell.run("db", "backup", str(file)).code == 1
    assert not file.exists()


def line_for_elsewhere(message: str) -> str:
    """Return the command that a message shows for a machine that has the programs."""
    (line,) = re.findall(r"run this where it is: (pg_.*)$", message, re.MULTILINE)
    assert "password" not in line
    return str(line)


def run_elsewhere(line: str) -> None:
    """Run a line in a shell with the programs of PostgreSQL."""
    environment = os.environ | {"PATH": path_with_postgres_programs()}
    subprocess.run(line, shell=True, check=True, env=environment)  # noqa: S602 - as it is shown


@POSTGRES
def test_a_backup_is_made_on_another_machine_when_the_program_is_missing(
    shell: Shell, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line has no password, and makes a backup."""
    monkeypatch.setenv("PATH", "/nowhere")
    run_elsewhere(line_for_elsewhere(shell.run("db", "backup", str(file)).err))
    assert kind_of(file) == "postgresql"


@POSTGRES
def test_a_backup_is_restored_on_another_machine_when_the_program_is_missing(
    shell: Shell,
    backend: Backend,
    back_up: Callable[[], CommandResult],
    file: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The line names the command, too, that ends what may have been revoked since."""
    backend.create_user("ada", "member")
    back_up()
    execute(backend, "DELETE FROM itemsapi_user_role")
    monkeypatch.setenv("PATH", "/nowhere")
    line = line_for_elsewhere(shell.run("db", "restore", str(file), "--replace").err)
    command, _, words = line.partition(", and then ")
    run_elsewhere(command)
    assert words == "`itemsapi db after-restore`"
    assert backend.login("ada")["scope"] == "items:read items:write"


@POSTGRES
def test_a_restore_says_why_psql_ended(
    backend: Backend, back_up: Callable[[], CommandResult], file: Path
) -> None:
    """And not that the pipe to it is broken."""
    back_up()
    server = server_of(backend)
    away = replace(server, conninfo="host=/nowhere")
    words = "psql failed, and nothing was changed: connection to server"
    with pytest.raises(BackupFailed, match=words):
        postgres_backup.restore(away, file, [], lambda _description, _total: wait_for_a_program)


def wait_for_a_program(_steps: float) -> None:
    """Wait until a program that this process started has ended."""
    os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)


@POSTGRES
def test_a_schema_with_any_name_is_backed_up_and_restored(
    shell: Shell, file: Path, new_database_url: str
) -> None:
    """`pg_dump` takes its option for a pattern: capitals and dots have a meaning there."""
    execute_sql(new_database_url, 'CREATE SCHEMA "Tenant.a"')
    options = {"options": '-csearch_path="Tenant.a"'}
    url = make_url(new_database_url).update_query_dict(options).render_as_string(False)
    tenant = shell.with_settings(database_url=url)
    for words in (["upgrade"], ["backup", str(file)], ["restore", str(file)]):
        assert tenant.run("db", *words).err == ""
    assert tenant.run("users", "list").code == 0


@POSTGRES
def test_a_secret_that_the_list_of_processes_would_show_is_refused(
    shell: Shell, file: Path, database_url: str
) -> None:
    """S-148: libpq has no variable for it; the line names another place for it."""
    secret = {"sslpassword": "h1dden"}
    url = make_url(database_url).update_query_dict(secret).render_as_string(False)
    done = shell.with_settings(database_url=url).run("db", "backup", str(file))
    assert "write it into a service file of PostgreSQL, and ?service=NAME into" in done.err
    assert "h1dden" not in done.err


@POSTGRES
@pytest.mark.parametrize("lock_id", [KEY_LOCK_ID, FEED_LOCK_ID])
def test_another_way_to_restore_is_completed_after_other_writers(
    shell: Shell, database_url: str, lock_id: int
) -> None:
    """R-28: a process reads no revocation that is committed after a later number."""
    with ThreadPoolExecutor(1) as pool, psycopg.connect(database_url) as writer:
        writer.execute("SELECT pg_advisory_xact_lock(%s)", [lock_id])
        done = pool.submit(shell.run, "db", "after-restore", "--yes")
        wait_until(lambda: count_connections(database_url, LOCKED_OUT) > 0 or done.done(), 60)
        was_waiting = not done.done()
        writer.commit()
    assert (was_waiting, done.result().code) == (True, 0)


def test_another_way_to_restore_is_completed_by_a_command(
    shell: Shell, backend: Backend, make_backend: Build
) -> None:
    """After a point-in-time recovery or a snapshot of the disk."""
    session: OpenedSession = open_session(backend, backend.create_user("ada", "member"))
    assert shell.run("db", "after-restore", "--yes").code == 0
    assert not is_accepted(make_backend(look), session.access_token)
