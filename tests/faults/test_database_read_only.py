"""A database that becomes read-only and writable again, as in a failover (R-32)."""

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
from itemsapi.db import Database, postgres_connections, sqlite, writable_probe
from itemsapi.problems import DatabaseUnavailable
from support.command_line import shell_at
from support.fault_proxy import FaultProxy
from support.postgres_database import execute, url_of
from support.service import ServiceConnection, print_figures, wait_until

RECOVERY_TIMEOUT_SECONDS = 5.0
UNPRIVILEGED_UID = 65534


@pytest.fixture(scope="module")
def deployment(
    new_postgres: Callable[[], str],
    deploy: Callable[..., AbstractContextManager[Deployment]],
) -> Iterator[Deployment]:
    """Two workers on a PostgreSQL."""
    with deploy("postgresql", url=new_postgres()) as opened:
        yield opened


def set_read_only(url: str, *, read_only: bool, cut: bool) -> None:
    """Make new connections read-only or writable again; with `cut`, close existing ones."""
    server, name = url_of(url, "postgres"), make_url(url).database
    how = f"SET default_transaction_read_only = {'on' if read_only else 'off'}"
    execute(server, f"ALTER DATABASE {name} {how}")
    if cut:
        who = f"FROM pg_stat_activity WHERE datname = '{name}'"
        execute(server, f"SELECT pg_terminate_backend(pid) {who}")


def is_ready(line: ServiceConnection) -> bool:
    """Return whether a worker is ready."""
    return line.call("GET", "/health/ready").status == 200


def create_items(deployment: Deployment, access: str, count: int) -> set[int]:
    """Create items concurrently; return the statuses."""

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
def test_writes_fail_while_the_database_is_read_only_and_recover(
    deployment: Deployment,
) -> None:
    """R-32: not ready, reads 200, writes 503; afterwards all 2xx within five seconds."""
    url, access = (
        deployment.service.environment["ITEMSAPI_DATABASE_URL"],
        deployment.open_session().access_token,
    )
    workers = list(deployment.service.connect_to_each_worker().values())
    assert create_items(deployment, access, 16) == {201}
    set_read_only(url, read_only=True, cut=True)
    not_ready_seconds = wait_until(
        lambda: not any(is_ready(line) for line in workers), RECOVERY_TIMEOUT_SECONDS
    )
    write_statuses = create_items(deployment, access, 40)
    reads = {
        deployment.service.connect().call("GET", "/items", token=access).status for _ in range(20)
    }
    set_read_only(url, read_only=False, cut=False)
    ready_seconds = wait_until(
        lambda: all(is_ready(line) for line in workers), RECOVERY_TIMEOUT_SECONDS
    )
    after = create_items(deployment, access, 80)
    print_figures("read-only", unready_after=not_ready_seconds, ready_after=ready_seconds)
    assert (write_statuses, reads, after) == ({503}, {200}, {201})


@pytest.fixture
def standby(postgres_server: str, new_postgres: Callable[[], str]) -> Iterator[tuple[str, str]]:
    """The URL of a database, and of its copy on a hot standby."""
    if os.environ.get("ITEMSAPI_TEST_POSTGRES_URL"):
        pytest.skip("a standby needs a server started by this run")
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


def can_write(database: Database) -> bool:
    """Return whether a write succeeds."""
    try:
        with database.transaction() as tx:
            tx.execute(text("UPDATE itemsapi_role SET description = description"))
    except DatabaseUnavailable:
        return False
    return True


def reports_writable(database: Database) -> bool:
    """Return whether readiness reports a writable database."""
    with suppress(DatabaseUnavailable):
        database.require_writable()
        return True
    return False


@pytest.mark.slow
@pytest.mark.postgres
def test_a_standby_is_not_ready_until_it_is_promoted(standby: tuple[str, str]) -> None:
    """R-32: it accepts connections, but no writes."""
    database = Database(standby[1])
    before = (reports_writable(database), can_write(database))
    execute(url_of(standby[1], "postgres"), "SELECT pg_promote()")
    ready_seconds = wait_until(lambda: reports_writable(database), RECOVERY_TIMEOUT_SECONDS)
    after = can_write(database)
    database.dispose()
    print_figures("standby promoted", ready_after=ready_seconds)
    assert (before, after) == ((False, False), True)


