"""One request and its answer, in four steps of which a thread is held for the third alone.

Its body comes, its turn comes, the application answers, the answer is taken. The event loop does
all the waiting. A refusal of the server's own is a problem answer like any other: the application's
edge makes it.
"""

import asyncio
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import Context
from functools import partial
from typing import IO, Final, Protocol

from itemsapi.observability.logging import log
from itemsapi.problems import Problem
from itemsapi.server.bodies import BodyReceiver, LargeBody, LargeBodyReader, Receive
from itemsapi.server.environ import Scope, require_host
from itemsapi.server.pool import ThreadPool
from itemsapi.server.responses import CHUNK_BYTES, Response, Send

NO_CLIENT: Final = ""  # whose turn the server's own work has, and the rest of what has begun


class ApplicationCall(Protocol):
    """The application: it answers a request, or only words what went wrong before or in it."""

    def __call__(
        self, scope: Scope, body: IO[bytes], context: Context, error: Exception | None = None
    ) -> Response:
        """Return the answer, or its beginning."""


class Exchange:
    """One request of a client, and its answer."""

    def __init__(
        self, scope: Scope, client: str, receive: Receive, send: Send, pool: ThreadPool
    ) -> None:
        """Begin: from now on the body has its time to come."""
        self._scope, self._client, self._send, self._pool = scope, client, send, pool
        self._incoming = BodyReceiver(scope, receive)
        self._held: int | None = None  # bytes of the answer that are counted
        self._context = Context()  # of this request alone, whichever thread works on it

    async def run(self, call: ApplicationCall) -> None:
        """Have the request answered."""
        try:
            await self._run(call)
        finally:
            self._let_go_of_the_connection()

    def _let_go_of_the_connection(self) -> None:
        """The server hangs up only when nobody can receive or send any more.

        This exchange may live on in a cycle until that is collected: every part that a thread
        waited for leaves one.
        """
        self._incoming.close()
        del self._send

    async def _run(self, call: ApplicationCall) -> None:
        try:
            require_host(self._scope)
            body = await self._body()
        except Problem as problem:
            await self._give(await self._refusal(call, problem))
            return
        with body:
            try:
                answer = await self._pool.run(self._client, partial(self._answer, call, body))
            except Exception as error:  # noqa: BLE001 - its turn did not come, or nothing became of it
                answer = await self._refusal(call, error)
            await self._give(answer)

    async def _body(self) -> IO[bytes]:
        """Return the body as the application reads it. Raises problems."""
        small = await self._incoming.read_small()
        if small is not None:
            return small
        return LargeBodyReader(LargeBody(self._incoming, self._pool.step_aside), CHUNK_BYTES)

    def _answer(self, call: ApplicationCall, body: IO[bytes]) -> Response:
        """Run the application, and count what is long from the moment that it is there."""
        answer = call(self._scope, body, self._context)
        if answer.is_large:
            self._hold(len(answer.body))
        return answer

    async def _refusal(self, call: ApplicationCall, error: Exception) -> Response:
        """Return the answer that says what went wrong; it is short."""
        work = partial(call, self._scope, io.BytesIO(), self._context, error)
        try:
            return await self._pool.run(NO_CLIENT, work)
        finally:
            _forget_frames(error)

    async def _give(self, answer: Response) -> None:
        """Send an answer; after one to a request that was not read to its end, hang up."""
        if not self._incoming.is_complete:
            answer.headers.append((b"connection", b"close"))
        start = {"status": answer.status, "headers": answer.headers}
        try:
            await self._send({"type": "http.response.start", **start})
            if answer.is_large:
                await self._give_long(answer)
            else:
                await self._send({"type": "http.response.body", "body": answer.body})
        finally:
            self._let_go()
            if answer.remaining is not None:
                await self._pool.run(NO_CLIENT, partial(self._context.run, answer.finish))

    async def _give_long(self, answer: Response) -> None:
        try:
            with self._watched() as gone:
                await self._stream(answer, gone)
        except TimeoutError:
            pass  # nobody takes it
        except Exception:  # noqa: BLE001 - the status is sent: all that is left is to say so
            self._context.run(log.exception, "answer_cut_short")

    async def _stream(self, answer: Response, gone: Callable[[], bool]) -> None:
        """Send a long answer as it is taken. Raises `TimeoutError` if it is not."""
        body, answer.body = answer.body, b""  # it is let go of as it is sent
        while True:
            await self._pool.pending_responses.send(self._send, body, gone)
            if answer.remaining is None:
                break
            body = await self._pool.run(NO_CLIENT, partial(self._more, answer))
        await self._send({"type": "http.response.body", "body": b""})

    def _more(self, answer: Response) -> bytes:
        body = self._context.run(answer.read_chunk)
        self._hold(len(body))
        return body

    def _hold(self, size: int) -> None:
        """Count what is on its way to the client, in the place of what was before it.

        A stream counts from its beginning to its end: between two parts of it nobody slips in.
        """
        self._pool.pending_responses.reserve(self._client, size)
        if self._held is not None:
            self._pool.pending_responses.release(self._client, self._held)
        self._held = size

    def _let_go(self) -> None:
        """Forget it, and let the client go on."""
        if self._held is not None:
            self._pool.pending_responses.release(self._client, self._held)
            self._held = None
            self._pool.retry_skipped()

    @contextmanager
    def _watched(self) -> Iterator[Callable[[], bool]]:
        """Yield what tells whether the client has hung up.

        It can be told only once the body is there: until then the next thing heard is more of it.
        """
        if not self._incoming.is_complete:
            yield bool
            return
        farewell = asyncio.ensure_future(self._incoming.wait_for_disconnect())
        try:
            yield farewell.done
        finally:
            farewell.cancel()


def _forget_frames(error: BaseException) -> None:
    """Drop the tracebacks of an exception and of those before it.

    Their frames lead back to the frames of the server that called this exchange, which hold the
    connection. The context of the request keeps the exception, and is in a cycle with them.
    """
    chain = [error]
    for one in chain:
        one.__traceback__ = None
        before = (one.__cause__, one.__context__)
        chain += [each for each in before if each is not None and each not in chain]
