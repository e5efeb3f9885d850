"""Requests that wait for a thread: behind others, behind a response, or too long (S-111)."""

import asyncio
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from itemsapi.server import pool, responses
from itemsapi.server.responses import CHUNK_BYTES
from support.asgi import (
    ReceivedResponse,
    advance_loop,
    body_parts,
    build_scope,
    let_others_run,
    run_in_movable_loop,
)
from support.bridge import TEST_TIMEOUT_SECONDS, bridge

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


def test_a_started_response_does_not_expire_while_it_waits_for_a_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Only a request whose response has not begun is rejected."""
    occupied, leave = threading.Event(), threading.Event()

    def app(environ: "WSGIEnvironment", start: "StartResponse") -> Iterator[bytes]:
        start("200 OK", [])
        if environ["PATH_INFO"] == "/slow":
            occupied.set()
            leave.wait(TEST_TIMEOUT_SECONDS)
        return iter([b"x" * CHUNK_BYTES] * 4)

    application = bridge(app)
    begun, resumed, stream = asyncio.Event(), asyncio.Event(), ReceivedResponse()

    async def send(message: dict[str, Any]) -> None:
        if not stream.messages:
            begun.set()
            await asyncio.to_thread(occupied.wait, TEST_TIMEOUT_SECONDS)
        resumed.set()
        await stream.send(message)

    async def run() -> None:
        first = asyncio.create_task(application(build_scope(path=b"/stream"), body_parts(), send))
        await begun.wait()
        elsewhere = build_scope(path=b"/slow", client=("198.51.100.7", "1"))
        second = asyncio.create_task(application(elsewhere, body_parts(), ReceivedResponse().send))
        await asyncio.to_thread(occupied.wait, TEST_TIMEOUT_SECONDS)
        await resumed.wait()
        await let_others_run()
        monkeypatch.setattr(pool, "THREAD_WAIT_SECONDS", -1.0)  # what waits now has expired
        await advance_loop(pool.SWEEP_INTERVAL_SECONDS)
        leave.set()
        await asyncio.gather(first, second)

    run_in_movable_loop(asyncio.wait_for(run(), TEST_TIMEOUT_SECONDS))
    assert (stream.whole, len(stream.body)) == (True, 4 * CHUNK_BYTES)


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
        await let_others_run()  # among them the task that waits for a disconnect

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
    occupied, leave = threading.Event(), threading.Event()

    def app(environ: "WSGIEnvironment", start: "StartResponse") -> list[bytes]:
        if environ["PATH_INFO"] == "/slow":
            occupied.set()
            leave.wait(TEST_TIMEOUT_SECONDS)
        start("200 OK", [])
        return [b"x"]

    application = bridge(app)

    async def run() -> list[int]:
        statuses = []
        for _ in range(2):
            occupied.clear()
            leave.clear()
            slow, late = ReceivedResponse(), ReceivedResponse()
            first = asyncio.create_task(
                application(build_scope(path=b"/slow"), body_parts(), slow.send)
            )
            await asyncio.to_thread(occupied.wait, TEST_TIMEOUT_SECONDS)
            second = asyncio.create_task(application(build_scope(), body_parts(), late.send))
            await let_others_run()
            with monkeypatch.context() as patch:
                patch.setattr(pool, "THREAD_WAIT_SECONDS", -1.0)  # what waits now has expired
                await advance_loop(pool.SWEEP_INTERVAL_SECONDS)
            await second  # while the only thread is still busy
            leave.set()
            await first
            statuses += [slow.status, late.status]
        return statuses

    assert run_in_movable_loop(asyncio.wait_for(run(), TEST_TIMEOUT_SECONDS)) == [
        200,
        503,
        200,
        503,
    ]
