"""The request line and headers as WSGI sees them (S-114, S-116)."""

import io
from typing import TYPE_CHECKING, Any

import pytest

from itemsapi.server.environ import build_environ, client_of_request, require_host
from support.asgi import body_parts, build_scope, send_request
from support.bridge import bridge, echo, status_and_code

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


HOSTS = [[], [(b"host", b"")], [(b"host", b"a"), (b"host", b"b")]]


@pytest.mark.parametrize("hosts", HOSTS)
def test_a_request_is_rejected_without_exactly_one_host(hosts: list[tuple[bytes, bytes]]) -> None:
    """RFC 9112 section 3.2."""
    assert status_and_code(send_request(bridge(echo), body_parts(), headers=hosts)) == (
        400,
        "bad_request",
    )


def test_http_1_0_needs_no_host() -> None:
    """HTTP/1.0 had no such header; granian inserts an empty one."""
    require_host(build_scope(http_version="1", headers=[(b"host", b"")]))


def environ(*headers: tuple[bytes, bytes], **fields: Any) -> "WSGIEnvironment":
    """Return the WSGI environment of a request."""
    return build_environ(build_scope(headers=headers, **fields), io.BytesIO(), multiprocess=False)


def test_no_byte_of_a_cookie_is_lost() -> None:
    """S-116: latin-1, as PEP 3333 requires; several headers are joined like cookies."""
    raw = "a=é; b=1".encode()
    cookie = environ((b"cookie", raw), (b"cookie", b"c=2"))["HTTP_COOKIE"]
    assert cookie.encode("latin-1") == raw + b"; c=2"


def test_a_header_with_an_underscore_is_dropped() -> None:
    """WSGI could not distinguish it from the one with a hyphen (S-114)."""
    found = environ((b"x-forwarded-for", b"1.1.1.1"), (b"x_forwarded_for", b"2.2.2.2"))
    assert found["HTTP_X_FORWARDED_FOR"] == "1.1.1.1"


def test_headers_of_one_name_are_joined() -> None:
    """RFC 9110 section 5.3."""
    assert environ((b"accept", b"a"), (b"accept", b"b"))["HTTP_ACCEPT"] == "a,b"


def test_a_path_keeps_its_bytes() -> None:
    """PEP 3333: percent-decoded, and latin-1."""
    assert environ(path=b"/caf%C3%A9%2F%FF")["PATH_INFO"] == "/cafÃ©/ÿ"


FORWARDED = [
    (0, b"198.51.100.1", "203.0.113.9"),
    (1, b"198.51.100.1", "198.51.100.1"),
    (1, b"6.6.6.6, 198.51.100.1", "198.51.100.1"),
    (2, b"6.6.6.6, 198.51.100.1, 10.0.0.1", "198.51.100.1"),
    (2, b"198.51.100.1", "unknown"),
]


@pytest.mark.parametrize(("hops", "forwarded", "client"), FORWARDED)
def test_the_client_is_the_address_that_a_trusted_proxy_saw(
    hops: int, forwarded: bytes, client: str
) -> None:
    """The application counts clients in the same way; entries of the client itself are ignored."""
    assert client_of_request(build_scope(headers=[(b"x-forwarded-for", forwarded)]), hops) == client
