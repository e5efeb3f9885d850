"""A real nginx between clients and the service, configured as the guide shows."""

import http.client
import json
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from support.free_port import free_port
from support.service import wait_until

GUIDE = Path(__file__).parents[2] / "docs" / "operations.md"
FRAME = """\
daemon off;
master_process off;
pid {folder}/pid;
error_log {folder}/error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    gzip on;
    gzip_types application/json;
    gzip_min_length 1;
    {servers}
}}
"""
SERVER = """\
server {{
    listen 127.0.0.1:{port};
    {locations}
}}
"""


@dataclass(frozen=True)
class Reply:
    """A response received through the proxy."""

    status: int
    headers: http.client.HTTPMessage
    content: bytes

    @property
    def body(self) -> dict[str, Any]:
        """The body, parsed as JSON."""
        found: dict[str, Any] = json.loads(self.content)
        return found


@dataclass(frozen=True)
class Proxy:
    """A running nginx, and the client address to connect from."""

    port: int
    source: str = "127.0.0.1"

    def from_address(self, source: str) -> "Proxy":
        """Return the same proxy for a client with another address."""
        return replace(self, source=source)

    def send(
        self, method: str, path: str, body: object = None, *, token: str = "", **headers: str
    ) -> Reply:
        """Send a request without normalizing its path; header names have `_` for `-`."""
        sent_headers = {name.replace("_", "-"): value for name, value in headers.items()}
        sent_headers["Content-Type"] = "application/json"
        if token:
            sent_headers["Authorization"] = f"Bearer {token}"
        content = None if body is None else json.dumps(body)
        source = (self.source, 0)
        connection = http.client.HTTPConnection(
            "127.0.0.1", self.port, timeout=60, source_address=source
        )
        with closing(connection):
            connection.request(method, path, content, sent_headers)
            response = connection.getresponse()
            return Reply(response.status, response.headers, response.read())


def guide_snippet(number: int) -> str:
    """Return one of the guide's nginx snippets, counted from 0."""
    pieces: list[str] = re.findall(r"```nginx\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL)
    return pieces[number]


def find_nginx() -> str:
    """Return the path of the program; without it a test is skipped, except in CI."""
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("nginx is not installed")
    return program


@contextmanager
def nginx(folder: Path, locations: str, *, upstream: int) -> Iterator[Proxy]:
    """Run nginx before the port `upstream`, which replaces port 8000 of the guide."""
    port = free_port()
    folder.mkdir()
    server_locations = locations.replace("127.0.0.1:8000", f"127.0.0.1:{upstream}")
    with nginx_servers(folder, SERVER.format(port=port, locations=server_locations), port):
        yield Proxy(port)


@contextmanager
def nginx_servers(folder: Path, servers: str, *ports: int) -> Iterator[None]:
    """Run nginx with these `server` blocks, which listen on these ports, until the block ends."""
    configuration = folder / "nginx.conf"
    configuration.write_text(FRAME.format(folder=folder, servers=servers), "utf-8")
    command = [find_nginx(), "-e", str(folder / "error.log"), "-c", str(configuration)]
    with subprocess.Popen(command) as process:  # noqa: S603 - our own
        try:
            for port in ports:
                wait_until(lambda port=port: _listens(process, port), 20)  # type: ignore[misc]  # a default binds it
            yield
        finally:
            process.kill()


def _listens(process: "subprocess.Popen[bytes]", port: int) -> bool:
    assert process.poll() is None, "nginx has exited"
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
