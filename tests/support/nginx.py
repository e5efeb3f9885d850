"""A real nginx between clients and the service, with the very lines that the guide shows."""

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

from support.command_line import free_port
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
    server {{
        listen 127.0.0.1:{port};
        {locations}
    }}
}}
"""


@dataclass(frozen=True)
class Reply:
    """What came back through the proxy."""

    status: int
    headers: http.client.HTTPMessage
    content: bytes

    @property
    def body(self) -> dict[str, Any]:
        """The JSON in it."""
        found: dict[str, Any] = json.loads(self.content)
        return found


@dataclass(frozen=True)
class Proxy:
    """A running nginx, and from which address of this machine it is asked."""

    port: int
    source: str = "127.0.0.1"

    def from_address(self, source: str) -> "Proxy":
        """Return it as another client sees it."""
        return replace(self, source=source)

    def send(
        self, method: str, path: str, body: object = None, *, token: str = "", **headers: str
    ) -> Reply:
        """Send a request with the path as it is; names of headers have `_` for `-`."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        sent["Content-Type"] = "application/json"
        if token:
            sent["Authorization"] = f"Bearer {token}"
        content = None if body is None else json.dumps(body)
        source = (self.source, 0)
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60, source_address=source)
        with closing(line):
            line.request(method, path, content, sent)
            answer = line.getresponse()
            return Reply(answer.status, answer.headers, answer.read())


def guide_snippet(number: int) -> str:
    """Return one of the pieces of configuration in the guide, counted from 0."""
    pieces: list[str] = re.findall(r"```nginx\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL)
    return pieces[number]


@contextmanager
def nginx(folder: Path, locations: str, *, upstream: int) -> Iterator[Proxy]:
    """Run nginx before a port; what the guide calls port 8000 is that one."""
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("no nginx here")
    port = free_port()
    folder.mkdir()
    here = locations.replace("127.0.0.1:8000", f"127.0.0.1:{upstream}")
    configuration = folder / "nginx.conf"
    configuration.write_text(FRAME.format(folder=folder, port=port, locations=here), "utf-8")
    command = [program, "-e", str(folder / "error.log"), "-c", str(configuration)]
    with subprocess.Popen(command) as process:  # noqa: S603 - our own
        try:
            wait_until(lambda: _listens(process, port), 20)
            yield Proxy(port)
        finally:
            process.kill()


def _listens(process: "subprocess.Popen[bytes]", port: int) -> bool:
    assert process.poll() is None, "nginx gave up"
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
