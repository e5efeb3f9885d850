"""Requests to a WSGI application in this process, and their processor time."""

import io
import itertools
import json
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from werkzeug.test import create_environ

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

Environ = dict[str, Any]


def environ(
    method: str, path: str, *, token: str = "", body: object = None, address: str = "127.0.0.1"
) -> Environ:
    """Return the WSGI environment of a request; a body is sent as JSON."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    made = create_environ(path, method=method, headers=headers, json=body)
    made["REMOTE_ADDR"] = address
    if body is not None:
        made["bench.body"] = made["wsgi.input"].read()
    return made


def send(app: "WSGIApplication", request: Environ) -> bytes:
    """Send a request; return the body. Raise `RuntimeError` unless it succeeds."""
    statuses: list[str] = []

    def start(status: str, _headers: object, _exc_info: object = None) -> Callable[[bytes], object]:
        statuses.append(status)
        return bytes  # nobody writes

    sent = dict(request)
    if "bench.body" in sent:
        sent["wsgi.input"] = io.BytesIO(sent.pop("bench.body"))
    chunks = app(sent, start)
    body = b"".join(chunks)
    if hasattr(chunks, "close"):
        chunks.close()
    if not statuses[0].startswith("2"):
        raise RuntimeError(f"{request['REQUEST_METHOD']} {request['PATH_INFO']}: {statuses[0]}")
    return body


def send_json(app: "WSGIApplication", method: str, path: str, **options: Any) -> dict[str, Any]:
    """Send a request; return the JSON object of the answer."""
    answer: dict[str, Any] = json.loads(send(app, environ(method, path, **options)))
    return answer


def microseconds(app: "WSGIApplication", requests: Sequence[Environ]) -> float:
    """Return the processor time of one of the requests, on the average."""
    start = time.process_time()
    for request in requests:
        send(app, request)
    return (time.process_time() - start) / len(requests) * 1e6


def addresses() -> Iterator[str]:
    """Yield client addresses, each once: no limit for an address ends a measurement."""
    for number in itertools.count(1):
        yield f"127.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
