"""Prometheus metrics: requests, audit events, and the age of this process's revocation feed.

Workers of one service share a folder, `PROMETHEUS_MULTIPROC_DIR`: each counts in files of its own,
and every worker can report the sum (R-36). A file is named by a number that its worker has a lock
on, not by its process id: the successor of a dead worker takes its number and continues its files.
So no files have to be removed, and no counter ever decreases.
"""

import fcntl
import os
import struct
import time
from functools import cache
from itertools import count
from pathlib import Path

import prometheus_client.values
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.values import MultiProcessValue, MutexValue

from itemsapi.observability.context import request_context
from itemsapi.observability.metrics import FOLDER_VARIABLE

MAX_READ_ATTEMPTS = 5  # of a folder while workers create files in it


class WorkerNumber:
    """The number of this process, unique among the processes that are running."""

    def __init__(self, folder: Path) -> None:
        """Take the folder of the lock files; create it if it is missing."""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder = folder
        self._process = self._number = -1

    def __call__(self) -> int:
        """Return the number; after a fork, which copies this object, it is a new one."""
        if self._process != os.getpid():
            self._process, self._number = os.getpid(), self._first_free()
        return self._number

    def _first_free(self) -> int:
        return next(number for number in count() if self._lock(number))

    def _lock(self, number: int) -> bool:
        """Lock a number for the lifetime of the process. Return whether it was free."""
        lock_file = os.open(self._folder / f"{number}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock_file)
            return False
        return True


def _use_folder(folder: Path) -> str:
    """Store metrics in files of a folder; return the error if that fails, or an empty string."""
    try:
        number = WorkerNumber(folder)
        number()
    except OSError as error:
        prometheus_client.values.ValueClass = MutexValue
        return f"{folder}: {error.strerror}"
    prometheus_client.values.ValueClass = MultiProcessValue(number)  # type: ignore[no-untyped-call]  # the library's own gap
    return ""


# Before the first metric is created: it takes the kind of value that is set then.
folder_error = (
    _use_folder(Path(os.environ[FOLDER_VARIABLE])) if FOLDER_VARIABLE in os.environ else ""
)

COUNTED_METHODS = frozenset(
    {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
)  # other methods are counted as "other"

REQUESTS = Counter("itemsapi_requests", "Responses sent.", ["method", "endpoint", "status"])
SECONDS = Histogram(
    "itemsapi_request_seconds",
    "Time from the start of the request to the start of the response.",
    ["endpoint"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
)
EVENTS = Counter("itemsapi_events", "Audit events: sign-ins, reuse, sessions ended.", ["event"])
FEED_AGE = Gauge(
    "itemsapi_revocation_feed_age_seconds",
    "Age of the revocation feed of the process that responds; above 5 all tokens are rejected.",
    multiprocess_mode="mostrecent",
)


def count_request(method: str, endpoint: str | None, status: int) -> None:
    """Count one response; all requests that matched no endpoint are counted together."""
    requests, seconds = _counters(
        method if method in COUNTED_METHODS else "other", endpoint or "none", status
    )
    requests.inc()
    seconds.observe(time.perf_counter() - request_context().started)


@cache
def _counters(method: str, endpoint: str, status: int) -> tuple[Counter, Histogram]:
    """Return the counters with these labels; to find them costs more than to count."""
    return REQUESTS.labels(method, endpoint, status), SECONDS.labels(endpoint)


def count_event(event: str) -> None:
    """Count one audit event."""
    EVENTS.labels(event).inc()


def set_feed_age(seconds: float) -> None:
    """Set the age of this process's revocation feed."""
    FEED_AGE.set(min(seconds, 1e9))


def render_metrics() -> bytes:
    """Return the metrics in Prometheus' text format; of all workers if they share a folder."""
    if FOLDER_VARIABLE not in os.environ or folder_error:
        return generate_latest()
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # the library's own gap
    for _ in range(MAX_READ_ATTEMPTS - 1):
        try:
            return generate_latest(registry)
        except (
            struct.error,
            RuntimeError,
        ):  # a file that its worker has created but not written yet
            continue
    return generate_latest(registry)