@pytest.mark.slow
@pytest.mark.postgres
def test_connections_to_a_standby_are_replaced_after_failover(
    standby: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """R-32: they stay open but never accept writes; the first write succeeds on a new one."""
    hosts = [str(make_url(url).query["host"]) for url in reversed(standby)]

    def upstream() -> socket.socket:
        end = socket.socket(socket.AF_UNIX)
        end.connect(f"{hosts[0]}/.s.PGSQL.5432")
        return end

    with FaultProxy(upstream) as proxy:
        there = make_url(standby[0]).set(host="127.0.0.1", port=proxy.port)
        there = there.set(query={"sslmode": "disable"})
        database = Database(there.render_as_string(hide_password=False))
        before = can_write(database)
        hosts.pop(0)
        monkeypatch.setattr(postgres_connections, "READ_ONLY_KEPT_SECONDS", 0.0)
        after = can_write(database)
        database.dispose()
    assert (before, after) == (False, True)


@pytest.fixture
def formerly_read_only(
    new_postgres: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Database]:
    """A writable database with two connections opened while it was read-only."""
    url = new_postgres()
    set_read_only(url, read_only=True, cut=False)
    database = Database(url)
    monkeypatch.setattr(writable_probe, "PROBE_INTERVAL_SECONDS", 0.0)
    with database.reading():
        assert not reports_writable(database)
    set_read_only(url, read_only=False, cut=False)
    monkeypatch.setattr(postgres_connections, "READ_ONLY_KEPT_SECONDS", 0.0)
    yield database
    database.dispose()


@pytest.mark.postgres
def test_a_read_only_connection_is_not_used_for_writes(formerly_read_only: Database) -> None:
    """R-32: the first write succeeds, on another connection."""
    assert can_write(formerly_read_only)


@pytest.mark.postgres
def test_a_write_succeeds_after_readiness_reported_writable(
    formerly_read_only: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R-32: a recently opened read-only connection is replaced too."""
    assert reports_writable(formerly_read_only)
    monkeypatch.setattr(postgres_connections, "READ_ONLY_KEPT_SECONDS", 60.0)
    assert can_write(formerly_read_only)


@contextmanager
def unprivileged() -> Iterator[None]:
    """Run the block as a user who is bound by permissions, unlike root."""
    if os.geteuid() != 0:
        yield
        return
    os.setresuid(UNPRIVILEGED_UID, UNPRIVILEGED_UID, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)


@pytest.fixture
def file(sqlite_template: Path) -> Iterator[Path]:
    """An SQLite file that belongs to the unprivileged user."""
    place = Path(tempfile.mkdtemp(prefix="readonly"))
    path = place / "itemsapi.db"
    shutil.copy(sqlite_template, path)
    if os.geteuid() == 0:
        os.chown(place, UNPRIVILEGED_UID, UNPRIVILEGED_UID)
        os.chown(path, UNPRIVILEGED_UID, UNPRIVILEGED_UID)
    reports_writable(
        Database(f"sqlite:///{path}")
    )  # imports modules that the unprivileged user may not read
    yield path
    place.chmod(0o755)
    shutil.rmtree(place)


def test_a_read_only_file_is_not_ready(file: Path) -> None:
    """R-32 for SQLite: it is ready again when the file is postgres."""
    with unprivileged():
        file.chmod(0o400)
        locked = reports_writable(Database(f"sqlite:///{file}"))
        file.chmod(0o600)
        assert (locked, reports_writable(Database(f"sqlite:///{file}"))) == (False, True)


def test_a_missing_file_is_not_ready(tmp_path: Path) -> None:
    """R-35: the cause names the command that creates it."""
    with pytest.raises(DatabaseUnavailable) as raised:
        Database(f"sqlite:///{tmp_path / 'itemsapi.db'}").require_writable()
    assert "db upgrade` creates" in raised.value.cause


def test_a_file_in_a_read_only_folder_is_not_ready(file: Path) -> None:
    """The write-ahead log could not be created."""
    with unprivileged():
        file.parent.chmod(0o500)
        assert not reports_writable(Database(f"sqlite:///{file}"))
        file.parent.chmod(0o700)


def test_a_read_only_log_is_not_ready(file: Path) -> None:
    """It was created while the file was read-only, with the same mode."""
    with unprivileged():
        file.with_name(f"{file.name}-wal").touch(mode=0o400)
        assert not reports_writable(Database(f"sqlite:///{file}"))


def test_a_file_is_reopened_when_it_is_writable_again(file: Path) -> None:
    """R-32: a connection opened while the file was read-only would never accept writes."""
    with unprivileged():
        file.chmod(0o400)
        database = Database(f"sqlite:///{file}")
        write_statuses = can_write(database)
        for one in file.parent.iterdir():  # SQLite created its log with the same mode
            one.chmod(0o600)
        can_write(database)
        assert (write_statuses, can_write(database)) == (False, True)
        database.dispose()


def test_check_reports_a_read_only_file(file: Path) -> None:
    """The fault is found before the service starts."""
    shell = shell_at(file.parent / "data", database_url=f"sqlite:///{file}")
    before = shell.run("check")
    with unprivileged():
        file.chmod(0o400)
        found = shell.run("check")
    assert "does not accept writes" not in before.out
    assert (found.code, "does not accept writes" in found.out) == (1, True), found


def test_check_reports_a_read_only_folder(file: Path) -> None:
    """The fault is found before the service starts."""
    shell = shell_at(file.parent / "data", database_url=f"sqlite:///{file.parent}/new.db")
    before = shell.run("check")
    with unprivileged():
        file.parent.chmod(0o500)
        found = shell.run("check")
        file.parent.chmod(0o700)
    assert (before.code, found.code, "is not writable" in found.out) == (0, 1, True), found


def test_concurrent_readiness_checks_report_writable(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two concurrent checks of a load balancer do not take the service out of rotation."""
    database = Database(f"sqlite:///{file}")

    def may_write(_path: str) -> bool:
        return reports_writable(database)  # a concurrent request

    monkeypatch.setattr(sqlite, "is_writable", may_write)
    assert reports_writable(database)


def test_readiness_probes_the_database_at_most_once_a_second(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Readiness has no rate limit, so it must not load the database."""
    probed_paths: list[str] = []

    def may_write(path: str) -> bool:
        probed_paths.append(path)
        return True

    monkeypatch.setattr(sqlite, "is_writable", may_write)
    database = Database(f"sqlite:///{file}")
    for _ in range(5):
        database.require_writable()
    assert probed_paths == [str(file)]
