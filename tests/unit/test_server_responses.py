"""Responses at the bridge: complete, in chunks, and closed however they end (S-111)."""

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from itemsapi.server.bridge import Bridge
from itemsapi.server.responses import CHUNK_BYTES
from support.asgi import ReceivedResponse, body_parts, build_scope, let_others_run, send_request
from support.bridge import LARGE_BYTES, bridge, status_and_code

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


@pytest.mark.parametrize("size", [CHUNK_BYTES, CHUNK_BYTES + 1, LARGE_BYTES])
def test_a_large_response_is_sent_in_chunks(size: int) -> None:
    """Completely, in order, and no chunk is larger than the uncounted size (S-111)."""

    def app(_: "WSGIEnvironment", start: "StartResponse") -> list[bytes]:
        start("200 OK", [])
        return [bytes(at % 251 for at in range(size))]

    response = send_request(bridge(app), body_parts())
    assert response.body == bytes(at % 251 for at in range(size))
    assert max(len(message["body"]) for message in response.messages[1:]) <= CHUNK_BYTES


def test_a_streamed_response_is_generated_as_fast_as_it_is_sent() -> None:
    """The generator is not exhausted in memory, and it is closed."""
    made, closed = [], []

    def stream() -> Iterator[bytes]:
        try:
            for at in range(10):
                made.append(at)
                yield bytes([at]) * CHUNK_BYTES
        finally:
            closed.append(True)

    def app(_: "WSGIEnvironment", start: "StartResponse") -> Iterator[bytes]:
        start("200 OK", [])
        return stream()

    response = ReceivedResponse()
    ahead: list[int] = []

    async def send(message: dict[str, Any]) -> None:
        ahead.append(
            len(made) - sum(len(m.get("body", b"")) for m in response.messages) // CHUNK_BYTES
        )
        await response.send(message)

    asyncio.run(bridge(app)(build_scope(), body_parts(), send))
    assert response.body == b"".join(bytes([at]) * CHUNK_BYTES for at in range(10))
    assert max(ahead) <= 3
    assert closed == [True]


def test_a_large_response_is_complete_when_the_client_reads_slowly() -> None:
    """The end of an empty body is not taken for a disconnect."""

    def app(_: "WSGIEnvironment", start: "StartResponse") -> list[bytes]:
        start("200 OK", [])
        return [b"x" * LARGE_BYTES]

    response = ReceivedResponse()

    async def send(message: dict[str, Any]) -> None:
        await let_others_run()
        await response.send(message)

    asyncio.run(bridge(app)(build_scope(), body_parts(), send))
    assert response.whole
    assert response.body == b"x" * LARGE_BYTES


def test_a_streamed_response_ends_when_the_client_disconnects() -> None:
    """What cannot be sent is silently dropped by granian: the generator would run on."""
    made = []

    def app(_: "WSGIEnvironment", start: "StartResponse") -> Iterator[bytes]:
        start("200 OK", [])
        for at in range(100):
            made.append(at)
            yield b"x" * CHUNK_BYTES

    send_request(bridge(app), body_parts(b"", ends="leaves"))
    assert len(made) < 10


class ClosableBody:
    """A response body that counts how often it was closed."""

    def __init__(self, parts: Iterator[bytes]) -> None:
        """Take the chunks."""
        self.parts, self.closed = parts, 0

    def __iter__(self) -> Iterator[bytes]:
        """Yield the chunks."""
        return self.parts

    def close(self) -> None:
        """Count."""
        self.closed += 1


def exit_after(after: int) -> Iterator[bytes]:
    """Yield this many chunks, then exit like a library that calls `sys.exit()`."""
    yield from [b"x" * CHUNK_BYTES] * after
    raise SystemExit


CLOSED: dict[str, tuple[Iterator[bytes], str]] = {
    "short": (iter([b"x"]), "whole"),
    "long": (iter([b"x" * CHUNK_BYTES] * 9), "whole"),
    "left": (iter([b"x" * CHUNK_BYTES] * 9), "leaves"),
    "broken at once": (exit_after(0), "whole"),
    "broken in the middle": (exit_after(9), "whole"),
}


@pytest.mark.parametrize("how", CLOSED)
def test_a_response_is_closed_once_however_it_ends(how: str) -> None:
    """PEP 3333: the application releases its resources. An exit does not stop the server."""
    chunks, ends = CLOSED[how]
    body = ClosableBody(chunks)

    def app(_: "WSGIEnvironment", start: "StartResponse") -> ClosableBody:
        start("200 OK", [])
        return body

    response = send_request(bridge(app), body_parts(b"", ends=ends))
    assert (body.closed, response.status) == (1, 500 if how == "broken at once" else 200)


INVALID_HEADERS = [
    ("X-A", "a\x01b"),
    ("X-A", "a\r\nB: c"),
    ("X A", "b"),
    ("", "b"),
    ("X-A", "\u20ac"),
]


@pytest.mark.parametrize("field", INVALID_HEADERS)
@pytest.mark.parametrize("size", [1, LARGE_BYTES])
def test_an_invalid_response_header_is_a_500_and_its_bytes_are_released(
    field: tuple[str, str], size: int
) -> None:
    """RFC 9110 section 5; bytes that stay reserved would lock the client out in the end."""
    body = ClosableBody(iter([b"x" * size]))

    def app(_: "WSGIEnvironment", start: "StartResponse") -> ClosableBody:
        start("200 OK", [field])
        return body

    application = bridge(app)
    response = send_request(application, body_parts())
    assert status_and_code(response) == (500, "internal_error")
    assert (body.closed, application.pending_bytes("203.0.113.9")) == (1, 0)


def test_reserved_bytes_are_released_when_sending_fails() -> None:
    """S-111: however a response ends."""

    def app(_: "WSGIEnvironment", start: "StartResponse") -> list[bytes]:
        start("200 OK", [])
        return [b"x" * LARGE_BYTES]

    application = bridge(app)

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            raise OSError

    with pytest.raises(OSError):  # noqa: PT011 - it says nothing more
        asyncio.run(application(build_scope(), body_parts(), send))
    assert application.pending_bytes("203.0.113.9") == 0


def test_bytes_passed_to_the_write_callable_come_first() -> None:
    """PEP 3333: the callable that `start_response` returns."""

    def app(_: "WSGIEnvironment", start: "StartResponse") -> list[bytes]:
        start("200 OK", [])(b"first, ")
        return [b"second"]

    assert send_request(Bridge(app, threads=1), body_parts()).body == b"first, second"
