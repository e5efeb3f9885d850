"""Clients that request much and read nothing exhaust no memory and block no others (S-111)."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from faults.test_stalled_clients import SIGN_IN, read_to_end, resident_mib
from support.large_views import MIB
from support.real_server import CLOSE_HEADERS, RunningServer, running_server
from support.rounds import rounds
from support.service import print_figures

pytestmark = pytest.mark.slow

READERS = 200
MAX_EXTRA_MIB = 80  # for all readers


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    """A service with two threads and a signed-in user."""
    with running_server(
        tmp_path, threads=2, ITEMSAPI_BLUEPRINTS="support.large_views:heavy"
    ) as server:
        yield server


@pytest.fixture
def open_connections() -> Iterator[ExitStack]:
    """Connections that are closed at the end."""
    with ExitStack() as lines:
        yield lines


def build_get(server: RunningServer, path: bytes) -> bytes:
    """Return a GET request."""
    return b"GET %s HTTP/1.1\r\n%s%s\r\n" % (path, CLOSE_HEADERS, server.bearer)


def request_without_reading(server: RunningServer, path: bytes) -> socket.socket:
    """Send a request, with the smallest receive buffer that the system allows."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.bind(("127.0.3.1", 0))
    connection.connect(("127.0.0.1", server.port))
    connection.sendall(build_get(server, path))
    return connection


@pytest.mark.parametrize("path", [b"/large", b"/stream"])
def test_clients_that_never_read_exhaust_no_memory_and_block_no_others(
    server: RunningServer, open_connections: ExitStack, path: bytes
) -> None:
    """S-111: 200 connections of one address; other requests succeed before, meanwhile and after."""
    for _ in range(20):  # lets each thread allocate its own memory
        assert server.statuses(SIGN_IN) == [200]
    before = resident_mib(server)
    lines = [
        open_connections.enter_context(request_without_reading(server, path))
        for _ in range(READERS)
    ]
    peak = 0.0
    for _ in range(rounds(100, 30)):
        assert server.statuses(SIGN_IN) == [200]
        peak = max(peak, resident_mib(server))
    print_figures("deaf readers", before=before, peak=peak, connections=float(len(lines)))
    assert peak < before + MAX_EXTRA_MIB
    open_connections.close()
    assert server.statuses(SIGN_IN) == [200]


def test_thirty_concurrent_requests_of_one_client_succeed(server: RunningServer) -> None:
    """S-111: a page in a browser is not an attack."""
    lines = [server.connect(build_get(server, b"/large")) for _ in range(30)]
    assert [len(read_to_end(connection).partition(b"\r\n\r\n")[2]) for connection in lines] == [
        MIB
    ] * 30


def test_a_streamed_response_is_complete(server: RunningServer) -> None:
    """Chunked, in order (RFC 9112 section 7.1)."""
    response = replace(server, source="127.0.0.9").exchange(
        b"GET /stream HTTP/1.0\r\nHost: wire\r\n%s\r\n" % server.bearer
    )
    assert response.partition(b"\r\n\r\n")[2] == b"".join(bytes([at]) * 65536 for at in range(256))
