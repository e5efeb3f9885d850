"""Fixtures for all tests: databases (SQLite and PostgreSQL) and applications on them."""

import logging
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from itemsapi import create_app, db
from itemsapi.clock import Timer, new_id
from itemsapi.observability.logging import LOGGER, write_log_lines
from itemsapi.services import EXTENSION
from itemsapi.settings import Settings
from itemsapi.testing import MovableClock, testing_settings
from support.app_factory import Backend, BufferedClient
from support.bundled_postgres import start_postgres
from support.command_line import SECRET
from support.host import HostFactory, make_host
from support.log_records import LogRecords
from support.manual_timer import ManualTimer
from support.postgres_database import ReusableDatabase, execute, url_of
from support.shared_routes import CompiledOnce
from support.shared_statements import share_compiled_statements

MEMORY = Path("/dev/shm")  # noqa: S108 - files in memory
if os.access(MEMORY, os.W_OK):  # waiting for the disk to commit takes most of a test's time
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))

# On a busy machine a single example can miss any deadline.
hypothesis_settings.register_profile(
    "no-deadline", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
hypothesis_settings.load_profile("no-deadline")

Flask.url_rule_class = CompiledOnce
Flask.test_client_class = BufferedClient
share_compiled_statements()

# The first application of a process decides on the form of its log: tests read it as JSON.
write_log_lines(as_json=True)

collect_ignore = ["adopter"]  # a project with tests of its own: tests/packaging/test_adopter.py


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of a real PostgreSQL: the operator's own or one started for this run."""
    configured_url = os.environ.get("ITEMSAPI_TEST_POSTGRES_URL")
    if configured_url:
        yield configured_url
        return
    with start_postgres() as server:
        for setting in ("fsync", "full_page_writes", "synchronous_commit"):
            execute(
                server.get_uri(), f"ALTER SYSTEM SET {setting} = off"
            )  # no test simulates a power failure
        execute(server.get_uri(), "SELECT pg_reload_conf()")
        yield server.get_uri()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty, migrated SQLite file to copy: running the migrations for each test is too slow."""
    path = tmp_path_factory.mktemp("template") / "itemsapi.db"
    database = db.Database(f"sqlite:///{path}")
    db.upgrade(database)
    with database.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    database.dispose()
    return path


@pytest.fixture(scope="session")
def postgres_template(postgres_server: str) -> str:
    """The name of an empty, migrated database used as a template for others."""
    name = f"template_{new_id()[-12:]}"
    execute(postgres_server, f"CREATE DATABASE {name}")
    database = db.Database(url_of(postgres_server, name))
    db.upgrade(database)
    database.dispose()
    return name


@pytest.fixture(scope="session")
def postgres(postgres_server: str, postgres_template: str) -> Iterator[ReusableDatabase]:
    """The database that the tests of this process use one after another."""
    database = ReusableDatabase(postgres_server, postgres_template, f"test_{new_id()[-12:]}")
    yield database
    database.drop()


DIALECTS = ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)]


@pytest.fixture
def dialect(request: pytest.FixtureRequest) -> str:
    """Each database dialect in turn, or the one of the mark `dialect`."""
    return str(request.param)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that uses a database on each dialect, or on the one of its mark."""
    if "dialect" in metafunc.fixturenames:
        mark = metafunc.definition.get_closest_marker("dialect")
        metafunc.parametrize("dialect", mark.args if mark else DIALECTS, indirect=True)


@pytest.fixture
def database_url(dialect: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty, migrated database for one test."""
    if dialect == "sqlite":
        path = tmp_path / "itemsapi.db"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite:///{path}"
        return
    if not request.node.get_closest_marker("postgres"):
        pytest.fail("Mark this test `postgres`, so that runs on SQLite only can deselect it.")
    postgres: ReusableDatabase = request.getfixturevalue("postgres")
    yield postgres.url
    postgres.empty()


@pytest.fixture
def database(database_url: str) -> Iterator[db.Database]:
    """An empty, migrated database."""
    database_opened = db.Database(database_url)
    yield database_opened
    database_opened.dispose()


@pytest.fixture
def clock() -> MovableClock:
    """A clock that the test moves."""
    return MovableClock()


@pytest.fixture
def timer() -> ManualTimer:
    """A timer that the test moves: the copies in a process age by it."""
    return ManualTimer()


@pytest.fixture
def log_records() -> Iterator[LogRecords]:
    """The records of the layer during a test; the service writes them, a host may not."""
    handler, level = LogRecords(), LOGGER.level
    LOGGER.addHandler(handler)
    LOGGER.setLevel(logging.INFO)
    yield handler
    LOGGER.setLevel(level)
    LOGGER.removeHandler(handler)


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    """Settings for a test on its database."""
    return testing_settings(tmp_path, database_url=database_url, secret_key=SECRET)


@pytest.fixture
def make_backend(
    settings: Settings, clock: MovableClock, timer: Timer
) -> Iterator[Callable[..., Backend]]:
    """Build applications with changed settings and extra blueprints."""
    backends: list[Backend] = []

    def make(*extra_blueprints: Any, **changes: Any) -> Backend:
        app = create_app(
            replace(settings, **changes),
            blueprints=extra_blueprints,
            clock=clock,
            monotonic=timer,
        )
        backends.append(Backend(app, app.extensions[EXTENSION], clock))
        return backends[-1]

    yield make
    for backend in backends:
        backend.services.database.dispose()


@pytest.fixture
def host(settings: Settings, clock: MovableClock, timer: ManualTimer) -> Iterator[HostFactory]:
    """Build plain Flask applications with the layer around them."""
    hosts: list[Backend] = []

    def make(*add_routes: Callable[[Flask], object], **options: Any) -> Backend:
        given = options.pop("settings", settings)
        hosts.append(make_host(given, clock, timer, *add_routes, **options))
        return hosts[-1]

    yield make
    for one in hosts:
        one.services.database.dispose()


@pytest.fixture(scope="session")
def shared_backend(
    sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Backend]:
    """An application that tests share whose requests are all rejected: they change nothing."""
    folder, clock = tmp_path_factory.mktemp("shared"), MovableClock()
    shutil.copy(sqlite_template, folder / "itemsapi.db")
    app = create_app(testing_settings(folder), clock=clock)
    backend = Backend(app, app.extensions[EXTENSION], clock)
    yield backend
    backend.services.database.dispose()


@pytest.fixture(scope="session")
def shared_admin(shared_backend: Backend) -> FlaskClient:
    """A client of an admin of that application."""
    return shared_backend.signed_in_client("root", "admin")


@pytest.fixture
def backend(make_backend: Callable[..., Backend]) -> Backend:
    """An application without users."""
    return make_backend()
