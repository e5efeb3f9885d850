"""The bridge: what granian calls as ASGI, around an application that is WSGI.

A request goes four steps, and a thread is held for the third alone: its body comes, its turn comes,
the application answers, the answer is taken. The event loop does all the waiting. A refusal of the
bridge itself is a problem answer like any other: the application's edge makes it.
"""

import asyncio
import io
import time
from collections.abc import Callable
from contextvars import Context
from dataclasses import dataclass
from functools import partial
from typing import IO, TYPE_CHECKING, Any, Final, TypeVar

from itemsapi.problems import Problem, Unavailable
from itemsapi.rest.edge import REFUSED
from itemsapi.server.answers import PIECE, Answer, Outgoing, Send, answer_of
from itemsapi.server.bodies import Incoming, Long, Receive
from itemsapi.server.environ import Scope, client_of, demand_host, environ_of
from itemsapi.server.threads import Threads
from itemsapi.server.turns import Turns

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

T = TypeVar("T")

PATIENCE: Final = 10.0  # seconds a request waits for its turn
SWEEP: Final = 1.0  # seconds between two looks at who has waited too long
NOBODY: Final = ""  # whose turn the bridge's own work has, and the rest of what has begun


@dataclass(slots=True, eq=False)
class Job:
    """Work for a thread, and who waits for its outcome."""

    client: str
    work: Callable[[], Any]
    outcome: "asyncio.Future[Any]"
    since: float = 0.0


class Bridge:
    """An ASGI application around a WSGI application."""

    def __init__(
        self,
        application: "WSGIApplication",
        *,
        threads: int,
        trusted_proxies: int = 0,
        multiprocess: bool = False,
    ) -> None:
        """Take the application, how many threads run it, and how many proxies are believed."""
        self._application = application
        self._trusted_proxies, self._multiprocess = trusted_proxies, multiprocess
        self._outgoing = Outgoing()
        self._turns: Turns[Job] = Turns(self._outgoing.has_room)
        self._threads = Threads(self._work, threads)
        self._threads.start()
        self._sweeping = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        client = client_of(scope, self._trusted_proxies)
        context = Context()  # of this request alone, whichever thread works on it
        incoming = Incoming(scope, receive)
        try:
            demand_host(scope)
            body = await self._body(incoming)
        except Problem as problem:
            await self._send(send, incoming, await self._refusal(scope, problem), NOBODY, context)
            return
        with body:
            environ = environ_of(scope, body, multiprocess=self._multiprocess)
            try:
                answer = await self._in_turn(client, partial(self._run, environ, client, context))
            except Problem as problem:  # its turn did not come
                answer = await self._refusal(scope, problem)
            await self._send(send, incoming, answer, client, context)

    async def _body(self, incoming: Incoming) -> IO[bytes]:
        """Return the body as the application reads it. Raises problems."""
        small = await incoming.first()
        if small is not None:
            return small
        return io.BufferedReader(Long(incoming, self._threads.aside), PIECE)

    def _run(self, environ: "WSGIEnvironment", client: str, context: Context) -> Answer:
        """Run the application; in a thread."""
        answer = context.run(answer_of, self._application, environ)
        if answer.long:
            self._outgoing.hold(client, len(answer.body))
        return answer

    async def _refusal(self, scope: Scope, problem: Problem) -> Answer:
        """Return the answer that says a problem of the bridge's own."""
        environ = environ_of(scope, io.BytesIO(), multiprocess=self._multiprocess)
        environ[REFUSED] = problem
        return await self._in_turn(NOBODY, partial(self._run, environ, NOBODY, Context()))

    async def _send(
        self, send: Send, incoming: Incoming, answer: Answer, client: str, context: Context
    ) -> None:
        """Send an answer as fast as it is taken."""
        if not incoming.ended:
            answer.headers.append((b"connection", b"close"))
        await send(
            {"type": "http.response.start", "status": answer.status, "headers": answer.headers}
        )
        if answer.long:
            await self._stream(send, answer, client, context)
        else:
            await send({"type": "http.response.body", "body": answer.body})

    async def _stream(self, send: Send, answer: Answer, client: str, context: Context) -> None:
        """Send a long answer piece by piece; give up on a client that takes nothing."""

        def more() -> bytes:
            body = context.run(answer.more)
            self._outgoing.hold(client, len(body))
            return body

        body = answer.body
        try:
            while True:
                await self._outgoing.send(send, client, body)
                self._turns.look_again()
                if answer.rest is None:
                    break
                body = await self._in_turn(NOBODY, more)
            await send({"type": "http.response.body", "body": b""})
        except TimeoutError:
            self._turns.look_again()
            if answer.rest is not None:
                await self._in_turn(NOBODY, partial(context.run, answer.finish))

    async def _in_turn(self, client: str, work: Callable[[], T]) -> T:
        """Return what `work` does in a thread. Raises `Unavailable` if it has to wait too long."""
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[T] = loop.create_future()
        self._turns.add(Job(client, work, outcome))
        if not self._sweeping:
            self._sweeping = True
            loop.call_later(SWEEP, self._sweep)
        return await outcome

    def _sweep(self) -> None:
        """Turn away who has waited too long; come back while somebody waits."""
        for job in self._turns.expired(time.monotonic() - PATIENCE):
            job.outcome.set_exception(Unavailable)
        self._sweeping = bool(self._turns)
        if self._sweeping:
            asyncio.get_running_loop().call_later(SWEEP, self._sweep)

    def _work(self) -> None:
        """Do the next job; in a thread."""
        job = self._turns.take()
        try:
            outcome = job.work()
        except BaseException as error:  # noqa: BLE001 - it belongs to who waits for the outcome
            _tell(job.outcome, job.outcome.set_exception, error)
        else:
            _tell(job.outcome, job.outcome.set_result, outcome)


def _tell(future: "asyncio.Future[Any]", how: Callable[[Any], None], what: object) -> None:
    """Hand an outcome to the event loop."""

    def tell() -> None:
        if not future.done():
            how(what)

    future.get_loop().call_soon_threadsafe(tell)
