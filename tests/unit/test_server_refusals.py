"""Refusals that wait a moment before they are sent."""

import asyncio
from collections.abc import Coroutine

import pytest

from itemsapi.server import refusals
from itemsapi.server.refusals import Refusals
from itemsapi.server.responses import Response

RETRY = [(b"Retry-After", b"1")]


def is_sent_at_once(pause: Coroutine[object, object, None]) -> bool:
    """Return whether a response does not have to wait; one that has to is dropped."""
    try:
        pause.send(None)
    except StopIteration:
        return True
    finally:
        pause.close()
    return False


@pytest.mark.parametrize(
    ("status", "headers", "at_once"),
    [
        (429, RETRY, False),
        (503, RETRY, False),
        (503, [(b"retry-after", b"1")], False),
        (503, [], True),  # of a view of somebody else, who may want another rule
        (401, [], True),
        (200, RETRY, True),
    ],
)
def test_only_an_answer_that_says_when_to_retry_waits(
    status: int, headers: list[tuple[bytes, bytes]], at_once: bool
) -> None:
    """Clients that retry at once would keep the worker busy with refusals."""

    async def send() -> bool:
        """Ask in an event loop, which the wait needs."""
        return is_sent_at_once(Refusals().pause(Response(status, headers, b"")))

    assert asyncio.run(send()) == at_once


def test_refusals_are_sent_at_once_while_many_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """A flood must not hold ever more connections, here and in the proxy."""
    monkeypatch.setattr(refusals, "MAX_WAITING", 2)

    async def send() -> list[bool]:
        """Let two wait, then ask for a third; and for a fourth when one of them is sent."""
        waiting, refusal = Refusals(), Response(503, RETRY, b"")
        first, second = waiting.pause(refusal), waiting.pause(refusal)
        first.send(None)
        second.send(None)
        third = is_sent_at_once(waiting.pause(refusal))
        first.close()
        fourth = is_sent_at_once(waiting.pause(refusal))
        second.close()
        return [third, fourth]

    assert asyncio.run(send()) == [True, False]
