"""What happens when PostgreSQL says nothing.

The server ends statements and waits for locks that take too long, as `connecting` tells it. One
that is stopped, or a network that swallows bytes, cannot: there the client has to give up, which
libpq does not do by itself. And while it is silent, one thread at a time finds out, or a few slow
requests would hold every thread of the process (R-04).
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

from itemsapi.problems import DatabaseUnavailable

STATEMENT_TIMEOUT_MS = 2000  # milliseconds a statement, or the wait for a lock, may take
CONNECT_TIMEOUT_SECONDS = 2  # seconds to reach the server, or to get a connection from the pool
RESPONSE_TIMEOUT_SECONDS = 2.5  # seconds without an answer; later than the server's own limit
PING_TIMEOUT_SECONDS = 0.5  # seconds without the word that a kept connection is still good
BREAKER_SECONDS = 1.0  # seconds that nobody asks a server which was silent

Result = TypeVar("Result")


class ServerSilent(psycopg.OperationalError):
    """The server did not answer in time."""


class TimeoutConnection(psycopg.Connection[Any]):
    """A connection that gives up, and is closed, when the server does not answer in time."""

    timeout_seconds: float = RESPONSE_TIMEOUT_SECONDS
    pooled: bool = False  # there is a pooler between: nothing may live in a session

    def wait(self, gen: PQGen[Result], *args: Any, **kwargs: Any) -> Result:
        """Take the steps of a conversation. Raises `ServerSilent`."""
        return super().wait(self._limited(gen), *args, **kwargs)

    def _limited(self, steps: PQGen[Result]) -> PQGen[Result]:
        """Take the same steps; psycopg asks ten times a second whether to go on."""
        ends = time.monotonic() + self.timeout_seconds
        try:
            wanted = next(steps)
            while True:
                ready = yield wanted
                if not ready and time.monotonic() > ends:
                    self.pgconn.finish()
                    raise ServerSilent("the server does not answer")
                wanted = steps.send(ready)
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]  # what the steps return


def set_ping_timeout(engine: Engine) -> None:
    """Let the pool of an engine wait for a moment only, when it asks whether all is well."""
    ping = engine.dialect.do_ping

    def hastily(driven: DBAPIConnection) -> bool:
        with _waiting(driven, PING_TIMEOUT_SECONDS):
            return ping(driven)

    engine.dialect.do_ping = hastily  # type: ignore[assignment]  # there is no event for it


@contextmanager
def without_timeout(connection: Connection) -> Iterator[None]:
    """Wait as long as it takes, for a migration."""
    with _waiting(connection.connection.driver_connection, float("inf")):
        yield


@contextmanager
def _waiting(driven: object, seconds: float) -> Iterator[None]:
    """Wait that long for answers, meanwhile."""
    assert isinstance(driven, TimeoutConnection)  # noqa: S101 - narrows the type
    usual, driven.timeout_seconds = driven.timeout_seconds, seconds
    try:
        yield
    finally:
        driven.timeout_seconds = usual


class CircuitBreaker:
    """Blows when the server is silent: one thread a second asks, the others are refused at once."""

    def __init__(self) -> None:
        """Begin in good faith."""
        self._lock = threading.Lock()
        self._blown = False
        self._again = 0.0

    @contextmanager
    def guard(self) -> Generator[None]:
        """Do something with the server. Raises `DatabaseUnavailable` at once while it is silent."""
        if self._blown and not self._turn():
            raise DatabaseUnavailable(cause="database: it was silent just now and is left alone")
        try:
            yield
        except BaseException as error:
            self._learn(error)
            raise
        self._learn(None)

    def _learn(self, error: BaseException | None) -> None:
        """Draw the conclusion: whoever refuses, or answers something else, is not silent."""
        if not isinstance(error, DatabaseUnavailable):
            self._blown = False
        elif _silent(error):
            self._blown, self._again = True, time.monotonic() + BREAKER_SECONDS
        else:
            self._again = 0.0  # refusals and broken connections cost no time: the next may ask

    def _turn(self) -> bool:
        """Tell whether it is this thread's turn to find out."""
        with self._lock:
            if time.monotonic() < self._again:
                return False
            self._again = time.monotonic() + RESPONSE_TIMEOUT_SECONDS + CONNECT_TIMEOUT_SECONDS
            return True


def _silent(error: DatabaseUnavailable) -> bool:
    """Tell whether nobody answered."""
    fault = getattr(error.__cause__, "orig", None)
    return isinstance(fault, ServerSilent | psycopg.errors.ConnectionTimeout)
