"""The real service on each database, and sessions opened without a password."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import make_url

from itemsapi import create_app, db
from itemsapi.clock import new_id
from itemsapi.issuer.issuer import Grant
from itemsapi.services import EXTENSION
from itemsapi.settings import Settings
from itemsapi.testing import MovableClock
from itemsapi.tokens.sessions import AuthSession
from support.app_factory import Backend
from support.service import RunningService, running_service
from support.tokens import OpenedSession, open_session

NewDatabase = Callable[[str], str]


@dataclass
class Deployment:
    """A running service, and a backend with the same database and secret in this process."""

    service: RunningService
    backend: Backend
    user_id: str

    def open_session(self) -> OpenedSession:
        """Open a session, as after a successful login."""
        self.backend.clock.current = datetime.now(UTC)
        return open_session(self.backend, self.user_id)

    def generation(self, grant: Grant) -> int:
        """Return the generation in a session's row."""
        with self.backend.services.database.reading() as connection:
            rows = connection.exec_driver_sql("SELECT id, gen FROM itemsapi_session")
            return next(int(row.gen) for row in rows if row.id == grant.session_id)

    def age_session(self, grant: Grant, *, seconds: float) -> None:
        """Move a session's last rotation into the past, so that no test waits for the window."""
        with self.backend.services.database.transaction() as tx:
            session = tx.get_one(AuthSession, grant.session_id)
            session.rotated_at -= timedelta(seconds=seconds)

    def count_events(self, event: str) -> int:
        """Count the audit events of one name."""
        return len(self.backend.services.audit.latest(before=None, limit=200, event=event))


@pytest.fixture(scope="session")
def new_postgres(request: pytest.FixtureRequest) -> Callable[[], str]:
    """Create empty, migrated PostgreSQL databases; the server is removed with the test session."""

    def create() -> str:
        server = request.getfixturevalue("postgres_server")
        name = f"stage_{new_id()[-12:]}"
        with psycopg.connect(server, autocommit=True) as connection:
            template = request.getfixturevalue("postgres_template")
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return str(make_url(server).set(database=name).render_as_string(hide_password=False))

    return create


@pytest.fixture(scope="module")
def deploy(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., AbstractContextManager[Deployment]]:
    """Run services on a database of one kind, with the given workers and settings."""

    @contextmanager
    def start(
        dialect: str, *, url: str = "", served: str = "", **overrides: Any
    ) -> Iterator[Deployment]:
        folder = tmp_path_factory.mktemp("deployment")
        database_url = url or _url(dialect, folder, request)
        secret = "deployment-only-0123456789-abcdefghijklmnopqrstuvwxyz"
        settings = Settings(database_url=database_url, data_dir=folder, secret_key=secret)
        clock = MovableClock()
        app = create_app(settings, clock=clock)
        backend = Backend(app, app.extensions[EXTENSION], clock)
        db.upgrade(backend.services.database)
        user_id = backend.create_user("ada", "member")
        options = {"blueprints": "support.tokens:look", "secret_key": secret} | overrides
        try:
            with running_service(served or database_url, folder, **options) as service:
                yield Deployment(service, backend, user_id)
        finally:
            backend.services.database.dispose()

    return start


def _url(dialect: str, folder: Path, request: pytest.FixtureRequest) -> str:
    if dialect == "sqlite":
        return f"sqlite:///{folder}/itemsapi.db"
    return str(request.getfixturevalue("new_postgres")())
