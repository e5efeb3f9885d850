"""A proxy between browsers and the service that records requests and fails on demand.

A real network also fails after the server has done its work; here the test decides when.
"""

# ruff: noqa: N815 - http.server chooses these names

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from typing import Final, Literal

HOP_BY_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "date", "server"})

# Where a request breaks: before the server receives it, before the first byte of the response, in
# its headers, or after them (the browser then keeps the cookie, and the page sees an error).
CutPoint = Literal["request", "answer", "headers", "body"]
LOST: Final[tuple[CutPoint, ...]] = (
    "answer",
    "headers",
    "body",
)  # after the server has done its work


IDLE_CHECKS = 10  # consecutive checks, 20 ms apart


@dataclass(frozen=True)
class SeenRequest:
    """One request that passed the proxy."""

    method: str
    path: str
    status: int
    host: str
    origin: str | None
    cookie: str
    attempt: str


@dataclass
class NetworkConditions:
    """The network conditions for `path`: its delay, and the share of responses that is lost."""

    path: str
    seconds: float
    loss_rate: float
    random: Random

    def fault(self) -> "Fault | None":
        """Return a fault that loses the response, or None."""
        if self.random.random() >= self.loss_rate:
            return None
        return Fault(self.path, 1, self.random.choice(LOST))


@dataclass
class Fault:
    """What happens to the next requests for `path`."""

    path: str
    times: int
    where: CutPoint | None = None
    release: threading.Event | None = None
    reached: threading.Event = field(default_factory=threading.Event)


class NetworkProxy:
    """An HTTP proxy on a port of its own."""

    def __init__(self) -> None:
        """Bind a port; the caller sets `upstream` when the service has a port.

        `stripped_prefix` is removed from the paths that the service sees.
        """
        self.upstream = 0
        self.stripped_prefix = ""
        self.weaken_etags = False  # as a compressing proxy does
        self.seen: list[SeenRequest] = []
        self._faults: list[Fault] = []
        self._weather: NetworkConditions | None = None
        self._lock = threading.Lock()
        self.in_flight = 0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _ProxyHandler)
        self._server.daemon_threads = True
        self._server.wire = self  # type: ignore[attr-defined]  # the handler reads it
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stop the proxy."""
        self._server.shutdown()
        self._server.server_close()

    def cut(self, path: str, where: CutPoint, *, times: int = 1) -> threading.Event:
        """Break the next `times` requests for `path`; return an event set at the first of them."""
        self._faults.append(Fault(path, times, where))
        return self._faults[-1].reached

    @contextmanager
    def delaying_responses(self, path: str, *, times: int = 1) -> Iterator[threading.Event]:
        """Delay the next responses for `path` until the block ends.

        Yields an event that is set when the first response has arrived.
        """
        fault = Fault(path, times, release=threading.Event())
        self._faults.append(fault)
        yield fault.reached
        assert fault.release is not None
        fault.release.set()

    @contextmanager
    def unreliable(self, path: str, *, seconds: float, lost: float) -> Iterator[None]:
        """Delay requests for `path` by `seconds` on average, and lose this share of the responses.

        The delay is split at random between request and response, so that some overtake others.
        """
        self._weather = NetworkConditions(path, seconds, lost, Random(1))  # noqa: S311 - reproducible
        yield
        self._weather = None

    def repair(self) -> None:
        """Remove all faults."""
        self._faults.clear()
        self.weaken_etags = False

    def fault(self, path: str) -> Fault | None:
        """Return the fault for the current request, if any, and use it up."""
        with self._lock:
            for fault in self._faults:
                if fault.path == path and fault.times > 0:
                    fault.times -= 1
                    return fault
            return self._weather.fault() if self._weather and self._weather.path == path else None

    def delay(self, path: str) -> None:
        """Wait as long as the network conditions for `path` demand."""
        weather = self._weather
        if weather and weather.path == path:
            threading.Event().wait(weather.random.uniform(0, weather.seconds))

    def clear(self) -> None:
        """Forget the recorded requests."""
        self.seen.clear()

    @contextmanager
    def counting_in_flight(self) -> Iterator[None]:
        """Count a request as in flight during the block."""
        with self._lock:
            self.in_flight += 1
        try:
            yield
        finally:
            with self._lock:
                self.in_flight -= 1

    def wait_until_idle(self) -> None:
        """Wait until no request has been in flight for a moment."""
        quiet, pause = 0, threading.Event()
        while quiet < IDLE_CHECKS:
            pause.wait(0.02)
            quiet = 0 if self.in_flight else quiet + 1

    def statuses(self, path: str, method: str = "") -> list[int]:
        """Return the response statuses of the requests for `path`, in order."""
        asked = [one for one in self.seen if one.path == path]
        return [one.status for one in asked if method in {"", one.method}]


class _ProxyHandler(BaseHTTPRequestHandler):
    """Forwards the requests of one connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def handle_one_request(self) -> None:
        """Handle one request of any method; a client that disconnects is no error."""
        try:
            super().handle_one_request()
        except (OSError, HTTPException):
            self.close_connection = True

    def _forward(self) -> None:
        wire: NetworkProxy = self.server.wire  # type: ignore[attr-defined]
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fault = wire.fault(self.path.partition("?")[0])
        if fault and fault.where == "request":
            self._cut(fault)
            return
        with wire.counting_in_flight():
            self._exchange(wire, body, fault)

    def _exchange(self, wire: "NetworkProxy", body: bytes, fault: Fault | None) -> None:
        path = self.path.partition("?")[0]
        wire.delay(path)
        response, data = self._request_upstream(
            wire.upstream, self.path.removeprefix(wire.stripped_prefix), body
        )
        wire.seen.append(self._record(response.status))
        wire.delay(path)
        if fault and fault.release:
            fault.reached.set()
            fault.release.wait(30)
        self._send_response(response, data, fault)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_HEAD = _forward

    def _request_upstream(self, port: int, path: str, body: bytes) -> tuple[HTTPResponse, bytes]:
        with closing(HTTPConnection("127.0.0.1", port, timeout=30)) as upstream:
            upstream.putrequest(self.command, path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in HOP_BY_HOP:
                    upstream.putheader(name, value)
            upstream.endheaders(body or None)
            response = upstream.getresponse()
            return response, response.read()

    def _send_response(self, response: HTTPResponse, data: bytes, fault: Fault | None) -> None:
        where = fault.where if fault else None
        if fault and where == "answer":
            self._cut(fault)
            return
        self.send_response_only(response.status, response.reason)
        for name, value in response.getheaders():
            if name.lower() not in HOP_BY_HOP:
                weak = name.lower() == "etag" and self.server.wire.weaken_etags  # type: ignore[attr-defined]
                self.send_header(name, f"W/{value}" if weak else value)
        if fault and where == "headers":
            self.wfile.write(b"".join(self._headers_buffer)[:40])  # type: ignore[attr-defined]
            self._cut(fault)
            return
        self.end_headers()
        self.wfile.write(data[: len(data) // 2] if where == "body" else data)
        if fault and where == "body":
            self._cut(fault)

    def _record(self, status: int) -> SeenRequest:
        path, get = self.path.partition("?")[0], self.headers.get
        cookie, attempt = get("Cookie") or "", get("Idempotency-Key") or ""
        return SeenRequest(
            self.command, path, status, get("Host", ""), get("Origin"), cookie, attempt
        )

    def _cut(self, fault: Fault) -> None:
        """Close the connection."""
        fault.reached.set()
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's word
        """Write nothing: `NetworkProxy.seen` is the log."""
