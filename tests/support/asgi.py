"""Requests as an ASGI server hands them over, one after the other in an event loop of its own."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

Receive = Callable[[], Awaitable[dict[str, Any]]]
Application = Callable[[dict[str, Any], Receive, Callable[[dict[str, Any]], Awaitable[None]]], Any]


def build_scope(
    method: str = "GET",
    path: bytes = b"/",
    headers: Iterable[tuple[bytes, bytes]] = ((b"host", b"api"),),
    **more: Any,
) -> dict[str, Any]:
    """Return what is known of a request before its body comes."""
    return {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "raw_path": path,
        "query_string": b"",
        "headers": list(headers),
        "server": ("127.0.0.1", "8000"),
        "client": ("203.0.113.9", "40000"),
        **more,
    }


def body_parts(*bodies: bytes, ends: str = "whole") -> Receive:
    """Return a body that comes in parts.

    At its end it is `whole` and the client waits for the answer, or `leaves`; or it is not, because
    it `stalls`, or the client is `gone`.
    """
    waiting = list(bodies) or [b""]  # of no body the end is told, as granian does

    async def receive() -> dict[str, Any]:
        if waiting:
            body, last = waiting.pop(0), not waiting and ends in {"whole", "leaves"}
            return {"type": "http.request", "body": body, "more_body": not last}
        if ends in {"whole", "stalls"}:
            await asyncio.Event().wait()
        return {"type": "http.disconnect"}

    return receive


@dataclass
class ReceivedResponse:
    """What an application sent."""

    messages: list[dict[str, Any]] = field(default_factory=list)

    async def send(self, message: dict[str, Any]) -> None:
        """Take a message at once."""
        self.messages.append(message)

    @property
    def status(self) -> int:
        """The status of the answer."""
        return int(self.messages[0]["status"])

    @property
    def headers(self) -> dict[bytes, bytes]:
        """The header fields of the answer."""
        return dict(self.messages[0]["headers"])

    @property
    def whole(self) -> bool:
        """Whether the answer came to its end."""
        return not self.messages[-1].get("more_body", False)

    @property
    def body(self) -> bytes:
        """The body of the answer."""
        return b"".join(message["body"] for message in self.messages[1:])


def send_request(application: Application, receive: Receive, **wish: Any) -> ReceivedResponse:
    """Make one request and return the answer."""
    heard = ReceivedResponse()

    async def run() -> None:
        await application(build_scope(**wish), receive, heard.send)

    asyncio.run(run())
    return heard
