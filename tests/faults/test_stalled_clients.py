"""Clients that do not finish their requests block no others (S-004, S-110, R-14).

The real server with one worker and two threads. `ITEMSAPI_TEST_FULL=1` opens as many connections as
S-110 names; benchmarks/server.py measures how long others wait meanwhile.
"""

import hashlib
import json
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from support.large_views import MIB
from support.real_server import (
    CLOSE_HEADERS,
    JSON_HEADER,
    PASSWORD,
    RunningServer,
    build_post,
    running_server,
)
from support.rounds import rounds
from support.service import print_figures, wait_until

pytestmark = pytest.mark.slow

TIMEOUT_SECONDS = 30.0  # for the last stalled client, on a busy machine
STALLED_CLIENTS = rounds(1500, 300)
CREDENTIALS = json.dumps({"username": "wire", "password": PASSWORD}).encode()
SIGN_IN = build_post(b"/auth/login", JSON_HEADER, body=CREDENTIALS)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A service with two threads and a signed-in user."""
    folder = tmp_path_factory.mktemp("stalled")
    settings = {
        "ITEMSAPI_BLUEPRINTS": "support.large_views:heavy",
        "ITEMSAPI_SESSION_LIMIT": "100000",
    }
    with running_server(folder, threads=2, **settings) as server:
        yield server


def client_address(at: int, among: int) -> str:
    """Return one of `among` addresses of this host."""
    return f"127.0.2.{at % among + 1}"


def stall(
    server: RunningServer, stalled_post: bytes, count: int, addresses: int
) -> list[socket.socket]:
    """Open connections that send only the beginning of a request."""
    return [
        replace(server, source=client_address(at, addresses)).connect(stalled_post)
        for at in range(count)
    ]


def read_to_end(connection: socket.socket) -> bytes:
    """Wait until the server responds and closes the connection; return the bytes."""
    received = b""
    connection.settimeout(TIMEOUT_SECONDS)
    with connection, suppress(ConnectionError):
        try:
            while block := connection.recv(4096):
                received += block
        except TimeoutError:
            pytest.fail(f"still open after {TIMEOUT_SECONDS} s; received {received!r}")
    return received


def read_status(connection: socket.socket) -> bytes:
    """Wait for the beginning of a response."""
    connection.settimeout(TIMEOUT_SECONDS)
    return connection.recv(12)


def stalled_post(path: bytes, server: RunningServer) -> bytes:
    """Return a request whose body stalls after its first byte."""
    return build_post(path, JSON_HEADER, server.bearer, body=b"{", length=b"60")


@pytest.mark.parametrize(("count", "addresses"), [(4, 2), (60, 1), (STALLED_CLIENTS, 100)])
def test_stalled_bodies_block_no_sign_in_and_get_408(
    server: RunningServer, count: int, addresses: int
) -> None:
    """S-110: they get 408 and a closed connection; other requests get 200 meanwhile."""
    places = [stalled_post(path, server) for path in (b"/auth/login", b"/auth/refresh", b"/items")]
    stalled = [
        connection
        for path in places
        for connection in stall(server, path, count // 3 + 1, addresses)
    ]
    assert [server.statuses(SIGN_IN) for _ in range(5)] == [[200]] * 5
    assert {read_to_end(connection)[:12] for connection in stalled} == {b"HTTP/1.1 408"}


def test_stalled_headers_block_no_sign_in(server: RunningServer) -> None:
    """S-110: 1,500 of them; the server closes each connection in the end."""
    count = rounds(1500, 1500)
    stalled = stall(server, b"POST /auth/login HTTP/1.1\r\nHost: wire\r\nX-Slow: ", count, 100)
    assert [server.statuses(SIGN_IN) for _ in range(5)] == [[200]] * 5
    assert len([read_to_end(connection) for connection in stalled]) == count


def test_trickled_bodies_get_408_too(server: RunningServer) -> None:
    """S-110: the deadline is for the whole body, not for its next byte."""
    lines = stall(server, build_post(b"/auth/login", JSON_HEADER, body=b"{", length=b"6000"), 8, 8)
    stop = threading.Event()

    def trickle() -> None:
        while not stop.wait(0.5):
            for connection in lines:
                with suppress(OSError):
                    connection.sendall(b" ")

    trickle_thread = threading.Thread(target=trickle)
    trickle_thread.start()
    try:
        assert server.statuses(SIGN_IN) == [200]
        received = [read_status(connection) for connection in lines]
    finally:
        stop.set()
        trickle_thread.join()
    assert set(received) == {b"HTTP/1.1 408"}
    for connection in lines:
        connection.close()


def test_stalled_long_bodies_occupy_no_thread(server: RunningServer) -> None:
    """S-110: behind the gate, where bodies are read; there are more of them than threads."""
    started = build_post(
        b"/items", JSON_HEADER, server.bearer, body=b"x" * 70_000, length=b"900000"
    )
    stalled = stall(server, started, 20, 2)
    assert [server.statuses(SIGN_IN) for _ in range(5)] == [[200]] * 5
    assert {read_to_end(connection)[:12] for connection in stalled} == {b"HTTP/1.1 408"}


def test_an_incomplete_body_has_no_effect(server: RunningServer) -> None:
    """An incomplete request is not treated as a shorter one (R-15)."""
    body = json.dumps({"name": "Lamp", "price": "1.00", "currency": "EUR"}).encode()
    cut = build_post(
        b"/items", JSON_HEADER, server.bearer, body=body, length=b"%d" % (len(body) + 1)
    )
    for _ in range(20):
        server.connect(cut).close()
    received = server.exchange(b"GET /items HTTP/1.1\r\n", CLOSE_HEADERS, server.bearer, b"\r\n")
    assert json.loads(received.partition(b"\r\n\r\n")[2])["items"] == []


def resident_mib(server: RunningServer) -> float:
    """Return the resident memory of the largest worker in MiB."""
    children = Path(f"/proc/{server.process}/task/{server.process}/children").read_text().split()
    sizes = [int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in children]
    return max(sizes) * os.sysconf("SC_PAGE_SIZE") / MIB


def test_anonymous_bodies_are_not_read(server: RunningServer) -> None:
    """S-004: 100 times 5 MB without a token get 401 and use no memory."""
    upload = build_post(b"/uploads", JSON_HEADER, body=b"x" * 5_000_000)
    server.statuses(upload)
    before = resident_mib(server)
    answers = [server.statuses(upload) for _ in range(rounds(100, 100))]
    print_figures("anonymous bodies", before=before, after=resident_mib(server))
    assert [one for one in answers if one not in ([401], [])] == []
    assert resident_mib(server) < before + 20


def test_a_large_upload_succeeds_when_its_view_allows_it(server: RunningServer) -> None:
    """S-004, S-110: 50 MB stream into a protected view with its own limit."""
    body = os.urandom(MIB) * 50
    received = server.exchange(build_post(b"/uploads", server.bearer, body=body))
    result = json.loads(received.partition(b"\r\n\r\n")[2])
    assert result == {"size": len(body), "sha256": hashlib.sha256(body).hexdigest()}


def test_a_shutdown_waits_for_a_slow_response_but_not_for_a_stalled_body(tmp_path: Path) -> None:
    """SIGTERM: requests in progress are finished, stalled ones are dropped (R-22)."""
    with running_server(
        tmp_path, threads=2, ITEMSAPI_BLUEPRINTS="support.large_views:heavy"
    ) as server:
        slow = server.connect(b"GET /held/slow HTTP/1.1\r\n%s\r\n" % CLOSE_HEADERS)
        stalled = server.connect(stalled_post(b"/auth/login", server))
        wait_until((tmp_path / "slow.here").exists, TIMEOUT_SECONDS)
        os.kill(server.process, signal.SIGTERM)
        time.sleep(0.2)  # SIGTERM arrives before the response is complete
        (tmp_path / "slow.go").touch()
        assert read_to_end(slow).startswith(b"HTTP/1.1 200")
        assert read_to_end(stalled)[:12] in {b"HTTP/1.1 408", b""}
