"""Where requests and audit events are counted: nowhere, until something reports the counts.

`count_in` starts counting. So a process without the endpoint `/metrics` does not import
prometheus-client (`observability.prometheus`, extra `metrics`).
"""

from typing import Final, Protocol

FOLDER_VARIABLE: Final = "PROMETHEUS_MULTIPROC_DIR"


class Counters(Protocol):
    """What counts."""

    def count_request(self, method: str, endpoint: str | None, status: int) -> None:
        """Count one response."""

    def count_event(self, event: str) -> None:
        """Count one audit event."""


_counters: Final[list[Counters]] = []


def count_in(counters: Counters) -> None:
    """Count in `counters` from now on; a second call with the same object changes nothing."""
    if counters not in _counters:
        _counters.append(counters)


def count_request(method: str, endpoint: str | None, status: int) -> None:
    """Count one response, by the name of its endpoint."""
    for counters in _counters:
        counters.count_request(method, endpoint, status)


def count_event(event: str) -> None:
    """Count one audit event."""
    for counters in _counters:
        counters.count_event(event)
