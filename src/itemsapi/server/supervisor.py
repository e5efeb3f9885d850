"""The supervisor: starts the workers, and replaces each one that dies, however often.

granian also replaces them, but stops the whole service when two workers die within seconds of each
other. Two of its internal methods are overridden here; `tests/faults` kills workers to prove that a
new version of granian still calls them.
"""

import logging
import multiprocessing
import socket
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from granian._granian import SocketHolder
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server.mp import MPServer, WorkerProcess

from itemsapi.observability.logging import log
from itemsapi.server.host_application import AppFactory
from itemsapi.server.listening import raise_file_limit
from itemsapi.server.worker import load_application

HEADER_TIMEOUT_MILLISECONDS: Final = 10_000  # for a client to send its headers
MAX_HEADER_BYTES: Final = 64 * 1024  # the application accepts less, with a problem response
SHUTDOWN_TIMEOUT_SECONDS: Final = 30  # for requests in flight to end after SIGTERM
DEATH_WINDOW_SECONDS: Final = 60.0
MAX_DEATHS: Final = 10  # in the window; a pause follows each further one
RESTART_PAUSE_SECONDS: Final = 1.0


def serve(listener: socket.socket, create: AppFactory, *, workers: int, threads: int) -> None:
    """Serve until SIGTERM or SIGINT; let requests in flight end first.

    `create` returns the application, in each worker; it can be pickled.
    """
    # With `spawn` a worker inherits no thread, lock or connection of this process.
    multiprocessing.set_start_method("spawn", force=True)
    connections = raise_file_limit()
    server = Supervisor(
        "itemsapi",
        listener=listener,
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

    def __init__(self, target: str, *, listener: socket.socket, **options: Any) -> None:
        """Take the socket that all workers accept from."""
        host, port = listener.getsockname()[:2]
        super().__init__(target, address=host, port=port, **options)
        self._listener = listener
        self._deaths: deque[float] = deque(maxlen=MAX_DEATHS)

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
        """Replace these workers, and clear their start times: granian would stop otherwise."""
        for worker in {index: self.wrks[index] for index in workers}.values():
            if not _is_alive(worker):
                self._handle_death(worker.inner.pid, worker.inner.exitcode)
        super()._respawn_workers(list(dict.fromkeys(workers)), spawn_target, target_loader, delay)
        self.respawned_wrks.clear()
        self._find_missed_deaths()

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


def _is_alive(worker: WorkerProcess) -> bool:
    return bool(worker.is_alive())  # type: ignore[no-untyped-call]  # granian has no type here


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
