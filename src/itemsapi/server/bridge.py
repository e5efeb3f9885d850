"""The bridge: an ASGI application, which granian calls, around a WSGI application."""

from contextvars import Context
from typing import IO, TYPE_CHECKING

from itemsapi.rest.middleware import SERVER_PROBLEM
from itemsapi.server.bodies import Receive
from itemsapi.server.environ import Scope, build_environ, client_of_request
from itemsapi.server.exchange import Exchange
from itemsapi.server.pool import ThreadPool
from itemsapi.server.responses import Response, Send, run_application

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
        """Take the application, how many threads run it, and how many proxies are trusted."""
        self._application = application
        self._trusted_proxies, self._multiprocess = trusted_proxies, multiprocess
        self._pool = ThreadPool(threads)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        client = client_of_request(scope, self._trusted_proxies)
        await Exchange(scope, client, receive, send, self._pool).run(self._call)

    def pending_bytes(self, client: str) -> int:
        """Return how many bytes of responses are pending for a client."""
        return self._pool.pending_responses.pending_bytes(client)

    def _call(
        self, scope: Scope, body: IO[bytes], context: Context, error: Exception | None = None
    ) -> Response:
        """Run the application, or only let its middleware render an error; in a thread."""
        environ = build_environ(scope, body, multiprocess=self._multiprocess)
        if error:
            environ[SERVER_PROBLEM] = error
        return context.run(run_application, self._application, environ)
