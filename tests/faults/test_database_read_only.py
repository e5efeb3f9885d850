"""A database that turns read-only and back, as in a fail-over (R-32)."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

import pytest
from sqlalchemy import make_url, text

from faults.conftest import Deployment
from itemsapi.db import Database, connections, sqlite, writable
from itemsapi.problems import DatabaseUnavailable
from support.command_line import shell_at
from support.fault_proxy import FaultProxy
from support.postgres_database import execute, url_of
from support.service import ServiceConnection, print_figures, wait_until

BACK_WITHIN = 5.0
NOBODY = 65534


@pytest.fixture(scope="module")
def deployment(
    new_postgres: Callable[[], str],
    deploy: Callable[..., AbstractContextManager[Deployment]],
) -> Iterator[Deployment]:
    """Two workers on a PostgreSQL."""
    with deploy("postgresql", url=new_postgres()) as opened:
        yield opened


def turn(url: str, *, read_only: bool, cut: bool) -> None:
    """Let new connections to a database read only, or write again; cut those that there are."""
    server, name = url_of(url, "postgres"), make_url(url).database
    how = f"SET default_transaction_read_only = {'on' if read_only else 'off'}"
    execute(server, f"ALTER DATABASE {name} {how}")
    if cut:
        who = f"FROM pg_stat_activity WHERE datname = '{name}'"
        execute(server, f"SELECT pg_terminate_backend(pid) {who}")


def ready(line: ServiceConnection) -> bool:
    """Tell whether a worker says that it is ready."""
    return line.call("GET", "/health/ready").status == 200


def written(deployment: Deployment, access: str, count: int) -> set[int]:
    """Make things, many at once; return the statuses."""

    def make(number: int) -> int:
        return (
            deployment.service.connect()
            .make_item(access, f"key-{time.monotonic_ns()}-{number}")
            .status
        )

    with ThreadPoolExecutor(8) as pool:
        return set(pool.map(make, range(count)))


@pytest.mark.slow
@pytest.mark.postgres
def test_writes_are_refused_while_it_is_read_only_and_back_by_themselves(
    deployment: Deployment,
) -> None:
    """R-32: readiness 503, reads 200, writes 503; then all 2xx within five seconds."""
    url, access = (
        deployment.service.environment["ITEMSAPI_DATABASE_URL"],
        deployment.open_session().access_token,
    )
    workers = list(deployment.service.connect_to_each_worker().values())
    assert written(deployment, access, 16) == {201}
    turn(url, read_only=True, cut=True)
    unready = wait_until(lambda: not any(ready(line) for line in workers), BACK_WITHIN)
    refused = written(deployment, access, 40)
    reads = {
        deployment.service.connect().call("GET", "/items", token=access).status for _ in range(20)
    }
    turn(url, read_only=False, cut=False)
    back = wait_until(lambda: all(ready(line) for line in workers), BACK_WITHIN)
    after = written(deployment, access, 80)
    print_figures("read-only", unready_after=unready, ready_after=back)
    assert (refused, reads, after) == ({503}, {200}, {201})


@pytest.fixture
def standby(postgres_server: str, new_postgres: Callable[[], str]) -> Iterator[tuple[str, str]]:
    """The address of a database, and that of its copy on a hot standby, which waits for more."""
    if os.environ.get("ITEMSAPI_TEST_POSTGRES_URL"):
        pytest.skip("a standby is made of a server of this run's own only")
    primary = new_postgres()
    source = Path(str(make_url(postgres_server).query["host"]))
    pid = (source / "postmaster.pid").read_text().split()[0]
    programs = Path(f"/proc/{pid}/exe").readlink().parent
    user = source.owner() if os.geteuid() == 0 else None
    place = Path(tempfile.mkdtemp(prefix="standby", dir="/tmp"))
    if user:
        shutil.chown(place, user)
    data = place / "data"

    def program(name: str, *words: str) -> None:
        subprocess.run(  # noqa: S603 - PostgreSQL's own
            [programs / name, *words],
            user=user,
            cwd=place,
            check=True,
            timeout=60,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    program("pg_basebackup", "-h", str(source), "-U", "postgres", "-D", str(data), "-c", "fast")
    (data / "standby.signal").touch()
    where = f"-k {place} -c listen_addresses=''"
    program("pg_ctl", "-D", str(data), "-w", "-o", where, "-l", str(place / "log"), "start")
    copy = make_url(primary).update_query_dict({"host": str(place)})
    yield primary, copy.render_as_string(hide_password=False)
    program("pg_ctl", "-D", str(data), "-m", "immediate", "stop")
    shutil.rmtree(place, ignore_errors=True)


def writes(database: Database) -> bool:
    """Tell whether a change goes through."""
    try:
        with database.transaction() as tx:
            tx.execute(text("UPDATE itemsapi_role SET description = description"))
    except DatabaseUnavailable:
        return False
    return True


def says_so(database: Database) -> bool:
    """Tell whether readiness would say that it takes changes."""
    with suppress(DatabaseUnavailable):
        database.require_writable()
        return True
    return False


@pytest.mark.slow
@pytest.mark.postgres
def test_a_standby_is_not_ready_until_it_is_promoted(standby: tuple[str, str]) -> None:
    """R-32: it answers, and takes no changes."""
    database = Database(standby[1])
    before = (says_so(database), writes(database))
    execute(url_of(standby[1], "postgres"), "SELECT pg_promote()")
    back = wait_until(lambda: says_so(database), BACK_WITHIN)
    after = writes(database)
    database.dispose()
    print_figures("standby promoted", ready_after=back)
    assert (before, after) == ((False, False), True)


@pytest.mark.slow
@pytest.mark.postgres
def test_connections_to_a_standby_are_left_when_the_address_leads_elsewhere(
    standby: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """R-32: they are still open, and would never write; the very first write is done."""
    ways = [str(make_url(url).query["host"]) for url in reversed(standby)]

    def upstream() -> socket.socket:
        end = socket.socket(socket.AF_UNIX)
        end.connect(f"{ways[0]}/.s.PGSQL.5432")
        return end

    with FaultProxy(upstream) as proxy:
        there = make_url(standby[0]).set(host="127.0.0.1", port=proxy.port)
        there = there.set(query={"sslmode": "disable"})
        database = Database(there.render_as_string(hide_password=False))
        before = writes(database)
        ways.pop(0)
        monkeypatch.setattr(connections, "READ_ONLY_KEPT_SECONDS", 0.0)
        after = writes(database)
        database.dispose()
    assert (before, after) == (False, True)


@pytest.fixture
def turned(new_postgres: Callable[[], str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """A database with two connections that were opened when it was read-only; it no longer is."""
    url = new_postgres()
    turn(url, read_only=True, cut=False)
    database = Database(url)
    monkeypatch.setattr(writable, "PROBE_INTERVAL_SECONDS", 0.0)
    with database.reading():
        assert not says_so(database)
    turn(url, read_only=False, cut=False)
    monkeypatch.setattr(connections, "READ_ONLY_KEPT_SECONDS", 0.0)
    yield database
    database.dispose()


@pytest.mark.postgres
def test_a_connection_from_then_is_not_written_on(turned: Database) -> None:
    """R-32: the very first write is done, on another connection."""
    assert writes(turned)


@pytest.mark.postgres
def test_whoever_is_told_that_it_is_ready_writes(
    turned: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R-32: what was opened a moment ago, and would be kept for another, is left as well."""
    assert says_so(turned)
    monkeypatch.setattr(connections, "READ_ONLY_KEPT_SECONDS", 60.0)
    assert writes(turned)


