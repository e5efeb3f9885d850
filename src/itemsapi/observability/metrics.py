"""What operators count: requests, events, and how old a process's copy of the revocations is.

Workers of one service share a folder, `PROMETHEUS_MULTIPROC_DIR`: each counts into files of its
own, and any of them tells of all (R-36). A file is named by a number that its worker holds a lock
on, not by the worker's process id: whoever comes after a dead worker takes its number and counts
on in its files. So nothing has to be cleaned up, and no counter ever goes down.
"""

import fcntl
import os
import struct
import time
from itertools import count
from pathlib import Path

import prometheus_client.values
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.values import MultiProcessValue, MutexValue

from itemsapi.observability.logging import request_context

FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
MAX_READ_ATTEMPTS = 5  # reads of a folder whose files are just being made


class WorkerNumber:
    """The number that this process counts under, while it lives."""

    def __init__(self, folder: Path) -> None:
        """Take the folder of the locks; it is made if it is not there."""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder = folder
        self._process = self._number = -1

    def __call__(self) -> int:
        """Return the number: another one after a fork, which inherits this object."""
        if self._process != os.getpid():
            self._process, self._number = os.getpid(), self._take()
        return self._number

    def _take(self) -> int:
        return next(number for number in count() if self._locked(number))

    def _locked(self, number: int) -> bool:
        """Tell whether the number was free, and is ours now, for as long as the process lives."""
        lock = os.open(self._folder / f"{number}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return False
        return True


def _count_in(folder: Path) -> str:
    """Let what is counted from now on be kept in files; return why that cannot be, or nothing."""
    try:
        number = WorkerNumber(folder)
        number()
    except OSError as error:
        prometheus_client.values.ValueClass = MutexValue
        return f"{folder}: {error.strerror}"
    prometheus_client.values.ValueClass = MultiProcessValue(number)  # type: ignore[no-untyped-call]  # the library's own gap
    return ""


# Before the first of ours is made, which chooses the kind for good.
folder_error = _count_in(Path(os.environ[FOLDER_VARIABLE])) if FOLDER_VARIABLE in os.environ else ""

COUNTED_METHODS = frozenset(
    {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
)  # no client's own

REQUESTS = Counter("itemsapi_requests", "Answers given.", ["method", "endpoint", "status"])
SECONDS = Histogram(
    "itemsapi_request_seconds",
    "Time from the request's first line to the answer's.",
    ["endpoint"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
)
EVENTS = Counter("itemsapi_events", "Audit events: sign-ins, reuse, sessions ended.", ["event"])
FEED_AGE = Gauge(
    "itemsapi_revocation_feed_age_seconds",
    "Age of the copy of the revocations, in the process that answers; above 5 nobody is let in.",
    multiprocess_mode="mostrecent",
)


def count_request(method: str, endpoint: str | None, status: int) -> None:
    """Count one answer; what matched no endpoint is one kind, whatever the address was."""
    name = endpoint or "none"
    verb = method if method in COUNTED_METHODS else "other"
    REQUESTS.labels(verb, name, status).inc()
    SECONDS.labels(name).observe(time.perf_counter() - request_context().started)


def set_feed_age(seconds: float) -> None:
    """Note how old this process's copy of the revocations is."""
    FEED_AGE.set(min(seconds, 1e9))


def render_metrics() -> bytes:
    """Return all metrics in Prometheus' text format; of all workers, where they share a folder."""
    if FOLDER_VARIABLE not in os.environ or folder_error:
        return generate_latest()
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # the library's own gap
    for _ in range(MAX_READ_ATTEMPTS - 1):
        try:
            return generate_latest(registry)
        except (struct.error, RuntimeError):  # a file that its worker has made and not filled
            continue
    return generate_latest(registry)
