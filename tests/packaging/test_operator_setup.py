"""What an operator sets up around the service, as docs/operations.md shows it."""

import re
import ssl
import subprocess
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path

import pytest
from sqlalchemy import make_url

from itemsapi.clock import new_id
from support.command_line import shell_at
from support.free_port import free_port
from support.nginx import nginx_servers
from support.postgres_database import execute, url_of
from support.service import RunningService, running_service

GUIDE = Path(__file__).parents[2] / "docs" / "operations.md"
SELF_SIGNED = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -days 2"
NAMED = "-subj /CN=api.example -addext subjectAltName=DNS:api.example"


def block_with(language: str, words: str) -> str:
    """Return the block of the guide that has these words."""
    pattern = rf"```{language}\n(.*?)```"
    blocks = re.findall(pattern, GUIDE.read_text("utf-8"), re.DOTALL)
    (found,) = (block for block in blocks if words in block)
    return str(found)


@pytest.fixture
def role(postgres_server: str) -> Iterator[str]:
    """The name of a role and of its database, made by the statements of the guide."""
    name = f"guide_{new_id()[-12:]}"
    statements = block_with("sql", "TEMPLATE template0")
    try:
        for statement in filter(str.strip, re.sub(r"\bitemsapi\b", name, statements).split(";")):
            execute(postgres_server, statement)
        yield name
    finally:
        execute(postgres_server, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        execute(postgres_server, f"DROP ROLE IF EXISTS {name}")


@pytest.mark.postgres
def test_the_tables_are_made_when_the_guide_made_role_and_database(
    postgres_server: str, role: str, tmp_path: Path
) -> None:
    """Nothing else has to be granted, and the database is UTF-8 (R-24)."""
    url = make_url(url_of(postgres_server, role)).set(username=role, password="...")
    address = url.render_as_string(hide_password=False)
    done = shell_at(tmp_path / "data", database_url=address).run("db", "upgrade")
    assert (done.code, done.err) == (0, "")


@pytest.fixture
def service(tmp_path: Path) -> Iterator[RunningService]:
    """A service whose clients use https."""
    url, public = f"sqlite:///{tmp_path}/itemsapi.db", "https://api.example"
    with running_service(url, tmp_path, workers=1, public_url=public, trusted_proxies="1") as one:
        yield one


@pytest.fixture
def site(service: RunningService, tmp_path: Path) -> Iterator[tuple[int, int, ssl.SSLContext]]:
    """The complete site of the guide: its ports for TLS and without, and who trusts it."""
    folder, (tls, plain) = tmp_path / "nginx", (free_port(), free_port())
    folder.mkdir()
    files = f"-keyout {folder}/privkey.pem -out {folder}/fullchain.pem"
    command = f"{SELF_SIGNED} {NAMED} {files}".split()
    subprocess.run(command, check=True, capture_output=True)
    servers = block_with("nginx", "ssl_certificate")
    servers = re.sub(r"\n *listen \[::\].*", "", servers)  # this machine may have no IPv6
    servers = servers.replace("listen 443", f"listen 127.0.0.1:{tls}")
    servers = servers.replace("listen 80", f"listen 127.0.0.1:{plain}")
    servers = servers.replace("/etc/letsencrypt/live/api.example", str(folder))
    servers = servers.replace("127.0.0.1:8000", f"127.0.0.1:{service.port}")
    trust = ssl.create_default_context(cafile=folder / "fullchain.pem")
    with nginx_servers(folder, servers, tls, plain):
        yield tls, plain, trust


@pytest.mark.slow
def test_the_service_is_reached_by_tls_only_behind_the_nginx_of_the_guide(
    site: tuple[int, int, ssl.SSLContext],
) -> None:
    """Plain HTTP is refused, and not redirected: a token would be sent in clear text first."""
    tls, plain, trust = site
    trust.check_hostname = False  # the connection names the address
    secure, insecure = (
        HTTPSConnection("127.0.0.1", tls, context=trust),
        HTTPConnection("127.0.0.1", plain),
    )
    statuses = []
    for connection in (secure, insecure):
        connection.request("GET", "/health/live", headers={"Host": "api.example"})
        statuses.append(connection.getresponse().status)
        connection.close()
    assert statuses == [200, 403]