@contextmanager
def unprivileged() -> Iterator[None]:
    """Be somebody who is bound by permissions, which root is not."""
    if os.geteuid() != 0:
        yield
        return
    os.setresuid(NOBODY, NOBODY, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)


@pytest.fixture
def file(sqlite_template: Path) -> Iterator[Path]:
    """A SQLite file that belongs to whoever is unprivileged."""
    place = Path(tempfile.mkdtemp(prefix="readonly"))
    path = place / "itemsapi.db"
    shutil.copy(sqlite_template, path)
    if os.geteuid() == 0:
        os.chown(place, NOBODY, NOBODY)
        os.chown(path, NOBODY, NOBODY)
    says_so(Database(f"sqlite:///{path}"))  # imports what nobody else may be able to
    yield path
    place.chmod(0o755)
    shutil.rmtree(place)


def test_a_file_that_may_only_be_read_is_not_ready(file: Path) -> None:
    """R-32 for SQLite: and ready when it may be written again."""
    with unprivileged():
        file.chmod(0o400)
        locked = says_so(Database(f"sqlite:///{file}"))
        file.chmod(0o600)
        assert (locked, says_so(Database(f"sqlite:///{file}"))) == (False, True)


def test_a_file_in_a_folder_that_may_only_be_read_is_not_ready(file: Path) -> None:
    """The log beside it could not be made."""
    with unprivileged():
        file.parent.chmod(0o500)
        assert not says_so(Database(f"sqlite:///{file}"))
        file.parent.chmod(0o700)


def test_a_log_that_may_only_be_read_is_not_ready(file: Path) -> None:
    """It was made while the file could only be read, and keeps that."""
    with unprivileged():
        file.with_name(f"{file.name}-wal").touch(mode=0o400)
        assert not says_so(Database(f"sqlite:///{file}"))


def test_a_file_that_may_be_written_again_is_opened_anew(file: Path) -> None:
    """R-32: a connection from when it could only be read would never write."""
    with unprivileged():
        file.chmod(0o400)
        database = Database(f"sqlite:///{file}")
        refused = writes(database)
        for one in file.parent.iterdir():  # SQLite made its log with the same permissions
            one.chmod(0o600)
        writes(database)
        assert (refused, writes(database)) == (False, True)
        database.dispose()


def test_check_finds_a_file_that_may_only_be_read(file: Path) -> None:
    """Before the service is started on it."""
    shell = shell_at(file.parent / "data", database_url=f"sqlite:///{file}")
    before = shell.run("check")
    with unprivileged():
        file.chmod(0o400)
        found = shell.run("check")
    assert "does not accept writes" not in before.out
    assert (found.code, "does not accept writes" in found.out) == (1, True), found


def test_check_finds_a_folder_where_no_file_can_be_made(file: Path) -> None:
    """Before the service is started there."""
    shell = shell_at(file.parent / "data", database_url=f"sqlite:///{file.parent}/new.db")
    before = shell.run("check")
    with unprivileged():
        file.parent.chmod(0o500)
        found = shell.run("check")
        file.parent.chmod(0o700)
    assert (before.code, found.code, "is not writable" in found.out) == (0, 1, True), found


def test_nobody_is_told_no_while_one_asks(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A load balancer that asks twice at once does not take the service out."""
    database = Database(f"sqlite:///{file}")

    def may_write(_path: str) -> bool:
        return says_so(database)  # another request, meanwhile

    monkeypatch.setattr(sqlite, "is_writable", may_write)
    assert says_so(database)


def test_readiness_asks_once_a_second_at_most(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is never limited, and costs the database nothing under load."""
    asked: list[str] = []

    def may_write(path: str) -> bool:
        asked.append(path)
        return True

    monkeypatch.setattr(sqlite, "is_writable", may_write)
    database = Database(f"sqlite:///{file}")
    for _ in range(5):
        database.require_writable()
    assert asked == [str(file)]
