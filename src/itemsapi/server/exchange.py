"""One request and its response, in four steps; only the third occupies a thread.

The body is received, the request waits for a thread, the application runs, the response is sent. A
part of a response that the application has yet to generate occupies a thread too.
The event loop does all the waiting. An error of the server itself becomes a problem response like
any other: the application's middleware renders it.
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
from itemsapi.server.pool import NoThreadFree, ThreadPool
from itemsapi.server.responses import CHUNK_BYTES, Response, Send

NO_CLIENT: Final = ""  # for work of the server itself, and for the rest of a started response


class ApplicationCall(Protocol):
    """Runs the application for a request, or only renders an error from before or during it."""

    def __call__(
        self, scope: Scope, body: IO[bytes], context: Context, error: Exception | None = None
    ) -> Response:
        """Return the response, or its beginning."""


class Exchange:
    """One request of a client, and its response."""

    def __init__(
        self, scope: Scope, client: str, receive: Receive, send: Send, pool: ThreadPool
    ) -> None:
        """Start the deadline of the body."""
        self._scope, self._client, self._send, self._pool = scope, client, send, pool
        self._receiver = BodyReceiver(scope, receive)
        self._reserved_bytes: int | None = None  # of the response
        self._context = Context()  # of this request alone, whichever thread works on it

    async def run(self, call: ApplicationCall) -> None:
        """Run the application and send its response."""
        try:
            await self._run(call)
        finally:
            self._release_connection()

    def _release_connection(self) -> None:
        """Drop the callables of the connection: the server closes it when nothing refers to them.

        This exchange may stay in a reference cycle until garbage collection: each part that a
        thread waits for creates one.
        """
        self._receiver.close()
        del self._send

    async def _run(self, call: ApplicationCall) -> None:
        try:
            require_host(self._scope)
            body = await self._body()
        except Problem as problem:
            await self._send_response(await self._error_response(call, problem))
            return
        with body:
            try:
                response = await self._pool.run(
                    self._client, partial(self._run_application, call, body)
                )
            except Exception as error:  # noqa: BLE001 - no thread was free, or the application failed
                response = await self._error_response(call, error)
            await self._send_response(response)

    async def _body(self) -> IO[bytes]:
        """Return the body as the application reads it. Raise problems."""
        small = await self._receiver.read_small()
        if small is not None:
            return small
        return LargeBodyReader(LargeBody(self._receiver, self._pool.step_aside), CHUNK_BYTES)

    def _run_application(self, call: ApplicationCall, body: IO[bytes]) -> Response:
        """Run the application, and reserve a large response from the moment that it exists."""
        response = call(self._scope, body, self._context)
        if response.is_large:
            self._reserve(len(response.body))
        return response

    async def _error_response(self, call: ApplicationCall, error: Exception) -> Response:
        """Return the problem response for an error.

        A thread renders it; the event loop does if no thread is free, which takes it less than a
        millisecond: that response must not wait for a thread too.
        """
        work = partial(call, self._scope, io.BytesIO(), self._context, error)
        try:
            if isinstance(error, NoThreadFree):
                return work()
            return await self._pool.run(NO_CLIENT, work)
        finally:
            _clear_tracebacks(error)

    async def _send_response(self, response: Response) -> None:
        """Send a response; close the connection if the request was not read to its end."""
        if not self._receiver.is_complete:
            response.headers.append((b"connection", b"close"))
        start = {"status": response.status, "headers": response.headers}
        try:
            await self._pool.refusals.pause(response, self._scope["client"])
            await self._send({"type": "http.response.start", **start})
            if response.is_large:
                await self._send_large(response)
            else:
                await self._send({"type": "http.response.body", "body": response.body})
        finally:
            self._release()
            if response.remaining is not None:
                await self._pool.run(NO_CLIENT, partial(self._context.run, response.finish))

    async def _send_large(self, response: Response) -> None:
        try:
            with self._watch_disconnect() as is_disconnected:
                await self._stream(response, is_disconnected)
        except TimeoutError:
            pass  # the client does not read
        except Exception as error:  # noqa: BLE001 - the status is sent: it can only be logged
            self._context.run(partial(log.error, "response_cut_short", error=error))

    async def _stream(self, response: Response, is_disconnected: Callable[[], bool]) -> None:
        """Send a large response as fast as the client reads. Raise `TimeoutError` if it stops."""
        body, response.body = response.body, b""  # do not keep what is sent
        while True:
            await self._pool.pending_responses.send(self._send, body, is_disconnected)
            if response.remaining is None:
                break
            body = await self._pool.run(NO_CLIENT, partial(self._read_chunk, response))
        await self._send({"type": "http.response.body", "body": b""})

    def _read_chunk(self, response: Response) -> bytes:
        body = self._context.run(response.read_chunk)
        self._reserve(len(body))
        return body

    def _reserve(self, size: int) -> None:
        """Reserve the bytes of the next chunk for the client, then release those of the last one.

        In this order a stream is counted from its beginning to its end: between two chunks no other
        request of the client gets in.
        """
        self._pool.pending_responses.reserve(self._client, size)
        if self._reserved_bytes is not None:
            self._pool.pending_responses.release(self._client, self._reserved_bytes)
        self._reserved_bytes = size

    def _release(self) -> None:
        """Release the reserved bytes, so that further requests of the client may run."""
        if self._reserved_bytes is not None:
            self._pool.pending_responses.release(self._client, self._reserved_bytes)
            self._reserved_bytes = None
            self._pool.retry_skipped()

    @contextmanager
    def _watch_disconnect(self) -> Iterator[Callable[[], bool]]:
        """Yield a function that returns whether the client has disconnected.

        That is known only once the body is complete: before that, the next message is a part of it.
        """
        if not self._receiver.is_complete:
            yield lambda: False
            return
        disconnect = asyncio.ensure_future(self._receiver.wait_for_disconnect())
        try:
            yield disconnect.done
        finally:
            disconnect.cancel()


def _clear_tracebacks(error: BaseException) -> None:
    """Drop the tracebacks of an exception, of its causes and of its contexts.

    Their frames lead back to the frames of the server that called this exchange, which hold the
    connection. The context of the request keeps the exception, and is in a cycle with them.
    """
    chain = [error]
    for exception in chain:
        exception.__traceback__ = None
        for previous in (exception.__cause__, exception.__context__):
            if previous is not None and all(previous is not known for known in chain):
                chain.append(previous)
