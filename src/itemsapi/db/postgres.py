"""PostgreSQL servers that do not respond: timeouts, a circuit breaker.

The server cancels statements and lock waits that take too long, see `db.postgres_connections`. A
server that is stopped, or a network that drops packets, cannot: then the client has to give up,
which libpq does not do by itself. While the server does not respond, one thread at a time tries it;
otherwise a few requests would block all threads of the process (R-04).
"""

import threading
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen
from sqlalchemy import Connection, Engine
from sqlalchemy.engine.interfaces import DBAPIConnection

from itemsapi.clock import Timer
from itemsapi.problems import DatabaseUnavailable

STATEMENT_TIMEOUT_MS = 2000  # for a statement, and for the wait for a lock
CONNECT_TIMEOUT_SECONDS = 2  # to connect to the server
RESPONSE_TIMEOUT_SECONDS = 2.5  # without a byte from the server; longer than its own limits
PING_TIMEOUT_SECONDS = 0.5  # for the check that a pooled connection is still usable
BREAKER_SECONDS = 1.0  # during which a server that did not respond is not used

Result = TypeVar("Result")


class ServerSilent(psycopg.OperationalError):
    """The server did not respond in time."""


class TimeoutConnection(psycopg.Connection[Any]):
    """A connection that gives up, and closes itself, if the server does not respond in time."""

    timeout_seconds: float = RESPONSE_TIMEOUT_SECONDS
    pooled: bool = False  # behind a pooler, a session must keep no state

    def wait(self, gen: PQGen[Result], *args: Any, **kwargs: Any) -> Result:
        """Run the generator of a request to the server. Raise `ServerSilent` on a timeout.

        psycopg has no public setting for this; tests/unit/test_library_internals.py fails when it
        no longer waits here.
        """
        return super().wait(self._with_timeout(gen), *args, **kwargs)

    def _with_timeout(self, gen: PQGen[Result]) -> PQGen[Result]:
        """Delegate to `gen`; psycopg resumes it every 0.1 s while nothing arrives."""
        deadline = time.monotonic() + self.timeout_seconds
        try:
            event = next(gen)
            while True:
                ready = yield event
                if not ready and time.monotonic() > deadline:
                    self.pgconn.finish()
                    raise ServerSilent("the server does not respond")
                event = gen.send(ready)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]  # the result of `gen`


def set_ping_timeout(engine: Engine) -> None:
    """Limit how long the pool of an engine waits when it checks a connection.

    SQLAlchemy has no event for it; tests/unit/test_library_internals.py fails when the pool no
    longer calls `do_ping` of the dialect.
    """
    ping = engine.dialect.do_ping

    def ping_with_timeout(connection: DBAPIConnection) -> bool:
        """Ping as SQLAlchemy does, for a limited time."""
        with _timeout(connection, PING_TIMEOUT_SECONDS):
            return ping(connection)

    engine.dialect.do_ping = ping_with_timeout  # type: ignore[assignment]  # there is no event


@contextmanager
def without_timeout(connection: Connection) -> Iterator[None]:
    """Wait for the server as long as it takes, for a migration."""
    with _timeout(connection.connection.driver_connection, float("inf")):
        yield


@contextmanager
def _timeout(connection: object, seconds: float) -> Iterator[None]:
    """Change the timeout of a connection for the duration of the block."""
    assert isinstance(connection, TimeoutConnection)  # noqa: S101 - narrows the type
    previous, connection.timeout_seconds = connection.timeout_seconds, seconds
    try:
        yield
    finally:
        connection.timeout_seconds = previous


class CircuitBreaker:
    """Opens when the server does not respond: then one thread a second tries, the others fail."""

    def __init__(self, monotonic: Timer = time.monotonic) -> None:
        """Start closed."""
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._open = False
        self._retry_at = 0.0

    @contextmanager
    def guard(self) -> Generator[None]:
        """Run the block. Raise `DatabaseUnavailable` at once while the breaker is open."""
        if self._open and not self._may_retry():
            raise DatabaseUnavailable(
                cause="database: it did not respond a moment ago and is not tried again yet"
            )
        try:
            yield
        except BaseException as error:
            self._record(error)
            raise
        self._record(None)

    def _record(self, error: BaseException | None) -> None:
        """Open or close the breaker; any response of the server, even an error, closes it."""
        if not isinstance(error, DatabaseUnavailable):
            self._open = False
        elif _is_timeout(error):
            self._open, self._retry_at = True, self._monotonic() + BREAKER_SECONDS
        else:
            self._retry_at = 0.0  # a refused or broken connection costs no time: retry at once

    def _may_retry(self) -> bool:
        """Return whether this thread may try the server; no other one may until it is done."""
        with self._lock:
            if self._monotonic() < self._retry_at:
                return False
            self._retry_at = self._monotonic() + RESPONSE_TIMEOUT_SECONDS + CONNECT_TIMEOUT_SECONDS
            return True


def _is_timeout(error: DatabaseUnavailable) -> bool:
    """Return whether the server did not respond."""
    driver_error = getattr(error.__cause__, "orig", None)
    return isinstance(driver_error, ServerSilent | psycopg.errors.ConnectionTimeout)
