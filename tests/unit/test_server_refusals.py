"""Refusals that wait a moment before they are sent."""

import asyncio

import pytest

from itemsapi.server import refusals
from itemsapi.server.refusals import Refusals
from itemsapi.server.responses import Response

RETRY = [(b"Retry-After", b"1")]
PEER = ("203.0.113.7", 50_000)


def is_sent_at_once(refusals: Refusals, response: Response, peer: tuple[str, int] = PEER) -> bool:
    """Return whether a response does not have to wait; one that has to is dropped."""
    pause = refusals.pause(response, peer)
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
def test_the_second_refusal_of_a_connection_waits_when_it_comes_too_early(
    status: int, headers: list[tuple[bytes, bytes]], at_once: bool
) -> None:
    """R-13: the first one is sent at once; who retries at once would keep the worker busy."""

    async def send() -> list[bool]:
        """Ask in an event loop, which the wait needs."""
        refusals, response = Refusals(), Response(status, headers, b"")
        return [is_sent_at_once(refusals, response) for _ in range(2)]

    assert asyncio.run(send()) == [True, at_once]


def test_a_refusal_is_sent_at_once_when_the_client_has_waited(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As `Retry-After` asked for; and other connections do not matter."""
    monkeypatch.setattr(refusals, "TOO_EARLY_SECONDS", 0.0)

    async def send() -> list[bool]:
        """Refuse twice on one connection, then on another one."""
        refused, response = Refusals(), Response(503, RETRY, b"")
        return [is_sent_at_once(refused, response, peer) for peer in (PEER, PEER, ("::1", 1))]

    assert asyncio.run(send()) == [True] * 3


def test_refusals_are_sent_at_once_while_many_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """A flood must not hold ever more connections, here and in the proxy."""
    monkeypatch.setattr(refusals, "MAX_WAITING", 2)

    async def send() -> list[bool]:
        """Let two wait, then ask for a third; and for a fourth when one of them is sent."""
        waiting, refusal = Refusals(), Response(503, RETRY, b"")
        is_sent_at_once(waiting, refusal)
        first, second = waiting.pause(refusal, PEER), waiting.pause(refusal, PEER)
        first.send(None)
        second.send(None)
        third = is_sent_at_once(waiting, refusal)
        first.close()
        fourth = is_sent_at_once(waiting, refusal)
        second.close()
        return [third, fourth]

    assert asyncio.run(send()) == [True, False]


def test_only_the_latest_refused_connections_are_remembered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A flood of connections must not fill the memory."""
    monkeypatch.setattr(refusals, "MAX_REMEMBERED", 2)

    async def send() -> list[bool]:
        """Refuse three connections, then the first and the last of them again."""
        refused, response = Refusals(), Response(503, RETRY, b"")
        peers = [("203.0.113.7", port) for port in (1, 2, 3, 3, 1)]
        return [is_sent_at_once(refused, response, peer) for peer in peers]

    assert asyncio.run(send()) == [True, True, True, False, True]
