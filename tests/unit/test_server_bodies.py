"""Request bodies at the bridge: received in time, and only if they are read (S-004, S-110)."""

import asyncio
import gc
import threading
import weakref
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import pytest

from itemsapi.problems import BadRequest, RequestTimeout
from itemsapi.server import bodies
from itemsapi.server.bodies import BODY_TIMEOUT_SECONDS, BodyReceiver
from itemsapi.server.bridge import Bridge
from itemsapi.server.responses import CHUNK_BYTES
from support.asgi import (
    ReceivedResponse,
    advance_loop,
    body_parts,
    build_scope,
    let_others_run,
    run_in_movable_loop,
    send_request,
)
from support.bridge import (
    CHUNKED,
    LARGE_BYTES,
    TEST_TIMEOUT_SECONDS,
    bridge,
    echo,
    sized_headers,
    status_and_code,
)

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


def ignore_body(_: "WSGIEnvironment", start: "StartResponse") -> list[bytes]:
    """Respond without reading the body."""
    start("401 Unauthorized", [("Content-Length", "0")])
    return []


def fail(environ: "WSGIEnvironment", _: "StartResponse") -> list[bytes]:
    """Read a part of the body, then raise an error."""
    environ["wsgi.input"].read(CHUNK_BYTES)
    raise LookupError


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


def test_the_deadline_of_a_large_body_is_extended_by_a_second_for_each_64_kib(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """S-110: an upload is no attack. Here a chunk extends it by a minute, for slow machines."""
    monkeypatch.setattr(bodies, "BYTES_PER_EXTRA_SECOND", CHUNK_BYTES // 60)
    waiting = [b"x" * CHUNK_BYTES, b"x" * CHUNK_BYTES]

    async def receive() -> dict[str, Any]:
        if len(waiting) == 1:
            await advance_loop(2 * BODY_TIMEOUT_SECONDS)
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
        await let_others_run()
        await application(build_scope(headers=sized_headers(b"hi")), body_parts(b"hi"), quick.send)
        assert not slow.messages
        await advance_loop(BODY_TIMEOUT_SECONDS)
        await waiting
        return slow, quick

    slow, quick = run_in_movable_loop(both())
    assert (slow.status, quick.status, quick.body) == (408, 200, b"hi")


def test_a_large_body_is_rejected_when_no_slot_is_free(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """S-110: 503 for the new request; the running ones are not affected."""
    monkeypatch.setattr(bodies.LargeBody, "slots", threading.BoundedSemaphore(1))
    application = bridge(echo)

    async def both() -> list[ReceivedResponse]:
        response = [ReceivedResponse(), ReceivedResponse()]
        calls = [
            asyncio.create_task(
                application(
                    build_scope(headers=sized_headers(b"x" * LARGE_BYTES)),
                    body_parts(b"x" * CHUNK_BYTES, ends="stalls"),
                    one.send,
                )
            )
            for one in response
        ]
        await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
        await advance_loop(BODY_TIMEOUT_SECONDS)
        await asyncio.gather(*calls)
        return response

    assert sorted(response.status for response in run_in_movable_loop(both())) == [408, 503]
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
            await let_others_run()
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
