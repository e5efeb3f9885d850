"""Responses that clients do not read: limited in bytes and in time (S-111)."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from itemsapi.server import responses
from itemsapi.server.responses import CHUNK_BYTES, PendingResponses
from support.asgi import ReceivedResponse, advance_loop, let_others_run, run_in_movable_loop
from support.bridge import LARGE_BYTES, TEST_TIMEOUT_SECONDS


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
    """S-111: the deadline is for reading something, not for reading everything."""
    monkeypatch.setattr(responses, "SEND_TIMEOUT_SECONDS", 1000.0)
    outgoing, response = pending_responses("slow", LARGE_BYTES), ReceivedResponse()

    async def send(message: dict[str, Any]) -> None:
        await advance_loop(900.0)
        await response.send(message)

    run_in_movable_loop(outgoing.send(send, b"x" * LARGE_BYTES))
    assert len(response.messages) > 2
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
        await let_others_run()
        outgoing.reserve("reading", LARGE_BYTES)
        reading = outgoing.send(ReceivedResponse().send, b"x" * LARGE_BYTES)
        return await asyncio.gather(stalled, reading, return_exceptions=True)

    stalled, reading = asyncio.run(asyncio.wait_for(run(), TEST_TIMEOUT_SECONDS))
    assert isinstance(stalled, TimeoutError)
    assert reading is None
