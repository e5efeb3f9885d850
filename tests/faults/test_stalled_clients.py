"""Clients that do not finish what they begin stop nobody (S-004, S-110, R-14).

The real server with one worker and two threads. `ITEMSAPI_TEST_FULL=1` opens as many connections
as S-110 names; how long others wait meanwhile is measured in benchmarks/server.py.
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

WITHIN = 30.0  # seconds until the last stalled client has its answer, on a busy machine
MANY = rounds(1500, 300)
CREDENTIALS = json.dumps({"username": "wire", "password": PASSWORD}).encode()
SIGN_IN = build_post(b"/auth/login", JSON_HEADER, body=CREDENTIALS)


@pytest.fixture(scope="module")
def wire(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A service with two threads, and a user who is signed in."""
    folder = tmp_path_factory.mktemp("stalled")
    more = {"ITEMSAPI_BLUEPRINTS": "support.large_views:heavy", "ITEMSAPI_SESSION_LIMIT": "100000"}
    with running_server(folder, threads=2, **more) as wire:
        yield wire


def address(at: int, among: int) -> str:
    """Return one of so many addresses of this host."""
    return f"127.0.2.{at % among + 1}"


def stall(wire: RunningServer, begun: bytes, count: int, addresses: int) -> list[socket.socket]:
    """Open connections that send the beginning of a request and no more."""
    return [replace(wire, source=address(at, addresses)).connect(begun) for at in range(count)]


def ends(line: socket.socket) -> bytes:
    """Wait until the other side answers and hangs up; return what it said."""
    heard = b""
    line.settimeout(WITHIN)
    with line, suppress(ConnectionError):
        try:
            while block := line.recv(4096):
                heard += block
        except TimeoutError:
            pytest.fail(f"still open after {WITHIN} s; it said {heard!r}")
    return heard


def first(line: socket.socket) -> bytes:
    """Wait for the beginning of an answer."""
    line.settimeout(WITHIN)
    return line.recv(12)


def begun(place: bytes, wire: RunningServer) -> bytes:
    """Return a request for a place whose body stalls after its first byte."""
    return build_post(place, JSON_HEADER, wire.bearer, body=b"{", length=b"60")


@pytest.mark.parametrize(("count", "addresses"), [(4, 2), (60, 1), (MANY, 100)])
def test_stalled_bodies_stop_no_sign_in_and_are_told_so(
    wire: RunningServer, count: int, addresses: int
) -> None:
    """S-110: 408 and the end of the connection for them, 200 for everybody else meanwhile."""
    places = [begun(place, wire) for place in (b"/auth/login", b"/auth/refresh", b"/items")]
    stalled = [line for place in places for line in stall(wire, place, count // 3 + 1, addresses)]
    assert [wire.statuses(SIGN_IN) for _ in range(5)] == [[200]] * 5
    assert {ends(line)[:12] for line in stalled} == {b"HTTP/1.1 408"}


def test_stalled_headers_stop_no_sign_in(wire: RunningServer) -> None:
    """S-110: as many as 1,500, and each of them is hung up on in the end."""
    count = rounds(1500, 1500)
    stalled = stall(wire, b"POST /auth/login HTTP/1.1\r\nHost: wire\r\nX-Slow: ", count, 100)
    assert [wire.statuses(SIGN_IN) for _ in range(5)] == [[200]] * 5
    assert len([ends(line) for line in stalled]) == count


def test_trickled_bodies_are_cut_off_as_well(wire: RunningServer) -> None:
    """S-110: the deadline is of the body as a whole, not of the wait for its next byte."""
    lines = stall(wire, build_post(b"/auth/login", JSON_HEADER, body=b"{", length=b"6000"), 8, 8)
    stop = threading.Event()

    def trickle() -> None:
        while not stop.wait(0.5):
            for line in lines:
                with suppress(OSError):
                    line.sendall(b" ")

    trickling = threading.Thread(target=trickle)
    trickling.start()
    try:
        assert wire.statuses(SIGN_IN) == [200]
        heard = [first(line) for line in lines]
    finally:
        stop.set()
        trickling.join()
    assert set(heard) == {b"HTTP/1.1 408"}
    for line in lines:
        line.close()


def test_long_bodies_that_stall_hold_no_thread(wire: RunningServer) -> None:
    """S-110: behind the gate, where they are read; more of them than there are threads."""
    started = build_post(b"/items", JSON_HEADER, wire.bearer, body=b"x" * 70_000, length=b"900000")
    stalled = stall(wire, started, 20, 2)
    assert [wire.statuses(SIGN_IN) for _ in range(5)] == [[200]] * 5
    assert {ends(line)[:12] for line in stalled} == {b"HTTP/1.1 408"}


def test_a_client_that_goes_in_the_middle_has_done_nothing(wire: RunningServer) -> None:
    """What was announced and did not come is no smaller request (R-15)."""
    body = json.dumps({"name": "Lamp", "price": "1.00", "currency": "EUR"}).encode()
    cut = build_post(b"/items", JSON_HEADER, wire.bearer, body=body, length=b"%d" % (len(body) + 1))
    for _ in range(20):
        wire.connect(cut).close()
    heard = wire.exchange(b"GET /items HTTP/1.1\r\n", CLOSE_HEADERS, wire.bearer, b"\r\n")
    assert json.loads(heard.partition(b"\r\n\r\n")[2])["items"] == []


def resident(wire: RunningServer) -> float:
    """Return how many MiB the worker holds."""
    children = Path(f"/proc/{wire.process}/task/{wire.process}/children").read_text().split()
    sizes = [int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in children]
    return max(sizes) * os.sysconf("SC_PAGE_SIZE") / MIB


def test_anonymous_bodies_are_not_taken_in(wire: RunningServer) -> None:
    """S-004: 100 times 5 MB without a token are 401 and leave no trace in memory."""
    upload = build_post(b"/uploads", JSON_HEADER, body=b"x" * 5_000_000)
    wire.statuses(upload)
    before = resident(wire)
    answers = [wire.statuses(upload) for _ in range(rounds(100, 100))]
    print_figures("anonymous bodies", before=before, after=resident(wire))
    assert [one for one in answers if one not in ([401], [])] == []
    assert resident(wire) < before + 20


def test_a_large_upload_works_where_its_view_allows_it(wire: RunningServer) -> None:
    """S-004, S-110: 50 MB stream into a guarded view with a limit of its own."""
    body = os.urandom(MIB) * 50
    heard = wire.exchange(build_post(b"/uploads", wire.bearer, body=body))
    said = json.loads(heard.partition(b"\r\n\r\n")[2])
    assert said == {"size": len(body), "sha256": hashlib.sha256(body).hexdigest()}


def test_an_end_waits_for_a_slow_answer_and_not_for_a_stalled_body(tmp_path: Path) -> None:
    """SIGTERM: what is under way is answered, what never comes is given up on (R-22)."""
    with running_server(
        tmp_path, threads=2, ITEMSAPI_BLUEPRINTS="support.large_views:heavy"
    ) as wire:
        slow = wire.connect(b"GET /held/slow HTTP/1.1\r\n%s\r\n" % CLOSE_HEADERS)
        stalled = wire.connect(begun(b"/auth/login", wire))
        wait_until((tmp_path / "slow.here").exists, WITHIN)
        os.kill(wire.process, signal.SIGTERM)
        time.sleep(0.2)  # the order is heard while the answer is not there yet
        (tmp_path / "slow.go").touch()
        assert ends(slow).startswith(b"HTTP/1.1 200")
        assert ends(stalled)[:12] in {b"HTTP/1.1 408", b""}
