"""A TCP proxy that misbehaves on request, placed before a database or before the service.

 with FaultProxy(lambda: socket.create_connection(("127.0.0.1", 5432))) as proxy:
        proxy.fault = Fault("blackhole")   # connections open, bytes vanish
        proxy.fault = Fault("refuse")      # the port is closed
        proxy.fault = PASS                 # normal operation

Delayed bytes are forwarded when a blackhole or a delay ends.
"""

import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal, Self

Kind = Literal["pass", "refuse", "reset", "delay", "blackhole", "cut"]
CHUNK = 65536
ABORT = struct.pack("ii", 1, 0)  # SO_LINGER: close with RST


@dataclass(frozen=True)
class Fault:
    """How the proxy misbehaves.

    `delay`: each piece of a response waits for `seconds`. `cut`: the connection is reset after
    `after` bytes of responses, or before the piece that contains `before`; then the proxy works
    normally again.
    """

    kind: Kind
    seconds: float = 0.0
    after: int = 0
    before: bytes = b""


PASS = Fault("pass")


class FaultProxy:
    """Listens on a port of its own and forwards bytes, unless a fault is set."""

    def __init__(self, upstream: Callable[[], socket.socket]) -> None:
        """Take a function that connects to the upstream."""
        self._upstream = upstream
        self._fault = PASS
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._lock = threading.Lock()
        self._listener = self._listen(0)
        self.port = int(self._listener.getsockname()[1])
        self._passed = 0
        self.cuts = 0
        self._open = True

    @property
    def fault(self) -> Fault:
        """The current fault."""
        return self._fault

    @fault.setter
    def fault(self, fault: Fault) -> None:
        before, self._fault, self._passed = self._fault, fault, 0
        if fault.kind == "refuse":
            self._listener.close()
        if fault.kind in {"refuse", "reset"}:
            self._abort_all()
        if before.kind == "refuse" and fault.kind != "refuse":
            self._listener = self._listen(self.port)
            self._serve()

    def __enter__(self) -> Self:
        """Start listening."""
        self._serve()
        return self

    def __exit__(self, *_: object) -> None:
        """Close all connections."""
        self._open, self._fault = False, PASS
        self._listener.close()
        self._abort_all()

    @staticmethod
    def _listen(port: int) -> socket.socket:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(128)
        listener.settimeout(0.1)  # otherwise closing it would not wake `accept`
        return listener

    def _serve(self) -> None:
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        while self._open and listener.fileno() >= 0:
            try:
                client, _ = listener.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            threading.Thread(target=self._join, args=(client,), daemon=True).start()

    def _join(self, client: socket.socket) -> None:
        client.settimeout(None)
        self._wait_while_blackholed()
        if self._fault.kind == "reset":
            _abort(client)
            return
        try:
            server = self._upstream()
        except OSError:
            _abort(client)
            return
        with self._lock:
            self._pairs.append((client, server))
        threading.Thread(target=self._pump, args=(client, server, False), daemon=True).start()
        self._pump(server, client, True)

    def _pump(self, source: socket.socket, sink: socket.socket, answers: bool) -> None:
        with suppress(OSError):
            while piece := source.recv(CHUNK):
                self._wait_while_blackholed()
                if answers and self._misbehaves(piece, sink):
                    break
                sink.sendall(piece)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _wait_while_blackholed(self) -> None:
        while self._fault.kind == "blackhole":
            time.sleep(0.01)

    def _misbehaves(self, piece: bytes, sink: socket.socket) -> bool:
        fault = self._fault
        if fault.kind == "delay":
            time.sleep(fault.seconds)
        if fault.kind != "cut":
            return False
        self._passed += len(piece)
        hit = fault.before in piece if fault.before else self._passed > fault.after
        if hit:
            self._fault, self.cuts = PASS, self.cuts + 1
            if not fault.before:
                sink.sendall(piece[: max(0, len(piece) - (self._passed - fault.after))])
            _abort(sink)
        return hit

    def _abort_all(self) -> None:
        with self._lock:
            pairs, self._pairs = self._pairs, []
        for pair in pairs:
            for end in pair:
                _abort(end)


def _abort(end: socket.socket) -> None:
    """Close with a reset, as after a power failure."""
    with suppress(OSError):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)
        end.shutdown(socket.SHUT_RD)
    with suppress(OSError):
        end.close()
