"""The supervisor: starts the workers, and replaces each one that dies, however often.

granian also replaces them, but stops the whole service when two workers die within seconds of each
other, and finishes a rolling replacement, which takes seconds for each worker, before it stops.
Some of its internal methods are overridden here; `tests/faults` kills and stops workers to prove
that a new version of granian still calls them.
"""

import logging
import multiprocessing
import secrets
import signal
import socket
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from typing import Any, Final

from granian._granian import SocketHolder
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server.mp import MPServer, WorkerProcess

from itemsapi.observability.logging import log
from itemsapi.server.listening import raise_file_limit
from itemsapi.server.reentrant_event import ReentrantEvent
from itemsapi.server.worker import AppFactory, load_application

HEADER_TIMEOUT_MILLISECONDS: Final = 10_000  # for a client to send its headers
MAX_HEADER_BYTES: Final = 64 * 1024  # the application accepts less, with a problem response
SHUTDOWN_TIMEOUT_SECONDS: Final = 30  # for requests in flight to end after SIGTERM
POLL_SECONDS: Final = 0.1  # between looks at workers that have to stop
REPEATED_SIGNAL_SECONDS: Final = 1.0  # a second Ctrl-C within them is the first one, passed on
DEATH_WINDOW_SECONDS: Final = 60.0
MAX_DEATHS: Final = 10  # in the window; a pause follows each further one
RESTART_PAUSE_SECONDS: Final = 1.0
START_TIMEOUT_SECONDS: Final = 60.0  # for a worker to load the application, at SIGHUP
MAX_CORES: Final = 1024


def serve(
    listener: socket.socket, create: AppFactory, *, workers: int, threads: int, pin: bool
) -> None:
    """Serve until SIGTERM or SIGINT; let requests in flight end first, unless SIGINT comes again.

    `create` returns the application, in each worker; it can be pickled. With `pin` the threads of a
    worker share a core.
    """
    # With `spawn` a worker inherits no thread, lock or connection of this process.
    multiprocessing.set_start_method("spawn", force=True)
    connections = raise_file_limit()
    server = Supervisor(
        "itemsapi",
        listener=listener,
        pin=pin,
        interface=Interfaces.ASGINL,
        http=HTTPModes.http1,
        workers=workers,
        backlog=connections,
        backpressure=connections,
        respawn_failed_workers=True,
        workers_kill_timeout=SHUTDOWN_TIMEOUT_SECONDS,
        http1_settings=HTTP1Settings(
            header_read_timeout=HEADER_TIMEOUT_MILLISECONDS, max_buffer_size=MAX_HEADER_BYTES
        ),
        log_level=LogLevels.error,
        log_dictconfig=LOGGING_CONFIG,
        websockets=False,
    )
    server.serve(
        target_loader=partial(load_application, create, threads, workers), wrap_loader=False
    )


