"""What stands around a service in production: a PostgreSQL and a proxy with TLS, on their hosts.

For the sandbox of a document, which has no other network: `db.example` leads to the server of the
test run, and `api.example` to an nginx with the configuration of docs/operations.md.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import make_url

from support.document_blocks import read_blocks
from support.nginx import find_nginx
from support.postgres_database import execute
from support.terminals import Machine, give_away, open_machine

ROOT = Path(__file__).parents[2]
CERTIFICATE = "/etc/itemsapi/api.crt"  # it signs itself; curl is told to trust it
HOSTS = ("db.example", "api.example", "app.example")
FORWARD = """\
import asyncio, sys

async def copy(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()

async def connect(reader, writer):
    there = await asyncio.open_unix_connection(sys.argv[1])
    await asyncio.gather(copy(reader, there[1]), copy(there[0], writer))

async def main():
    await (await asyncio.start_server(connect, "127.0.0.1", 5432)).serve_forever()

asyncio.run(main())
"""
NGINX = """\
daemon off;
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
    server {{
        listen 443 ssl;
        ssl_certificate {certificate};
        ssl_certificate_key {folder}/api.key;
        {locations}
    }}
    server {{
        listen 81;
        return 204;
    }}
}}
"""
START = """\
mkdir -p /etc/itemsapi
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -days 2 \\
    -subj /CN=api.example -addext subjectAltName=DNS:api.example \\
    -keyout api.key -out {certificate} 2>/dev/null
itemsapi secret new /etc/itemsapi/secret.key
python forward.py '{socket}' &
{nginx} -e stderr -c "$PWD/nginx.conf" -p "$PWD"
"""


@contextmanager
def production_database(server: str) -> Iterator[None]:
    """Have the role and the database that docs/operations.md names, until the end of the block."""
    execute(server, "CREATE ROLE itemsapi LOGIN")
    try:
        execute(server, "CREATE DATABASE itemsapi OWNER itemsapi")
        yield
    finally:
        execute(server, "DROP DATABASE IF EXISTS itemsapi WITH (FORCE)")
        execute(server, "DROP ROLE itemsapi")


def socket_of(server: str) -> Path:
    """Return the socket of a server that runs on this machine."""
    host = make_url(server).query.get("host", "")
    if not isinstance(host, str) or not host.startswith("/"):
        pytest.skip("the server is on another machine")
    return Path(host, ".s.PGSQL.5432")


@contextmanager
def open_production(installed: Path, server: str) -> Iterator[Machine]:
    """Yield a machine with the proxy, what leads to the database, and the secret of step 2."""
    with open_machine(
        installed,
        {"CURL_CA_BUNDLE": CERTIFICATE},
        readable=(socket_of(server),),
        writable=(Path("/etc"),),
        hosts=HOSTS,
    ) as machine:
        start(machine, server)
        yield machine


def start(machine: Machine, server: str) -> None:
    """Start the proxy, and what leads to the database; make the secret."""
    terminal = machine.terminal("around", 1)
    terminal.run("true")
    blocks = read_blocks(ROOT, "docs/operations.md")
    location = next(block.text for block in blocks if block.language == "nginx")
    files = {
        "forward.py": FORWARD,
        "nginx.conf": NGINX.format(
            folder=terminal.folder, certificate=CERTIFICATE, locations=location
        ),
    }
    for name, text in files.items():
        (terminal.folder / name).write_text(text, "utf-8")
        give_away(terminal.folder / name)
    script = START.format(certificate=CERTIFICATE, socket=socket_of(server), nginx=find_nginx())
    terminal.serve(script, "localhost:81")
