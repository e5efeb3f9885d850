"""The bridge: what granian calls as ASGI, around an application that is WSGI."""

from contextvars import Context
from typing import IO, TYPE_CHECKING

from itemsapi.rest.middleware import REFUSED
from itemsapi.server.bodies import Receive
from itemsapi.server.environ import Scope, client_of, environ_of
from itemsapi.server.exchange import Exchange
from itemsapi.server.pool import Pool
from itemsapi.server.responses import Answer, Send, answer_of

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


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
        self._pool = Pool(threads)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        client = client_of(scope, self._trusted_proxies)
        await Exchange(scope, client, receive, send, self._pool).run(self._call)

    def held(self, client: str) -> int:
        """Return how many bytes of answers are on their way to a client."""
        return self._pool.outgoing.held(client)

    def _call(
        self, scope: Scope, body: IO[bytes], context: Context, error: Exception | None = None
    ) -> Answer:
        """Run the application, or only have it word what went wrong; in a thread."""
        environ = environ_of(scope, body, multiprocess=self._multiprocess)
        if error:
            environ[REFUSED] = error
        return context.run(answer_of, self._application, environ)