class Supervisor(MPServer):
    """granian's server on a socket of our own, which always replaces dead workers."""

    def __init__(self, target: str, *, listener: socket.socket, pin: bool, **options: Any) -> None:
        """Take the socket that all workers accept from, and whether each keeps to a core."""
        host, port = listener.getsockname()[:2]
        super().__init__(target, address=host, port=port, **options)
        self.main_loop_interrupt = ReentrantEvent()  # type: ignore[assignment]  # as much of it as granian uses
        self._listener, self._pin = listener, pin
        self._first_core = secrets.randbelow(MAX_CORES)  # another one in each service of a machine
        self._loaded: dict[int, tuple[Connection, Connection]] = {}  # by worker: a pipe
        self._deaths: deque[float] = deque(maxlen=MAX_DEATHS)
        self._interrupted_at: float | None = None
        self._stops_at_once = False

    def signal_handler_interrupt(self, *args: Any, **options: Any) -> None:
        """Stop; at a second Ctrl-C do not wait for requests in flight.

        Programs that pass signals on, such as `docker run`, may send the first one twice.
        """
        now = time.monotonic()
        if self._interrupted_at is None:
            self._interrupted_at = now
        elif args[:1] == (signal.SIGINT,):
            self._stops_at_once = now > self._interrupted_at + REPEATED_SIGNAL_SECONDS
        super().signal_handler_interrupt(*args, **options)  # type: ignore[no-untyped-call]  # granian has no type here

    def _spawn_workers(
        self, spawn_target: Callable[..., None], target_loader: Callable[..., Any]
    ) -> None:
        """Start the workers; a Ctrl-C at the terminal is for this process alone."""
        with _sigint_blocked():
            super()._spawn_workers(spawn_target, target_loader)  # type: ignore[no-untyped-call]  # as above
        # It may have waited since before the handlers were there (`itemsapi serve`).
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})

    def _spawn_worker(  # type: ignore[override]  # granian's own override has these parameters
        self, idx: int, target: Callable[..., None], callback_loader: Callable[..., Any]
    ) -> WorkerProcess:
        """Return a new worker, which says when it can serve; with `pin` it gets a core."""
        self._loaded[idx] = _, writer = multiprocessing.Pipe(duplex=False)
        number = self._first_core + idx if self._pin else None
        loader = partial(callback_loader, number=number, loaded=writer)
        return super()._spawn_worker(idx, target, loader)

    def _stop_workers(self) -> None:
        """Let the workers finish the requests in flight; kill those that take too long."""
        for worker in self.wrks:
            worker.terminate()  # type: ignore[no-untyped-call]  # granian has no type here
        ends = time.monotonic() + SHUTDOWN_TIMEOUT_SECONDS
        while alive := [worker for worker in self.wrks if _is_alive(worker)]:
            if self._stops_at_once or time.monotonic() > ends:
                _kill(alive)
                break
            alive[0].join(POLL_SECONDS)  # type: ignore[no-untyped-call]  # as above
        self.wrks.clear()
        self.interrupt_children.clear()  # granian exits with 1 if a death is not handled yet

    def _init_shared_socket(self) -> None:
        """Use our socket, which has deadlines, instead of opening one for each worker."""
        self._ssp, self._sso = None, self._listener
        self._shd = SocketHolder(self._listener.fileno(), False, self.backlog)  # type: ignore[assignment, call-arg]  # noqa: FBT003 - granian's types are those of Windows

    def _respawn_workers(
        self,
        workers: list[int],
        spawn_target: Callable[..., None],
        target_loader: Callable[..., Any],
        delay: float = 0,
    ) -> None:
        """Replace these workers one by one, until a signal says to stop.

        granian would replace all of them first, and wait for each. It gives a delay at SIGHUP, and
        none after a death. At SIGHUP a worker serves until its successor can; if that one cannot
        start, because its code is newer and wrong, this worker and the next ones stay.
        """
        for index in dict.fromkeys(workers):
            if self.interrupt_signal:
                return
            old = self.wrks[index]
            if not _is_alive(old):
                self._handle_death(old.inner.pid, old.inner.exitcode)
            elif not delay:
                continue  # it was replaced since, by SIGHUP
            with _sigint_blocked():
                self.wrks[index] = self._spawn_worker(index, spawn_target, target_loader)
                self.wrks[index].start()  # type: ignore[no-untyped-call]  # granian has no type here
            if delay and not self._can_serve(index):
                self._keep(index, old)
                break
            self._retire(old)
        self._find_missed_deaths()

    def _can_serve(self, index: int) -> bool:
        """Wait until a worker has loaded the application; return whether it did.

        It did not if it died, if it takes too long, or if a signal says to stop.
        """
        worker, (loaded, _) = self.wrks[index], self._loaded[index]
        self._wait_while(lambda: _is_alive(worker) and not loaded.poll(), START_TIMEOUT_SECONDS)
        return loaded.poll()

    def _keep(self, index: int, old: WorkerProcess) -> None:
        """Go on with a worker whose successor cannot serve."""
        new, self.wrks[index] = self.wrks[index], old
        if self.interrupt_signal:
            self.wrks.append(new)
            return
        log.error("workers_not_replaced", pid=new.inner.pid, exit_code=new.inner.exitcode)
        if _is_alive(new):
            _kill([new])

    def _retire(self, worker: WorkerProcess) -> None:
        """Let a worker that was replaced finish its requests; kill it if it takes too long.

        When a signal says to stop, it is one of the workers that `_stop_workers` waits for.
        """
        worker.terminate()  # type: ignore[no-untyped-call]  # granian has no type here
        self._wait_while(lambda: _is_alive(worker), SHUTDOWN_TIMEOUT_SECONDS)
        if self.interrupt_signal:
            self.wrks.append(worker)
        elif _is_alive(worker):
            _kill([worker])

    def _wait_while(self, condition: Callable[[], bool], seconds: float) -> None:
        """Wait these seconds, but neither after the condition is false nor when a signal came."""
        ends = time.monotonic() + seconds
        while condition() and not self.interrupt_signal and time.monotonic() < ends:
            time.sleep(POLL_SECONDS)

    def _handle_death(self, pid: int, exit_code: int | None) -> None:
        log.error("worker_died", pid=pid, exit_code=exit_code)
        now = time.monotonic()
        if len(self._deaths) == MAX_DEATHS and now - self._deaths[0] < DEATH_WINDOW_SECONDS:
            # Workers that die at once must not keep the machine busy.
            time.sleep(RESTART_PAUSE_SECONDS)
        self._deaths.append(now)

    def _find_missed_deaths(self) -> None:
        """Report the workers that died while granian's loop was clearing its list."""
        for worker in self.wrks:
            if not _is_alive(worker) and worker.idx not in self.interrupt_children:
                self.interrupt_children.append(worker.idx)
                self.main_loop_interrupt.set()


@contextmanager
def _sigint_blocked() -> Iterator[None]:
    """Start processes that never get SIGINT; this process gets it when the block ends.

    Otherwise a worker that is importing its modules would show a traceback at Ctrl-C.
    """
    resource_tracker.ensure_running()  # it would unblock the signal when it starts
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _is_alive(worker: WorkerProcess) -> bool:
    return bool(worker.is_alive())  # type: ignore[no-untyped-call]  # granian has no type here


def _kill(workers: list[WorkerProcess]) -> None:
    """Kill workers whose requests in flight do not end: a client may have stopped reading."""
    for worker in workers:
        log.warning("worker_killed", pid=worker.inner.pid)
        worker.kill()  # type: ignore[no-untyped-call]  # granian has no type here
        worker.join()  # type: ignore[no-untyped-call]  # as above


class GranianLogHandler(logging.Handler):
    """Writes granian's log records to our log."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line; skip the death of a worker, which the supervisor logs itself."""
        message = record.getMessage()
        if not message.startswith("Unexpected exit"):
            log.log(record.levelno, "server", message=message)


LOGGING_CONFIG: Final[dict[str, Any]] = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"itemsapi": {"class": "itemsapi.server.supervisor.GranianLogHandler"}},
    "loggers": {
        "_granian": {"handlers": ["itemsapi"], "level": "ERROR", "propagate": False},
    },
}
