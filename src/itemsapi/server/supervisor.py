"""The supervisor: starts the workers, and another one for each that dies, as often as it takes.

granian does that by itself, but ends the whole service when two workers die within seconds of each
other. Two of its inner methods are replaced here; `tests/faults` kills workers to see that a new
version of granian still calls them.
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
from itemsapi.server.listening import raise_file_limit
from itemsapi.server.worker import load_application

HEADER_TIMEOUT_MILLISECONDS: Final = (
    10_000  # milliseconds a client may take to send its headers
)
MAX_HEADER_BYTES: Final = 64 * 1024  # bytes; the application takes less and says so
SHUTDOWN_TIMEOUT_SECONDS: Final = 30  # seconds that requests in flight have to end after SIGTERM
DEATH_WINDOW_SECONDS: Final = 60.0
MAX_DEATHS: Final = 10  # in a minute; beyond, each further one is followed by a pause
RESTART_PAUSE_SECONDS: Final = 1.0  # seconds


def serve(listener: socket.socket, *, workers: int, threads: int) -> None:
    """Serve until SIGTERM or SIGINT; requests in flight end first."""
    # A worker begins afresh: it inherits no thread, lock or connection of this process.
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
    server.serve(target_loader=partial(load_application, threads, workers), wrap_loader=False)


class Supervisor(MPServer):
    """granian on a socket of ours, which never gives up on its workers."""

    def __init__(self, target: str, *, listener: socket.socket, **options: Any) -> None:
        """Take the socket that all workers accept from."""
        host, port = listener.getsockname()[:2]
        super().__init__(target, address=host, port=port, **options)
        self._listener = listener
        self._deaths: deque[float] = deque(maxlen=MAX_DEATHS)

    def _init_shared_socket(self) -> None:
        """Hand out our socket, which has deadlines, instead of one for each worker."""
        self._ssp, self._sso = None, self._listener
        self._shd = SocketHolder(self._listener.fileno(), False, self.backlog)  # type: ignore[assignment, call-arg]  # noqa: FBT003 - granian's types are those of Windows

    def _respawn_workers(
        self,
        workers: list[int],
        spawn_target: Callable[..., None],
        target_loader: Callable[..., Any],
        delay: float = 0,
    ) -> None:
        """Start others in the place of these, and forget when: granian would give up otherwise."""
        for worker in {index: self.wrks[index] for index in workers}.values():
            if not _lives(worker):
                self._mourn(worker.inner.pid, worker.inner.exitcode)
        super()._respawn_workers(list(dict.fromkeys(workers)), spawn_target, target_loader, delay)
        self.respawned_wrks.clear()
        self._find_forgotten()

    def _mourn(self, pid: int, exit_code: int | None) -> None:
        log.error("worker_died", pid=pid, exit_code=exit_code)
        now = time.monotonic()
        if len(self._deaths) == MAX_DEATHS and now - self._deaths[0] < DEATH_WINDOW_SECONDS:
            time.sleep(RESTART_PAUSE_SECONDS)  # what dies at once must not keep the machine busy
        self._deaths.append(now)

    def _find_forgotten(self) -> None:
        """Note who died between two steps of granian's loop, which clears its list unseen."""
        for worker in self.wrks:
            if not _lives(worker) and worker.idx not in self.interrupt_children:
                self.interrupt_children.append(worker.idx)
                self.main_loop_interrupt.set()


def _lives(worker: WorkerProcess) -> bool:
    return bool(worker.is_alive())  # type: ignore[no-untyped-call]  # granian's own gap


class GranianLogHandler(logging.Handler):
    """Writes what granian says as lines of our log."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line, unless it tells of a death, of which we tell more."""
        words = record.getMessage()
        if not words.startswith("Unexpected exit"):
            log.log(record.levelno, "server", message=words)


LOGGING_CONFIG: Final[dict[str, Any]] = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"itemsapi": {"class": "itemsapi.server.supervisor.GranianLogHandler"}},
    "loggers": {
        "_granian": {"handlers": ["itemsapi"], "level": "ERROR", "propagate": False},
    },
}
