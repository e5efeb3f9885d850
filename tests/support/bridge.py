"""A bridge from ASGI to WSGI around small applications, for tests of the server."""

import json
from typing import TYPE_CHECKING, Any

from itemsapi.rest.default_headers import Cors, ResponseHeaders
from itemsapi.rest.middleware import Middleware, Proxies
from itemsapi.rest.unlisted_origins import UnlistedOrigins
from itemsapi.server.bridge import Bridge
from itemsapi.server.responses import CHUNK_BYTES
from support.asgi import ReceivedResponse

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

TEST_TIMEOUT_SECONDS = 20.0  # on a machine that does other things too
LARGE_BYTES = 3 * CHUNK_BYTES + 17
CHUNKED = [(b"host", b"api"), (b"transfer-encoding", b"chunked")]


def bridge(app: Any) -> Bridge:
    """Return a bridge to an application, with the middleware that renders its errors."""
    headers = ResponseHeaders(Cors(()), UnlistedOrigins(()), tls=False)
    middleware = Middleware(app, "http://api/problems", Proxies("http://api", 0), headers)
    return Bridge(middleware, threads=1)


def echo(environ: "WSGIEnvironment", start: "StartResponse") -> list[bytes]:
    """Respond with the request body."""
    body = environ["wsgi.input"].read()
    start("200 OK", [("Content-Length", str(len(body)))])
    return [body]


def sized_headers(body: bytes) -> list[tuple[bytes, bytes]]:
    """Return the headers that announce a body of this size."""
    return [(b"host", b"api"), (b"content-length", str(len(body)).encode())]


def status_and_code(response: ReceivedResponse) -> tuple[int, str]:
    """Return the status and the code of a problem response."""
    return response.status, json.loads(response.body)["code"]
