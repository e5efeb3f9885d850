"""A real server on a port of its own, and raw sockets to talk to it."""

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from support.free_port import free_port

HERE = Path(__file__).parents[1]
PASSWORD = "plain horse battery staple"
CLOSE_HEADERS = b"Host: wire\r\nConnection: close\r\n"
JSON_HEADER = b"Content-Type: application/json\r\n"
TIMEOUT_SECONDS = 60.0  # to wait for a response, or for the end of the connection
START_TIMEOUT_SECONDS = 60.0  # on a busy machine
NO_RESPONSE = 0  # the connection ended without a response


@dataclass
class RunningServer:
    """A running service, reached through raw sockets."""

    port: int
    token: bytes = b""
    source: str = "127.0.0.1"
    process: int = 0

    def connect(self, sent: bytes = b"") -> socket.socket:
        """Open a connection and send bytes."""
        server, client = ("127.0.0.1", self.port), (self.source, 0)
        connection = socket.create_connection(
            server, timeout=TIMEOUT_SECONDS, source_address=client
        )
        connection.sendall(sent)
        return connection

    def statuses(self, *parts: bytes) -> list[int]:
        """Send bytes; return the statuses of all responses until the connection is closed."""
        return [
            int(found) for found in re.findall(rb"HTTP/1\.[01] (\d{3}) ", self.exchange(*parts))
        ]

    def exchange(self, *parts: bytes) -> bytes:
        """Send bytes; return all bytes received.

        Raise `TimeoutError` if the connection stays open.
        """
        received = b""
        with self.connect() as line:
            with suppress(ConnectionError):
                line.sendall(b"".join(parts))
            with suppress(ConnectionError):
                while block := line.recv(65536):
                    received += block
        return received

    def get(self, *headers: bytes, path: bytes = b"/auth/sessions") -> int:
        """Request a protected path; return the status."""
        return (
            self.statuses(b"GET ", path, b" HTTP/1.1\r\n", CLOSE_HEADERS, *headers, b"\r\n")
            or [NO_RESPONSE]
        )[0]

    def login(self, **fields: str) -> bytes:
        """Sign the admin in; return the access token."""
        body = json.dumps({"username": "wire", "password": PASSWORD, **fields}).encode()
        response = self.exchange(build_post(b"/auth/login", JSON_HEADER, body=body))
        return str(json.loads(response.partition(b"\r\n\r\n")[2])["access_token"]).encode()

    @property
    def bearer(self) -> bytes:
        """The Authorization header with the access token."""
        return b"Authorization: Bearer %s\r\n" % self.token


@contextmanager
def running_server(folder: Path, *, threads: int = 4, **variables: str) -> Iterator[RunningServer]:
    """Run the service with one worker on an empty folder; the admin `wire` is signed in.

    `variables` are environment variables.
    """
    program, port, log = [sys.executable, "-m", "itemsapi"], free_port(), folder / "log"
    environment = {**os.environ, "ITEMSAPI_DATA_DIR": str(folder), "ITEMSAPI_RATE_LIMIT": "off"}
    environment |= {"PYTHONPATH": os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])}
    environment |= {"ITEMSAPI_PUBLIC_URL": f"http://127.0.0.1:{port}"} | variables
    add = [*program, "users", "add", "wire", "--role=admin", "--password-stdin"]
    serve = [*program, "serve", f"--port={port}", f"--threads={threads}"]
    subprocess.run([*program, "db", "upgrade"], env=environment, check=True, capture_output=True)  # noqa: S603 - our own program
    subprocess.run(add, env=environment, check=True, capture_output=True, input=PASSWORD.encode())  # noqa: S603 - as above
    with log.open("wb") as log_file:
        process = subprocess.Popen(serve, env=environment, stdout=log_file, stderr=log_file)  # noqa: S603 - as above
    try:
        wait_until_ready(port, log)
        wire = RunningServer(port, process=process.pid)
        wire.token = wire.login()
        yield wire
    finally:
        process.terminate()
        process.wait(30)


def wait_until_ready(port: int, log: Path) -> None:
    """Wait for the first worker: the port is open before it, and queues early connections."""
    until = time.monotonic() + START_TIMEOUT_SECONDS
    while True:
        with (
            suppress(OSError),
            socket.create_connection(("127.0.0.1", port), START_TIMEOUT_SECONDS) as line,
        ):
            line.sendall(b"GET /health/live HTTP/1.1\r\n%s\r\n" % CLOSE_HEADERS)
            if line.recv(1):
                return
        assert time.monotonic() < until, log.read_text()
        time.sleep(0.1)


def build_post(path: bytes, *headers: bytes, body: bytes = b"", length: bytes = b"") -> bytes:
    """Return a POST request; `length` overrides its Content-Length."""
    claimed = b"Content-Length: %s\r\n" % (length or str(len(body)).encode())
    return b"".join(
        (b"POST ", path, b" HTTP/1.1\r\n", CLOSE_HEADERS, claimed, *headers, b"\r\n", body)
    )
