"""Translates an ASGI scope into a WSGI environment (PEP 3333), and response headers back.

Header values are bytes in ASGI and latin-1 text in WSGI, so no byte of a cookie is lost (S-116). A
header whose name contains an underscore is dropped: WSGI could not distinguish it from the one with
a hyphen, and `X_Forwarded_For` must not pass for the header of a proxy.
"""

import re
import sys
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import IO, TYPE_CHECKING, Any, Final
from urllib.parse import unquote_to_bytes

from itemsapi.problems import BadRequest
from itemsapi.web_addresses import address_behind_proxies, client_key

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

Scope = Mapping[str, Any]

_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_FORBIDDEN_IN_VALUE: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]|[^\x00-\xff]")
_UNPREFIXED: Final = {"CONTENT_TYPE", "CONTENT_LENGTH"}
# What joins the values of repeated headers: RFC 9113 section 8.2.3 for cookies, RFC 9110
# section 5.2 for all others.
_SEPARATORS: Final = {"HTTP_COOKIE": "; "}


def build_environ(scope: Scope, body: IO[bytes], *, multiprocess: bool) -> "WSGIEnvironment":
    """Return the environment of a request whose body is read from `body`."""
    host, port = scope["server"]
    peer, peer_port = scope["client"]
    environ: WSGIEnvironment = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(scope["raw_path"]).decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_PROTOCOL": "HTTP/1.0" if scope["http_version"] == "1" else "HTTP/1.1",
        "SERVER_NAME": host,
        "SERVER_PORT": port,
        "REMOTE_ADDR": peer,
        "REMOTE_PORT": peer_port,
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.input": body,
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": multiprocess,
        "wsgi.run_once": False,
    }
    for raw, value in scope["headers"]:
        name, text = _environ_name(raw), value.decode("latin-1")
        if name in environ:
            environ[name] += _SEPARATORS.get(name, ",") + text
        elif name:
            environ[name] = text
    return environ


@lru_cache(maxsize=512)
def _environ_name(raw: bytes) -> str:
    """Return the WSGI name of a header; an empty string for one that WSGI cannot represent."""
    if b"_" in raw:
        return ""
    name = raw.decode("latin-1").upper().replace("-", "_")
    return name if name in _UNPREFIXED else f"HTTP_{name}"


def header_values(scope: Scope, name: bytes) -> list[bytes]:
    """Return the values of all headers with this name; `name` is in lower case."""
    return [value for header_name, value in scope["headers"] if header_name == name]


def require_host(scope: Scope) -> None:
    """Raise `BadRequest` unless an HTTP/1.1 request has exactly one Host (RFC 9112 section 3.2).

    granian inserts an empty one if there is none.
    """
    hosts = header_values(scope, b"host")
    if scope["http_version"] != "1" and (len(hosts) != 1 or not hosts[0]):
        raise BadRequest("Send the header Host, once.")


def client_of_request(scope: Scope, hops: int) -> str:
    """Return the key of a client for scheduling, from its address behind the trusted proxies."""
    forwarded = b",".join(header_values(scope, b"x-forwarded-for")).decode("latin-1")
    return client_key(address_behind_proxies(scope["client"][0], forwarded, hops))


def encode_headers(headers: Iterable[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    """Return the headers of a response in the form of ASGI.

    Raise `ValueError` for an invalid header (RFC 9110 section 5): granian would reject it too late.
    """
    return [(_encode_name(name), _encode_value(value)) for name, value in headers]


@lru_cache(maxsize=512)
def _encode_name(name: str) -> bytes:
    if not _HEADER_NAME.fullmatch(name):
        raise ValueError(f"invalid header name: {name!r}")
    return name.lower().encode("latin-1")


def _encode_value(value: str) -> bytes:
    if not value.isprintable() and _FORBIDDEN_IN_VALUE.search(value):
        raise ValueError("a header value contains a forbidden character")
    return value.encode("latin-1")
