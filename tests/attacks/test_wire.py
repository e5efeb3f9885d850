"""Raw requests to the real server: no 5xx, no hang, no dead worker (R-14, R-15)."""

import json
import re
import select
from collections.abc import Iterator

import pytest

from support.real_server import (
    CLOSE_HEADERS,
    JSON_HEADER,
    PASSWORD,
    RunningServer,
    build_post,
    running_server,
)


@pytest.fixture(scope="module")
def wire(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A service with one worker and four threads, and a signed-in user."""
    with running_server(tmp_path_factory.mktemp("wire")) as wire:
        yield wire


@pytest.fixture(autouse=True)
def _alive(wire: RunningServer) -> Iterator[None]:
    """After each test the service responds at once, with and without a valid token."""
    yield
    assert [wire.get(wire.bearer), wire.get()] == [200, 401]


OTHERS = [b"Authorization: Bearer x\r\n", b"Authorization: Basic eDp5\r\n", b"Authorization:\r\n"]


def test_a_duplicate_credential_is_rejected(wire: RunningServer) -> None:
    """Granian joins the two with a comma, which no token contains (S-011)."""
    assert wire.get(wire.bearer, wire.bearer) == 401


@pytest.mark.parametrize("other", OTHERS)
def test_a_second_credential_is_rejected_in_any_order(wire: RunningServer, other: bytes) -> None:
    """Neither the first nor the last one counts (S-011)."""
    assert [wire.get(wire.bearer, other), wire.get(other, wire.bearer)] == [401, 401]


def test_a_scheme_in_lower_case_with_spaces_around_is_accepted(wire: RunningServer) -> None:
    """Header names are case-insensitive, values may have spaces around (RFC 9110 5.5, S-013)."""
    assert wire.get(b"aUTHORIZATION:   bearer  %s \t \r\n" % wire.token) == 200


BROKEN = {
    "a folded header": b"X-Fold: a\r\n b\r\n",
    "a folded credential": b"Authorization: Bearer\r\n x\r\n",
    "a blank before the colon": b"X-Blank : a\r\n",
    "a NUL": b"X-Nul: a\x00b\r\n",
    "a bare CR": b"X-Cr: a\rb\r\n",
    "no colon": b"nothing\r\n",
    "no name": b": a\r\n",
    "a megabyte": b"X-Big: %s\r\n" % (b"a" * 1_000_000),
    "9 KB": b"X-Big: %s\r\n" % (b"a" * 9000),
    "5,000 fields": b"".join(b"X-%d: a\r\n" % at for at in range(5000)),
}


@pytest.mark.parametrize("name", BROKEN)
def test_malformed_and_oversized_headers_are_rejected(wire: RunningServer, name: str) -> None:
    """400 or 431, even beside a valid token (R-15, RFC 9112 section 5)."""
    assert wire.get(wire.bearer, BROKEN[name]) in {400, 431}


@pytest.mark.parametrize(
    "value", [b"Bearer \xe9\xff", b"\xff\xfe", b"Bearer \xc2\xa0x", b"Bearer \x80"]
)
def test_bytes_beyond_ascii_are_no_credential(wire: RunningServer, value: bytes) -> None:
    """401, not a dropped connection (S-014)."""
    assert wire.get(b"Authorization: %s\r\n" % value) == 401


LINES = {
    b"GET /auth/sessions\r\n\r\n": {400},
    b"GET /auth/sessions HTTP/0.9\r\n\r\n": {400},
    b"GET /auth/sessions HTTP/9.9\r\n\r\n": {400},
    b"GET /auth/sessions HTTP/1.0\r\n\r\n": {401},
    b"G\xc3\x8bT / HTTP/1.1\r\nHost: x\r\n\r\n": {400},
    b"GET  HTTP/1.1\r\nHost: x\r\n\r\n": {400},
    b"GET /a b HTTP/1.1\r\nHost: x\r\n\r\n": {400},
    b"GET /\x01 HTTP/1.1\r\nHost: x\r\n\r\n": {400},
    b"GET /\xe9 HTTP/1.1\r\nHost: x\r\n\r\n": {400},
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n": {400},
    b"TRACE /auth/sessions HTTP/1.0\r\n\r\n": {405},
    b"CONNECT localhost:80 HTTP/1.0\r\n\r\n": {400, 404, 405},
    b"OPTIONS * HTTP/1.0\r\n\r\n": {404},
    b"GET * HTTP/1.0\r\n\r\n": {404},
    b"GET auth/sessions HTTP/1.0\r\n\r\n": {400, 401, 404},
    b"GET http://elsewhere/auth/sessions HTTP/1.0\r\n\r\n": {401},
    b"GET //auth/sessions HTTP/1.0\r\n\r\n": {401, 404},
    b"GET /./auth/sessions HTTP/1.0\r\n\r\n": {404},
    b"GET /health/../auth/sessions HTTP/1.0\r\n\r\n": {404},
    b"GET /auth%2fsessions HTTP/1.0\r\n\r\n": {401, 404},
    b"GET /auth/sessions%00 HTTP/1.0\r\n\r\n": {404},
    b"GET /%zz HTTP/1.0\r\n\r\n": {400, 404},
    b"GET /" + b"a" * 50_000 + b" HTTP/1.0\r\n\r\n": {404, 414, 431},
}


@pytest.mark.parametrize("at", range(len(LINES)))
def test_malformed_request_lines_get_no_access(wire: RunningServer, at: int) -> None:
    """Malformed ones get 400, unknown methods 405, other paths 404 (S-005, S-006)."""
    line, expected = list(LINES.items())[at]
    assert set(wire.statuses(line)) <= expected


def test_trace_echoes_nothing(wire: RunningServer) -> None:
    """No header of the request is returned (S-103)."""
    heard = wire.exchange(b"TRACE /health/live HTTP/1.0\r\nX-Canary: sings\r\n\r\n")
    assert b" 405 " in heard
    assert b"sings" not in heard


LENGTHS = [
    b"-1",
    b"+2",
    b"2, 3",
    b"0x2",
    b"99999999999999999999999",
    b"2\r\nContent-Length: 3",
    b"",
]


@pytest.mark.parametrize("length", LENGTHS)
def test_an_invalid_content_length_is_rejected(wire: RunningServer, length: bytes) -> None:
    """RFC 9112 section 6.3."""
    assert wire.statuses(build_post(b"/auth/login", JSON_HEADER, body=b"{}x", length=length)) == [
        400
    ]


def test_a_huge_body_is_rejected_by_its_declared_length(wire: RunningServer) -> None:
    """413 before it is sent; without a token 401 comes first (S-004, R-15)."""
    claims = {"length": b"5000000000"}
    assert wire.statuses(build_post(b"/auth/login", JSON_HEADER, **claims)) == [413]
    assert wire.statuses(build_post(b"/auth/logout", **claims)) == [413]


def test_an_anonymous_body_is_rejected_before_it_arrives(wire: RunningServer) -> None:
    """Before more than 64 KiB are read, with a length or in chunks (S-004)."""
    endless = (
        b"POST /items HTTP/1.1\r\n%sTransfer-Encoding: chunked\r\n\r\n20000\r\n" % CLOSE_HEADERS
    )
    short = build_post(b"/items", JSON_HEADER, body=b"{", length=b"100000")
    assert [wire.statuses(endless, b"x" * 70_000), wire.statuses(short)] == [[401], [401]]


def test_malformed_chunks_are_rejected(wire: RunningServer) -> None:
    """400, and the worker continues (R-15)."""
    head = b"POST /auth/login HTTP/1.1\r\n%s%sTransfer-Encoding: " % (CLOSE_HEADERS, JSON_HEADER)
    chunks = [b"chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n", b"chunked\r\n\r\n-1\r\n{}\r\n0\r\n\r\n"]
    chunks += [
        b"xchunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        b"chunked, gzip\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    ]
    assert {tuple(wire.statuses(head, one)) for one in chunks} <= {(400,), ()}


def test_each_pipelined_request_is_checked(wire: RunningServer) -> None:
    """The token of the last one does not count for the first."""
    asked = b"GET /auth/sessions HTTP/1.1\r\nHost: wire\r\n"
    assert wire.statuses(
        asked, b"\r\n", asked, wire.bearer, b"\r\n", asked, b"Connection: close\r\n\r\n"
    ) == [401, 200, 401]


def test_a_body_that_looks_like_a_request_is_not_parsed_as_one(wire: RunningServer) -> None:
    """The unread rest of a body is not taken for the next request."""
    inner = b"GET /health/live HTTP/1.1\r\nHost: smuggled\r\n\r\n"
    first = b"POST /items HTTP/1.1\r\nHost: wire\r\nContent-Length: %d\r\n\r\n" % len(inner)
    asked = b"GET /nowhere HTTP/1.1\r\n%s\r\n" % CLOSE_HEADERS
    assert wire.statuses(first, inner, asked) in ([401, 404], [401])


def test_clients_that_stall_in_their_headers_block_nobody(wire: RunningServer) -> None:
    """More than there are threads; none was dropped to serve another one (R-14)."""
    stalled = [wire.connect(b"GET /auth/sessions HTTP/1.1\r\nX-Slow: ") for _ in range(100)]
    assert wire.get(wire.bearer) == 200
    given_up, _, _ = select.select(stalled[-50:], [], [], 0)
    assert given_up == []
    for line in stalled:
        line.close()


@pytest.mark.parametrize("hosts", [b"", b"Host:\r\n", b"Host: a\r\nHost: b\r\n"])
def test_a_request_is_rejected_unless_it_has_exactly_one_host(
    wire: RunningServer, hosts: bytes
) -> None:
    """RFC 9112 section 3.2; HTTP/1.0 needs none."""
    asked = b"GET /health/live HTTP/1.1\r\nConnection: close\r\n%s\r\n" % hosts
    assert [wire.statuses(asked), wire.statuses(b"GET /health/live HTTP/1.0\r\n\r\n")] == [
        [400],
        [200],
    ]


COOKIE = b"__Host-Http-itemsapi_rt"
FOREIGN = ["é".encode(), "é".encode("latin-1"), b"\xff\xfe", b'"', b"=;=", b""]


@pytest.mark.parametrize("foreign", FOREIGN)
def test_a_foreign_cookie_signs_nobody_out(wire: RunningServer, foreign: bytes) -> None:
    """S-116: with any bytes, before ours and after it; through the real server."""
    browser = JSON_HEADER + b"X-Auth-Delivery: cookie\r\nSec-Fetch-Site: same-origin\r\n"
    body = json.dumps({"username": "wire", "password": PASSWORD}).encode()
    heard = wire.exchange(build_post(b"/auth/login", browser, body=body))
    for form in (b"Cookie: theirs=%s; %s\r\n", b"Cookie: %s; theirs=%s\r\n"):
        ours = COOKIE + b"=" + heard.split(COOKIE + b"=")[1].split(b";")[0]
        pair = (foreign, ours) if form.startswith(b"Cookie: theirs") else (ours, foreign)
        heard = wire.exchange(build_post(b"/auth/refresh", browser, form % pair, body=b"{}"))
        assert heard.startswith(b"HTTP/1.1 200")


def test_an_upgrade_header_is_ignored(wire: RunningServer) -> None:
    """No WebSocket and no HTTP/2, whether the request is admitted or not."""
    upgrade = b"Upgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Version: 13\r\n"
    upgrade += b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    assert wire.get(upgrade) in {400, 401, 405}
    assert wire.get(b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n") == 401


def test_no_version_is_shown(wire: RunningServer) -> None:
    """Neither of the server nor of a library (S-103)."""
    heard = wire.exchange(b"GET /health/live HTTP/1.0\r\n\r\n") + wire.exchange(b"nonsense\r\n\r\n")
    assert not re.search(rb"(?i)(server|x-powered-by):[^\r\n]*\d", heard)
