"""The bridge from ASGI to WSGI: bodies, headers and responses, in one process (S-004, S-110)."""

import asyncio
import gc
import io
import json
import threading
import weakref
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import pytest

from itemsapi.problems import BadRequest, RequestTimeout
from itemsapi.rest.default_headers import Cors
from itemsapi.rest.middleware import Middleware, Proxies
from itemsapi.server import bodies, pool, responses
from itemsapi.server.bodies import BodyReceiver
from itemsapi.server.bridge import Bridge
from itemsapi.server.environ import build_environ, client_of_request, require_host
from itemsapi.server.responses import CHUNK_BYTES, PendingResponses
from support.asgi import ReceivedResponse, body_parts, build_scope, send_request

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

TEST_TIMEOUT_SECONDS = 20.0  # seconds, on a machine that does other things too
LARGE_BYTES = 3 * CHUNK_BYTES + 17


def bridge(app: Any) -> Bridge:
    """Return a bridge to an application, with the middleware that renders its errors."""
    middleware = Middleware(
        app, "http://api/problems", Proxies("http://api", 0), Cors(()), tls=False
    )
    return Bridge(middleware, threads=1)


def echo(environ: "WSGIEnvironment", start: "StartResponse") -> list[bytes]:
    """Respond with the request body."""
    body = environ["wsgi.input"].read()
    start("200 OK", [("Content-Length", str(len(body)))])
    return [body]


def ignore_body(_: "WSGIEnvironment", start: "StartResponse") -> list[bytes]:
    """Respond without reading the body."""
    start("401 Unauthorized", [("Content-Length", "0")])
    return []


def fail(environ: "WSGIEnvironment", _: "StartResponse") -> list[bytes]:
    """Read a part of the body, then raise an error."""
    environ["wsgi.input"].read(CHUNK_BYTES)
    raise LookupError


def sized_headers(body: bytes) -> list[tuple[bytes, bytes]]:
    """Return the headers that announce a body of this size."""
    return [(b"host", b"api"), (b"content-length", str(len(body)).encode())]


