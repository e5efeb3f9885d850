"""Send requests as an ASGI server does, each in an event loop of its own with a clock to move."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar

T = TypeVar("T")

Receive = Callable[[], Awaitable[dict[str, Any]]]
Application = Callable[[dict[str, Any], Receive, Callable[[dict[str, Any]], Awaitable[None]]], Any]


class MovableLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock a test moves: the delays of a busy machine do not matter."""

    ahead = 0.0

    def time(self) -> float:
        """Return the time of this loop."""
        return super().time() + self.ahead


def run_in_movable_loop(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in a new loop; return its result."""
    with asyncio.Runner(loop_factory=MovableLoop) as runner:
        return runner.run(coroutine)


async def let_others_run() -> None:
    """Let the other tasks of the loop run until each of them waits."""
    for _ in range(20):
        await asyncio.sleep(0)


async def advance_loop(seconds: float) -> None:
    """Move the clock of the running loop, and let the tasks run whose time has come."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, MovableLoop)
    loop.ahead += seconds
    await let_others_run()


def build_scope(
    method: str = "GET",
    path: bytes = b"/",
    headers: Iterable[tuple[bytes, bytes]] = ((b"host", b"api"),),
    **fields: Any,
) -> dict[str, Any]:
    """Return the ASGI scope of a request; `fields` override it."""
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
        **fields,
    }


def body_parts(*bodies: bytes, ends: str = "whole") -> Receive:
    """Return a `receive` callable that delivers a body in parts.

    `ends` says how it ends: `whole` is complete and the client waits for the response; `leaves` is
    complete and the client disconnects; `stalls` never completes; `gone` disconnects before the
    end.
    """
    remaining = list(bodies) or [b""]  # granian sends an empty part for an empty body

    async def receive() -> dict[str, Any]:
        if remaining:
            body, last = remaining.pop(0), not remaining and ends in {"whole", "leaves"}
            return {"type": "http.request", "body": body, "more_body": not last}
        if ends in {"whole", "stalls"}:
            await asyncio.Event().wait()
        return {"type": "http.disconnect"}

    return receive


@dataclass
class ReceivedResponse:
    """The messages that an application sent."""

    messages: list[dict[str, Any]] = field(default_factory=list)

    async def send(self, message: dict[str, Any]) -> None:
        """Store a message."""
        self.messages.append(message)

    @property
    def status(self) -> int:
        """The status of the response."""
        return int(self.messages[0]["status"])

    @property
    def headers(self) -> dict[bytes, bytes]:
        """The headers of the response."""
        return dict(self.messages[0]["headers"])

    @property
    def whole(self) -> bool:
        """Return whether the response is complete."""
        return not self.messages[-1].get("more_body", False)

    @property
    def body(self) -> bytes:
        """The body of the response."""
        return b"".join(message["body"] for message in self.messages[1:])


def send_request(
    application: Application, receive: Receive, **scope_fields: Any
) -> ReceivedResponse:
    """Send one request and return the response; `scope_fields` override the ASGI scope."""
    response = ReceivedResponse()

    async def run() -> None:
        await application(build_scope(**scope_fields), receive, response.send)

    run_in_movable_loop(run())
    return response
