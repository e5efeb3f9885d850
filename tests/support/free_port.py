"""Ports for the servers of tests."""

import itertools
import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import suppress

FIRST_PORT = 11_000  # browsers refuse some lower ones
PORTS_PER_WORKER, RANGES = 2_000, 10  # the last one ends below 32768


def free_port() -> int:
    """Return a port that is free, and stays so until the test uses it.

    It is below those that Linux gives to outgoing connections (from 32768), and each worker of the
    tests has a range of its own.
    """
    while True:
        port = next(_PORTS)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def _ports_of_this_worker() -> Iterator[int]:
    """Yield the ports of this process again and again, from a random one on."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    first = FIRST_PORT + worker % RANGES * PORTS_PER_WORKER
    start = secrets.randbelow(PORTS_PER_WORKER)
    ports = range(first, first + PORTS_PER_WORKER)
    return itertools.cycle([*ports[start:], *ports[:start]])


_PORTS = _ports_of_this_worker()