CHUNKED = [(b"host", b"api"), (b"transfer-encoding", b"chunked")]


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES, CHUNK_BYTES + 1, LARGE_BYTES])
def test_a_body_arrives_as_it_was_sent(size: int) -> None:
    """Whether it is received before the thread starts or streamed."""
    body = bytes(at % 251 for at in range(size))
    halves = body_parts(body[: size // 2], body[size // 2 :])
    assert (
        send_request(bridge(echo), halves, method="POST", headers=sized_headers(body)).body == body
    )


def test_a_body_without_a_length_arrives_as_it_was_sent() -> None:
    """A chunked body, larger than what is read ahead."""
    pieces = [bytes([at]) * 10_000 for at in range(20)]
    response = send_request(bridge(echo), body_parts(*pieces), method="POST", headers=CHUNKED)
    assert response.body == b"".join(pieces)


def status_and_code(response: ReceivedResponse) -> tuple[int, str]:
    """Return the status and the code of a problem response."""
    return response.status, json.loads(response.body)["code"]


@pytest.fixture
def short_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    """A short timeout for bodies: these tests are about what happens, not when."""
    monkeypatch.setattr(BodyReceiver.__init__, "__defaults__", (0.05,))


@pytest.mark.usefixtures("short_timeout")
def test_a_small_body_is_rejected_and_the_connection_closed_when_it_stalls() -> None:
    """S-110: 408 (RFC 9110 section 15.5.9)."""
    response = send_request(
        bridge(echo), body_parts(b"{", ends="stalls"), headers=sized_headers(b"{}")
    )
    assert status_and_code(response) == (408, "request_timeout")
    assert response.headers[b"connection"] == b"close"


@pytest.mark.usefixtures("short_timeout")
def test_a_large_body_is_rejected_where_it_is_read_when_it_stalls() -> None:
    """S-110: the same deadline ends the wait of the thread."""
    stalled = body_parts(b"x" * CHUNK_BYTES, ends="stalls")
    response = send_request(bridge(echo), stalled, headers=sized_headers(b"x" * LARGE_BYTES))
    assert status_and_code(response) == (408, "request_timeout")


class Connection:
    """A connection whose body stalls; no frame of it is in a traceback."""

    def __init__(self, first: bytes) -> None:
        """Prepare the first part."""
        self._parts, self._heard = body_parts(first, ends="stalls"), ReceivedResponse()

    def receive(self) -> Awaitable[dict[str, Any]]:
        """Return the next part."""
        return self._parts()

    def send(self, message: dict[str, Any]) -> Awaitable[None]:
        """Receive a part of the response."""
        return self._heard.send(message)


async def serve(application: Bridge, announced: int, connections: list[Connection]) -> None:
    """Run the request of the connection as granian does: only this frame refers to it."""
    connection = connections.pop()
    request_scope = build_scope(headers=sized_headers(b"x" * announced))
    await application(request_scope, connection.receive, connection.send)


@pytest.mark.usefixtures("short_timeout")
@pytest.mark.parametrize("announced", [2, LARGE_BYTES])
@pytest.mark.parametrize("app", [echo, fail])
def test_a_rejected_request_releases_its_connection_at_once(app: Any, announced: int) -> None:
    """S-110: the server closes it when nothing refers to it; garbage may stay for minutes."""
    connections = [Connection(b"x" * min(announced - 1, CHUNK_BYTES))]
    reference = weakref.ref(connections[0])

    async def run() -> Connection | None:
        await asyncio.create_task(serve(bridge(app), announced, connections))
        return reference()

    gc.disable()
    try:
        assert asyncio.run(run()) is None
    finally:
        gc.enable()


@pytest.mark.usefixtures("short_timeout")
def test_the_deadline_of_a_large_body_is_extended_by_a_second_for_each_64_kib(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """S-110: an upload is no attack. Here a chunk extends it by a minute, for slow machines."""
    monkeypatch.setattr(bodies, "BYTES_PER_EXTRA_SECOND", CHUNK_BYTES // 60)
    waiting = [b"x" * CHUNK_BYTES, b"x" * CHUNK_BYTES]

    async def receive() -> dict[str, Any]:
        if len(waiting) == 1:
            await asyncio.sleep(0.1)  # longer than a small body may take here
        body = waiting.pop(0)
        return {"type": "http.request", "body": body, "more_body": bool(waiting)}

    response = send_request(bridge(echo), receive, headers=sized_headers(b"x" * 2 * CHUNK_BYTES))
    assert (response.status, len(response.body)) == (200, 2 * CHUNK_BYTES)


@pytest.mark.parametrize("announced", [2, LARGE_BYTES])
def test_an_incomplete_body_is_rejected_when_the_client_disconnects(announced: int) -> None:
    """A client that disconnects has not sent a shorter body."""
    gone = body_parts(b"{", ends="gone")
    assert (
        status_and_code(send_request(bridge(echo), gone, headers=sized_headers(b"x" * announced)))[
            0
        ]
        == 400
    )


def test_a_large_body_is_not_received_unless_the_application_reads_it() -> None:
    """S-004: the gate rejects first, and the connection is not kept for the rest."""
    received = []

    async def receive() -> dict[str, Any]:
        received.append(1)
        return {"type": "http.request", "body": b"x" * CHUNK_BYTES, "more_body": True}

    response = send_request(bridge(ignore_body), receive, headers=sized_headers(b"x" * 5_000_000))
    assert (response.status, response.headers[b"connection"], received) == (401, b"close", [])


def test_at_most_64_kib_of_a_chunked_body_are_read_ahead() -> None:
    """S-004: plus the part that exceeds them."""
    received = []

    async def receive() -> dict[str, Any]:
        received.append(1)
        return {"type": "http.request", "body": b"x" * 1024, "more_body": True}

    send_request(bridge(ignore_body), receive, headers=CHUNKED)
    assert len(received) == CHUNK_BYTES // 1024 + 1


@pytest.mark.usefixtures("short_timeout")
def test_other_requests_are_served_while_a_thread_waits_for_a_large_body() -> None:
    """S-110: with a single thread."""
    application = bridge(echo)

    async def both() -> tuple[ReceivedResponse, ReceivedResponse]:
        slow, quick = ReceivedResponse(), ReceivedResponse()
        stalled = body_parts(b"x" * CHUNK_BYTES, ends="stalls")
        first = application(
            build_scope(headers=sized_headers(b"x" * LARGE_BYTES)), stalled, slow.send
        )
        waiting = asyncio.create_task(first)
        await asyncio.sleep(0)
        await application(build_scope(headers=sized_headers(b"hi")), body_parts(b"hi"), quick.send)
        assert not slow.messages
        await waiting
        return slow, quick

    slow, quick = asyncio.run(both())
    assert (slow.status, quick.status, quick.body) == (408, 200, b"hi")


@pytest.mark.usefixtures("short_timeout")
def test_a_large_body_is_rejected_when_no_slot_is_free(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """S-110: 503 for the new request; the running ones are not affected."""
    monkeypatch.setattr(bodies.LargeBody, "slots", threading.BoundedSemaphore(1))
    application = bridge(echo)

    async def both() -> list[ReceivedResponse]:
        response = [ReceivedResponse(), ReceivedResponse()]
        calls = [
            application(
                build_scope(headers=sized_headers(b"x" * LARGE_BYTES)),
                body_parts(b"x" * CHUNK_BYTES, ends="stalls"),
                one.send,
            )
            for one in response
        ]
        await asyncio.gather(*calls)
        return response

    assert sorted(response.status for response in asyncio.run(both())) == [408, 503]
    body = b"x" * LARGE_BYTES
    assert (
        send_request(application, body_parts(body), headers=sized_headers(body)).status == 200
    )  # places come back


def completes_in_own_loop(job: Callable[[], Awaitable[None]]) -> bool:
    """Run a job in a thread with its own event loop; return whether it completes."""

    async def run() -> None:
        await job()

    thread = threading.Thread(target=asyncio.run, args=(run(),), daemon=True)
    thread.start()
    thread.join(TEST_TIMEOUT_SECONDS)
    return not thread.is_alive()


def test_a_cancelled_exchange_stops_neither_the_loop_nor_the_thread_that_reads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """S-110: the thread gives up at once, not at its deadline, and the slot is free again."""
    monkeypatch.setattr(BodyReceiver.__init__, "__defaults__", (100 * TEST_TIMEOUT_SECONDS,))
    monkeypatch.setattr(bodies.LargeBody, "slots", threading.BoundedSemaphore(1))
    raised: SimpleQueue[type[Exception]] = SimpleQueue()

    def app(environ: "WSGIEnvironment", start: "StartResponse") -> list[bytes]:
        try:
            return echo(environ, start)
        except Exception as error:
            raised.put(type(error))
            raise

    async def cancelled() -> None:
        waits, source = asyncio.Event(), body_parts(b"x" * CHUNK_BYTES, ends="stalls")

        async def receive() -> dict[str, Any]:
            message = asyncio.ensure_future(source())
            await asyncio.sleep(0)
            if not message.done():
                waits.set()
            return await message

        call = bridge(app)(
            build_scope(headers=sized_headers(b"x" * LARGE_BYTES)), receive, ReceivedResponse().send
        )
        exchange = asyncio.ensure_future(call)
        await waits.wait()
        exchange.cancel()
        await asyncio.wait([exchange])
        assert exchange.cancelled()
        error = await asyncio.to_thread(raised.get, timeout=TEST_TIMEOUT_SECONDS)
        assert (error, bodies.LargeBody.slots.acquire(blocking=False)) == (RequestTimeout, True)
        ended.append(True)

    ended: list[bool] = []
    assert (completes_in_own_loop(cancelled), ended) == (True, [True])


def test_a_closed_body_takes_no_slot() -> None:
    """It would never be released: a thread may read on after its exchange was cancelled."""

    def aside() -> AbstractContextManager[None]:
        raise LookupError("it has a place, and waits for more")

    async def run() -> None:
        long = bodies.LargeBody(
            BodyReceiver(build_scope(headers=sized_headers(b"x" * LARGE_BYTES)), body_parts()),
            aside,
        )
        long.close()
        with pytest.raises(BadRequest):
            long.readinto(bytearray(1))

    asyncio.run(run())


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
    (2, b"198.51.100.1", "203.0.113.9"),
]


@pytest.mark.parametrize(("hops", "forwarded", "client"), FORWARDED)
def test_the_client_is_the_address_that_a_trusted_proxy_saw(
    hops: int, forwarded: bytes, client: str
) -> None:
    """The application counts clients in the same way; entries of the client itself are ignored."""
    assert client_of_request(build_scope(headers=[(b"x-forwarded-for", forwarded)]), hops) == client


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
        for _ in range(10):
            await asyncio.sleep(0)
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


def test_a_started_response_does_not_expire_while_it_waits_for_a_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Only a request whose response has not begun is rejected."""
    monkeypatch.setattr(pool, "SWEEP_INTERVAL_SECONDS", 0.01)
    leave = threading.Event()

    def app(environ: "WSGIEnvironment", start: "StartResponse") -> Iterator[bytes]:
        start("200 OK", [])
        if environ["PATH_INFO"] == "/slow":
            leave.wait(TEST_TIMEOUT_SECONDS)
        return iter([b"x" * CHUNK_BYTES] * 4)

    application = bridge(app)
    begun, stream = asyncio.Event(), ReceivedResponse()

    async def send(message: dict[str, Any]) -> None:
        if not stream.messages:
            begun.set()
            await asyncio.sleep(0.02)  # other requests run between the beginning and the rest
        await stream.send(message)

    async def run() -> None:
        first = asyncio.create_task(application(build_scope(path=b"/stream"), body_parts(), send))
        await begun.wait()
        monkeypatch.setattr(pool, "THREAD_WAIT_SECONDS", 0.05)
        elsewhere = build_scope(path=b"/slow", client=("198.51.100.7", "1"))
        second = asyncio.create_task(application(elsewhere, body_parts(), ReceivedResponse().send))
        await asyncio.sleep(0.2)  # longer than a request may wait here
        leave.set()
        await asyncio.gather(first, second)

    asyncio.run(asyncio.wait_for(run(), TEST_TIMEOUT_SECONDS))
    assert (stream.whole, len(stream.body)) == (True, 4 * CHUNK_BYTES)


def test_bytes_passed_to_the_write_callable_come_first() -> None:
    """PEP 3333: the callable that `start_response` returns."""

    def app(_: "WSGIEnvironment", start: "StartResponse") -> list[bytes]:
        start("200 OK", [])(b"first, ")
        return [b"second"]

    assert send_request(Bridge(app, threads=1), body_parts()).body == b"first, second"


@pytest.mark.parametrize("ends", ["whole", "leaves"])
def test_only_a_client_that_does_not_read_waits_for_its_next_response(ends: str) -> None:
    """S-111: until the response is sent, or the client disconnects."""
    size = responses.MAX_CLIENT_BYTES + 1

    def app(environ: "WSGIEnvironment", start: "StartResponse") -> list[bytes]:
        start("200 OK", [])
        return [b"x" * size] if environ["PATH_INFO"] == "/large" else [b"x"]

    application = bridge(app)
    begun, go_on = asyncio.Event(), asyncio.Event()
    stalled, again, other = ReceivedResponse(), ReceivedResponse(), ReceivedResponse()

    async def slowly(message: dict[str, Any]) -> None:
        await stalled.send(message)
        begun.set()
        await go_on.wait()
        await asyncio.sleep(0)  # other tasks run, among them the one that waits for a disconnect

    async def run() -> None:
        large = application(build_scope(path=b"/large"), body_parts(b"", ends=ends), slowly)
        first = asyncio.create_task(large)
        await begun.wait()
        second = asyncio.create_task(application(build_scope(), body_parts(), again.send))
        for _ in range(3):  # the second request would have run by now if it might
            await application(build_scope(client=("198.51.100.7", "1")), body_parts(), other.send)
        assert (len(other.messages), again.messages) == (6, [])
        go_on.set()
        await asyncio.gather(first, second)

    asyncio.run(asyncio.wait_for(run(), TEST_TIMEOUT_SECONDS))
    assert (stalled.whole and len(stalled.body) == size, again.body) == (ends == "whole", b"x")


def test_a_request_is_rejected_when_it_waits_too_long_for_a_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """503, repeatedly; expired jobs are searched for while any job waits."""
    monkeypatch.setattr(pool, "THREAD_WAIT_SECONDS", 0.05)
    monkeypatch.setattr(pool, "SWEEP_INTERVAL_SECONDS", 0.01)
    leave = threading.Event()

    def app(environ: "WSGIEnvironment", start: "StartResponse") -> list[bytes]:
        if environ["PATH_INFO"] == "/slow":
            leave.wait(TEST_TIMEOUT_SECONDS)
        start("200 OK", [])
        return [b"x"]

    application = bridge(app)

    async def run() -> list[int]:
        statuses = []
        for _ in range(2):
            leave.clear()
            slow, late = ReceivedResponse(), ReceivedResponse()
            first = asyncio.create_task(
                application(build_scope(path=b"/slow"), body_parts(), slow.send)
            )
            await asyncio.sleep(0)
            second = asyncio.create_task(application(build_scope(), body_parts(), late.send))
            await asyncio.sleep(0.1)  # longer than a request may wait here
            leave.set()
            await asyncio.gather(first, second)
            statuses += [slow.status, late.status]
        return statuses

    assert asyncio.run(asyncio.wait_for(run(), TEST_TIMEOUT_SECONDS)) == [200, 503, 200, 503]


def pending_responses(client: str, size: int) -> PendingResponses:
    """Return pending responses that exceed the limit of a client."""
    outgoing = PendingResponses(max_client_bytes=CHUNK_BYTES)
    outgoing.reserve(client, size)
    return outgoing


def test_a_client_has_no_room_while_its_responses_are_pending() -> None:
    """S-111: other clients have."""
    outgoing = pending_responses("a", CHUNK_BYTES)
    assert (outgoing.has_room("a"), outgoing.has_room("b")) == (False, True)


def test_released_bytes_make_room() -> None:
    """Nothing stays counted."""
    outgoing = pending_responses("a", CHUNK_BYTES)
    outgoing.release("a", CHUNK_BYTES)
    assert outgoing.has_room("a")


def stalling_client(outgoing: PendingResponses, size: int) -> Callable[[], Any]:
    """Return a client that reads the first chunk and no other."""
    taken = []

    async def send(_: dict[str, Any]) -> None:
        taken.append(1)
        if len(taken) > 1:
            await asyncio.Event().wait()

    return lambda: outgoing.send(send, b"x" * size)


def test_sending_times_out_when_the_client_does_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """S-111: then the kernel closes the connection."""
    monkeypatch.setattr(responses, "SEND_TIMEOUT_SECONDS", 0.05)
    outgoing = pending_responses("stalled", LARGE_BYTES)
    with pytest.raises(TimeoutError):
        asyncio.run(stalling_client(outgoing, LARGE_BYTES)())


def test_a_response_is_complete_when_each_chunk_is_read_in_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """S-111: the deadline is for reading something, not for reading everything.

    The clock of the loop is moved, so that delays of this machine do not matter.
    """
    monkeypatch.setattr(responses, "SEND_TIMEOUT_SECONDS", 1000.0)
    outgoing, response, ahead = pending_responses("slow", LARGE_BYTES), ReceivedResponse(), [0.0]

    async def send(message: dict[str, Any]) -> None:
        ahead[0] += 900.0
        await asyncio.sleep(0)
        await response.send(message)

    async def run() -> None:
        loop = asyncio.get_running_loop()
        real = loop.time
        monkeypatch.setattr(loop, "time", lambda: real() + ahead[0])
        await outgoing.send(send, b"x" * LARGE_BYTES)

    asyncio.run(run())
    assert ahead[0] > 2 * responses.SEND_TIMEOUT_SECONDS
    assert sum(len(message["body"]) for message in response.messages) == LARGE_BYTES


def test_the_most_stalled_response_is_cut_off_beyond_the_total_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """S-111: not the responses that are read, and not new ones."""
    monkeypatch.setattr(responses, "STALLED_AFTER_SECONDS", 0.0)
    outgoing = PendingResponses(max_total_bytes=LARGE_BYTES)

    async def run() -> tuple[Any, Any]:
        outgoing.reserve("stalled", LARGE_BYTES)
        stalled = asyncio.create_task(stalling_client(outgoing, LARGE_BYTES)())
        await asyncio.sleep(0)
        outgoing.reserve("reading", LARGE_BYTES)
        reading = outgoing.send(ReceivedResponse().send, b"x" * LARGE_BYTES)
        return await asyncio.gather(stalled, reading, return_exceptions=True)

    stalled, reading = asyncio.run(asyncio.wait_for(run(), TEST_TIMEOUT_SECONDS))
    assert isinstance(stalled, TimeoutError)
    assert reading is None
