"""The raw body of a request: read once within a limit, and readable again by all others.

The gate reads it for a signature, the parsers for their arguments. Views, WSGI applications behind
`wsgi_guard` and everything else that reads `wsgi.input` still find it there.
"""

import io
from typing import TYPE_CHECKING

from flask import Request
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge
from werkzeug.wsgi import get_input_stream

from itemsapi.problems import BadRequest, BodyTooLarge

if TYPE_CHECKING:
    from _typeshed import SupportsRead, WriteableBuffer

RAW_BODY = "itemsapi_raw_body"  # of the request object


def read_raw_body(request: Request, limit: int) -> bytes:
    """Return the raw body of at most `limit` bytes, whether its length is declared or not.

    Raise `BodyTooLarge`, or `BadRequest` if it ends too early.
    """
    body: bytes | None = getattr(request, RAW_BODY, None)
    if body is None:
        body = _read(request, limit)
    if len(body) > limit:
        raise _too_large(limit)
    return body


def _read(request: Request, limit: int) -> bytes:
    """Return the body, of which no more than one byte above the limit is read.

    Who reads a body after that, within a higher limit, finds the bytes that were read as well.
    """
    try:
        if "stream" in vars(request):  # the application reads it, within its own limit
            return request.get_data()
        # The limit of the request itself may be one that cannot be set: a property of a subclass.
        body = get_input_stream(request.environ, max_content_length=limit + 1).read()
    except RequestEntityTooLarge:
        raise _too_large(limit) from None
    except ClientDisconnected:
        raise BadRequest("The body ended too early.") from None
    if len(body) > limit and request.content_length is None:
        rest = request.environ["wsgi.input"]
        request.environ["wsgi.input"] = io.BufferedReader(_Joined(io.BytesIO(body), rest))
        return body
    request.environ["wsgi.input"] = io.BytesIO(body)
    vars(request)["stream"] = io.BytesIO(body)  # without a limit: it is checked
    setattr(request, RAW_BODY, body)
    return body


class _Joined(io.RawIOBase):
    """What was read of a body, and then the rest of it."""

    def __init__(self, *parts: "SupportsRead[bytes]") -> None:
        """Take the parts in their order."""
        self._parts = parts

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        """Read into the buffer, and return the number of bytes; 0 at the end."""
        view = memoryview(buffer)
        for part in self._parts:
            if data := part.read(len(view)):
                view[: len(data)] = data
                return len(data)
        return 0


def _too_large(limit: int) -> BodyTooLarge:
    return BodyTooLarge(f"The body may have at most {limit} bytes.")
