"""The client of `itemsapi verify` trusts no response, and knows one host only."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from ipaddress import IPv4Address
from pathlib import Path
from threading import Thread

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from itemsapi.verify.failures import CannotVerify
from itemsapi.verify.wire import NoResponse, Request, Wire
from support.hostile_server import hostile_server, http_answer

GET = Request("GET", "/")
DAY = timedelta(days=1)


def test_redirect_is_not_followed_when_the_service_sends_one() -> None:
    """Only one request is sent: the other host would see what was meant for this one."""
    with hostile_server(http_answer(b"", "302 Found", "Location: http://192.0.2.1/")) as server:
        response = Wire(server.url).send(GET)
    assert response.status == 302
    assert len(server.received) == 1


def test_answer_is_cut_off_when_it_is_too_large() -> None:
    """A service cannot fill the memory."""
    with (
        hostile_server(http_answer(b"x" * 2000)) as server,
        pytest.raises(NoResponse, match="1000"),
    ):
        Wire(server.url).send(GET, limit=1000)


def test_answer_is_cut_off_when_its_bytes_come_too_slowly() -> None:
    """Each byte comes in time for the socket, but the whole response never ends."""
    slow = hostile_server(http_answer(b"x" * 10_000), pause_seconds=0.05)
    with slow as server, pytest.raises(NoResponse, match="too long"):
        Wire(server.url, timeout_seconds=0.3).send(GET)


def test_run_ends_when_the_service_is_silent_again_and_again() -> None:
    """Otherwise every operation would wait for every attack."""
    with hostile_server(b"") as server:
        wire = Wire(server.url)
        for _ in range(2):
            with pytest.raises(NoResponse):
                wire.send(GET)
        with pytest.raises(CannotVerify, match="does not respond"):
            wire.send(GET)


def test_path_is_sent_as_it_is_written() -> None:
    """A client that tidies paths up would not send the spellings that attack."""
    with hostile_server(http_answer(b"")) as server:
        Wire(server.url).send(Request("GET", "//a/../b/./%2e;c"))
    assert server.received[0].startswith(b"GET //a/../b/./%2e;c HTTP/1.1\r\n")


@pytest.mark.parametrize("url", ["items", "ftp://host/x", "http://", "http://host:99999/"])
def test_address_is_refused_when_it_is_no_http_address(url: str) -> None:
    """The message says how one looks, or what is wrong with it."""
    with pytest.raises(CannotVerify, match=r"address|port"):
        Wire(url)


def test_address_is_refused_when_it_contains_a_password() -> None:
    """It would stand in every report."""
    with pytest.raises(CannotVerify, match="--login"):
        Wire("http://ada:secret@host/openapi.json")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with a certificate that signs itself, and its key."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    address = x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + DAY)
    pem = builder.add_extension(address, critical=False).sign(key, hashes.SHA256())
    file = tmp_path_factory.mktemp("tls") / "both.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(pem.public_bytes(Encoding.PEM) + private)
    return file


@contextmanager
def tls_service(certificate: Path, *, asks: bool = False) -> Iterator[str]:
    """Run a service with TLS that may ask for a certificate of the client; yield its address."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    if asks:
        context.load_verify_locations(certificate)
        context.verify_mode = ssl.CERT_REQUIRED
    server = HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"https://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


def test_line_names_the_variable_when_a_certificate_is_not_trusted(certificate: Path) -> None:
    """A test system often has one that signs itself."""
    with (
        tls_service(certificate) as url,
        pytest.raises(NoResponse, match=r"self-signed.*SSL_CERT_FILE"),
    ):
        Wire(url).send(GET)


def test_service_is_reached_when_its_certificate_is_in_the_named_file(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the line says; this one answers 501 to GET."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with tls_service(certificate) as url:
        assert Wire(url).send(GET).status == 501


def test_line_says_so_when_the_service_demands_a_certificate_of_the_client(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With TLS 1.3 the server says it after the handshake, or only ends the connection."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with (
        tls_service(certificate, asks=True) as url,
        pytest.raises(NoResponse, match="certificate of the client"),
    ):
        Wire(url).send(GET)


def test_line_names_http_when_the_service_speaks_no_tls() -> None:
    """OpenSSL says "wrong version number"."""
    with (
        hostile_server(http_answer(b"")) as server,
        pytest.raises(NoResponse, match="try http://"),
    ):
        Wire(f"https://127.0.0.1:{server.port}/").send(GET)
