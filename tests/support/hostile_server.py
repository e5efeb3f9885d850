"""A server on loopback that answers every request with the same bytes, however wrong they are."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

MAX_REQUEST_BYTES = 65536


class HostileServer:
    """Send prepared bytes; `received` has the requests, `pause_seconds` lies between the bytes."""

    def __init__(self, answer: bytes, pause_seconds: float = 0.0) -> None:
        self._answer, self._pause = answer, pause_seconds
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._ended = threading.Event()
        self._threads: list[threading.Thread] = []
        self.received: list[bytes] = []
        self.port = int(self._listening.getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}/openapi.json"

    def serve(self) -> None:
        """Answer until `close`."""
        with suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                thread = threading.Thread(target=self._serve_one, args=(connection,))
                self._threads.append(thread)
                thread.start()

    def _serve_one(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            self.received.append(connection.recv(MAX_REQUEST_BYTES))
            step = 1 if self._pause else max(len(self._answer), 1)
            for start in range(0, len(self._answer), step):
                connection.sendall(self._answer[start : start + step])
                if self._pause and self._ended.wait(self._pause):
                    return

    def close(self) -> None:
        """Stop answering, and wait for the threads."""
        self._ended.set()
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for thread in self._threads:
            thread.join()


@contextmanager
def hostile_server(answer: bytes, *, pause_seconds: float = 0.0) -> Iterator[HostileServer]:
    """Run a server that gives one answer to every request."""
    server = HostileServer(answer, pause_seconds)
    thread = threading.Thread(target=server.serve)
    thread.start()
    try:
        yield server
    finally:
        server.close()
        thread.join()


def http_answer(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    """Return a complete answer."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body
