"""Send requests to one host, and to no other.

Responses come from a service that may be hostile. So redirects are not followed, no proxy and no
cookie is used, and a response that takes too long or is too large is cut off.
"""

import http.client
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Final
from urllib.parse import urlsplit

from itemsapi.verify.failures import CannotVerify

TIMEOUT_SECONDS: Final = 10.0  # for the whole exchange, from the connection to the last byte
MAX_RESPONSE_BYTES: Final = 1024 * 1024
MAX_DOCUMENT_BYTES: Final = 8 * 1024 * 1024
MAX_WAIT_SECONDS: Final = 120.0  # the sum of all waits that `Retry-After` asks for, in one run
MAX_SILENCES: Final = 3  # exchanges without a response, one after the other, that end the run
_SUCCESS, _TOO_MANY_REQUESTS = 2, 429


@dataclass(frozen=True, slots=True)
class Request:
    """A request without credentials: its target is the path with the query, as it is sent."""

    method: str
    target: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def with_headers(self, **headers: str) -> "Request":
        """Return the request with more headers; `_` stands for `-`."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return replace(self, headers={**self.headers, **named})


@dataclass(frozen=True, slots=True)
class Response:
    """What came back: a status, headers by lower-case name, and at most `MAX_RESPONSE_BYTES`."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def succeeded(self) -> bool:
        """Whether the service did what was asked: a 2xx, or "you have it already" (304)."""
        return self.status // 100 == _SUCCESS or self.status == http.client.NOT_MODIFIED

    @property
    def json(self) -> object:
        """The body as JSON; None if it is not JSON."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None


class NoResponse(Exception):
    """No complete response came: no connection, too slow, too large, or not HTTP."""


class Wire:
    """The way to one host. It counts the requests and stops when the service is silent."""

    def __init__(self, url: str, *, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self._timeout = timeout_seconds
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise CannotVerify(f"{url!r} is no address; write http://host:port/openapi.json")
        if parts.username is not None:
            raise CannotVerify("the address must not contain a user; use --login")
        self._https, self._host = parts.scheme == "https", parts.hostname
        try:
            self._port = parts.port or (443 if self._https else 80)
        except ValueError:
            raise CannotVerify(f"the port in {url!r} is no number up to 65535") from None
        self.origin = f"{parts.scheme}://{parts.netloc}"
        self.requests = 0
        self._silences, self._waited = 0, 0.0

    def send(self, request: Request, *, limit: int = MAX_RESPONSE_BYTES) -> Response:
        """Send a request and return the response; wait and repeat it once if there were too many.

        Raise `NoResponse`, and `CannotVerify` when the service is silent again and again.
        """
        response = self._exchange(request, limit)
        wait = _retry_after(response)
        if response.status == _TOO_MANY_REQUESTS and self._waited + wait <= MAX_WAIT_SECONDS:
            self._waited += wait
            time.sleep(wait)
            response = self._exchange(request, limit)
        return response

    def _exchange(self, request: Request, limit: int) -> Response:
        self.requests += 1
        try:
            response = self._attempt(request, limit)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self._silences += 1
            reason = _reason(error, https=self._https)
            if self._silences >= MAX_SILENCES:
                raise CannotVerify(f"{self.origin} does not respond: {reason}") from error
            raise NoResponse(reason) from error
        self._silences = 0
        return response

    def _attempt(self, request: Request, limit: int) -> Response:
        connection = self._connection()
        try:
            connection.connect()
            with _deadline(connection, self._timeout):
                connection.putrequest(request.method, request.target, skip_accept_encoding=True)
                for name, value in _framed(request).items():
                    connection.putheader(name, value.encode("latin-1", "replace"))
                connection.endheaders(request.body or None)
                response = connection.getresponse()
                body = response.read(limit + 1)
                headers = {name.lower(): value for name, value in response.getheaders()}
        finally:
            connection.close()
        if len(body) > limit:
            raise ValueError(f"the response has more than {limit} bytes")
        return Response(response.status, headers, body)

    def _connection(self) -> http.client.HTTPConnection:
        if self._https:
            context = ssl.create_default_context()
            return http.client.HTTPSConnection(
                self._host, self._port, timeout=self._timeout, context=context
            )
        return http.client.HTTPConnection(self._host, self._port, timeout=self._timeout)


@contextmanager
def _deadline(connection: http.client.HTTPConnection, seconds: float) -> Iterator[None]:
    """End an exchange after some seconds: a socket's own timeout begins anew at each byte."""
    line, expired = connection.sock, threading.Event()

    def cut() -> None:
        """Close the socket in both directions."""
        expired.set()
        with suppress(OSError):
            line.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(seconds, cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    except (OSError, http.client.HTTPException, ValueError) as error:
        if expired.is_set():  # the cut looks like a response that ends too early
            raise TimeoutError from error
        raise
    finally:
        timer.cancel()
    if expired.is_set():
        raise TimeoutError


def _framed(request: Request) -> dict[str, str]:
    headers = {"Accept": "*/*", "User-Agent": "itemsapi-verify", **request.headers}
    if request.body or request.method in {"POST", "PUT", "PATCH"}:
        headers["Content-Length"] = str(len(request.body))
    return {**headers, "Connection": "close"}


def _retry_after(response: Response) -> float:
    """Return the seconds that the service asks to wait; 1 if it does not say."""
    text = response.headers.get("retry-after", "")
    return float(text) if text.isdecimal() and len(text) < len("1000") else 1.0


_NEEDS_CERTIFICATE: Final = (
    "the connection was ended; if it demands a certificate of the client, verify it at an address"
    " behind what demands it"
)
_TLS_REASONS: Final = {
    "SSLV3_ALERT_HANDSHAKE_FAILURE": _NEEDS_CERTIFICATE,
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": _NEEDS_CERTIFICATE,
    "WRONG_VERSION_NUMBER": "it speaks no TLS there; try http:// in place of https://",
}


def _reason(error: Exception, *, https: bool) -> str:
    """Return why there is no response; say for TLS what to do, because OpenSSL does not."""
    if isinstance(error, TimeoutError):
        return "the response takes too long"
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"its certificate is not trusted ({error.verify_message}); name a file with the"
            " certificate of its CA in SSL_CERT_FILE"
        )
    if https and isinstance(error, ConnectionResetError | ssl.SSLEOFError):  # after the handshake
        return _NEEDS_CERTIFICATE
    text = (str(error).splitlines() or [type(error).__name__])[0]
    return _TLS_REASONS.get(getattr(error, "reason", ""), text)
