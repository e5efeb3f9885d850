"""A real pgbouncer before a PostgreSQL, on the loopback address."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from sqlalchemy import URL, make_url

from support.free_port import free_port
from support.service import wait_until

POOL_SIZE = 4


@contextmanager
def running_pooler(url: str, mode: str, **settings: str) -> Iterator[str]:
    """Run a pgbouncer with a small pool before a database; yield the URL through it.

    It accepts every user name, and connects as the database's own user. `settings` are pgbouncer
    settings.
    """
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(
            "pgbouncer is not installed"
        )
    address, port = make_url(url), free_port()
    user = _user(address)
    folder = Path(tempfile.mkdtemp(prefix="pgbouncer", dir="/tmp"))
    folder.chmod(0o755)
    _configure(folder / "pgbouncer.ini", address, port, {"pool_mode": mode, **settings})
    command = [program, str(folder / "pgbouncer.ini")]
    with subprocess.Popen(command, user=user, stderr=subprocess.DEVNULL) as process:  # noqa: S603
        try:
            wait_until(lambda: _listens(port), 20)
            pooled_url = address.set(host="127.0.0.1", port=port, username="anybody", query={})
            yield pooled_url.render_as_string(hide_password=False)
        finally:
            process.terminate()
            process.wait(20)
            shutil.rmtree(folder, ignore_errors=True)


def _configure(file: Path, address: URL, port: int, settings: dict[str, str]) -> None:
    upstream = {
        "host": address.query.get("host") or address.host,
        "port": address.port or 5432,
        "user": address.username,
        "password": address.password,
    }
    line = " ".join(f"{name}={value}" for name, value in upstream.items() if value)
    defaults = {
        "listen_addr": "127.0.0.1",
        "listen_port": str(port),
        "unix_socket_dir": "",
        "auth_type": "any",
        "default_pool_size": str(POOL_SIZE),
        "max_client_conn": "200",
    }
    rows = "\n".join(f"{name} = {value}" for name, value in (defaults | settings).items())
    file.write_text(f"[databases]\n* = {line}\n\n[pgbouncer]\n{rows}\n")


def _user(address: URL) -> str | None:
    """Return the user who may access the server's socket; pgbouncer does not run as root."""
    if os.geteuid() != 0:
        return None
    folder = address.query.get("host")
    return Path(str(folder)).owner() if folder else "nobody"


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False
