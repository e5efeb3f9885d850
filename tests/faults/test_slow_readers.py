"""Clients that ask for much and take nothing fill no memory and stop nobody (S-111)."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from faults.test_stalled_clients import SIGN_IN, ends, resident
from support.large_views import MIB
from support.real_server import CLOSE_HEADERS, RunningServer, running_server
from support.rounds import rounds
from support.service import print_figures

pytestmark = pytest.mark.slow

READERS = 200
KEPT = 80  # MiB that they may cost


@pytest.fixture
def wire(tmp_path: Path) -> Iterator[RunningServer]:
    """A service with two threads, and a user who is signed in."""
    with running_server(
        tmp_path, threads=2, ITEMSAPI_BLUEPRINTS="support.large_views:heavy"
    ) as wire:
        yield wire


@pytest.fixture
def hung_up() -> Iterator[ExitStack]:
    """Connections that are closed in the end."""
    with ExitStack() as lines:
        yield lines


def asked(wire: RunningServer, path: bytes) -> bytes:
    """Return a request."""
    return b"GET %s HTTP/1.1\r\n%s%s\r\n" % (path, CLOSE_HEADERS, wire.bearer)


def deaf(wire: RunningServer, path: bytes) -> socket.socket:
    """Ask for something, and take as little of it as the system allows."""
    line = socket.socket()
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    line.bind(("127.0.3.1", 0))
    line.connect(("127.0.0.1", wire.port))
    line.sendall(asked(wire, path))
    return line


@pytest.mark.parametrize("path", [b"/large", b"/stream"])
def test_those_who_never_read_fill_no_memory_and_stop_nobody(
    wire: RunningServer, hung_up: ExitStack, path: bytes
) -> None:
    """S-111: 200 connections of one address; others are answered, before, meanwhile and after."""
    for _ in range(20):  # what a worker needs once it has: each thread its own
        assert wire.statuses(SIGN_IN) == [200]
    before = resident(wire)
    lines = [hung_up.enter_context(deaf(wire, path)) for _ in range(READERS)]
    peak = 0.0
    for _ in range(rounds(100, 30)):
        assert wire.statuses(SIGN_IN) == [200]
        peak = max(peak, resident(wire))
    print_figures("deaf readers", before=before, peak=peak, connections=float(len(lines)))
    assert peak < before + KEPT
    hung_up.close()
    assert wire.statuses(SIGN_IN) == [200]


def test_thirty_things_that_one_client_wants_at_once_all_come(wire: RunningServer) -> None:
    """S-111: a page in a browser is no attack."""
    lines = [wire.connect(asked(wire, b"/large")) for _ in range(30)]
    assert [len(ends(line).partition(b"\r\n\r\n")[2]) for line in lines] == [MIB] * 30


def test_a_streamed_answer_arrives_whole(wire: RunningServer) -> None:
    """Chunked, in order (RFC 9112 section 7.1)."""
    heard = replace(wire, source="127.0.0.9").exchange(
        b"GET /stream HTTP/1.0\r\nHost: wire\r\n%s\r\n" % wire.bearer
    )
    assert heard.partition(b"\r\n\r\n")[2] == b"".join(bytes([at]) * 65536 for at in range(256))
