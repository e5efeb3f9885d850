"""The real service on each database, and whoever mints sessions on it without a password."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url

from itemsapi import create_app, db
from itemsapi.clock import new_id
from itemsapi.issuer.grants import Grant
from itemsapi.services import EXTENSION
from itemsapi.settings import Settings
from itemsapi.tokens.sessions import AuthSession
from support.app_factory import Backend, MovingClock
from support.service import RunningService, running_service
from support.tokens import OpenedSession, open_session

NewDatabase = Callable[[str], str]


@dataclass
class Deployment:
    """A stage, and the issuer at hand: the same database and secret, in the test's own process."""

    service: RunningService
    backend: Backend
    user_id: str

    def open_session(self) -> OpenedSession:
        """Open a session, as if somebody had signed in."""
        self.backend.clock.current = datetime.now(UTC)
        return open_session(self.backend, self.user_id)

    def generation(self, grant: Grant) -> int:
        """Return the generation that a session's row holds."""
        with self.backend.services.database.reading() as connection:
            rows = connection.exec_driver_sql("SELECT id, gen FROM itemsapi_session")
            return next(int(row.gen) for row in rows if row.id == grant.session_id)

    def age_session(self, grant: Grant, *, seconds: float) -> None:
        """Let a session's last rotation be so much longer ago: the window need not be awaited."""
        with self.backend.services.database.transaction() as tx:
            session = tx.get_one(AuthSession, grant.session_id)
            session.rotated_at -= timedelta(seconds=seconds)

    def count_events(self, event: str) -> int:
        """Count the audit events of one name."""
        return len(self.backend.services.audit.latest(before=None, limit=200, event=event))


@pytest.fixture(scope="session")
def new_postgres(request: pytest.FixtureRequest) -> Callable[[], str]:
    """Make empty, migrated PostgreSQL databases; the server goes with the session."""

    def make() -> str:
        server = request.getfixturevalue("postgres_server")
        name = f"stage_{new_id()[-12:]}"
        with psycopg.connect(server, autocommit=True) as connection:
            template = request.getfixturevalue("postgres_template")
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return str(make_url(server).set(database=name).render_as_string(hide_password=False))

    return make


@pytest.fixture(scope="module")
def deploy(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., AbstractContextManager[Deployment]]:
    """Open theatres: on a database of a kind, with workers and settings as wished."""

    @contextmanager
    def opened(kind: str, *, url: str = "", **wish: object) -> Iterator[Deployment]:
        folder = tmp_path_factory.mktemp("stage")
        here = url or _url(kind, folder, request)
        secret = "stage-only-0123456789-abcdefghijklmnopqrstuvwxyz"
        settings = Settings(database_url=here, data_dir=folder, secret_key=secret)
        clock = MovingClock()
        app = create_app(settings, clock=clock)
        backend = Backend(app, app.extensions[EXTENSION], clock)
        db.upgrade(backend.services.database)
        user_id = backend.create_user("ada", "member")
        wish = {"blueprints": "support.tokens:look", "secret_key": secret, "served": here} | wish
        try:
            with running_service(str(wish.pop("served")), folder, **wish) as stage:  # type: ignore[arg-type]
                yield Deployment(stage, backend, user_id)
        finally:
            backend.services.database.dispose()

    return opened


def _url(kind: str, folder: Path, request: pytest.FixtureRequest) -> str:
    if kind == "sqlite":
        return f"sqlite:///{folder}/itemsapi.db"
    return str(request.getfixturevalue("new_postgres")())
