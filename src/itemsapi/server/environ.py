"""The request in the words of WSGI (PEP 3333), out of those of ASGI.

Header values are bytes there and latin-1 text here, so no byte of a cookie is lost (S-116). A
field name with an underscore is dropped: WSGI could not tell it from the one with a hyphen, and
`X_Forwarded_For` must not pass for what a proxy said.
"""

import re
import sys
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import IO, TYPE_CHECKING, Any, Final
from urllib.parse import unquote_to_bytes

from itemsapi.problems import BadRequest
from itemsapi.web_addresses import client_key

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

Scope = Mapping[str, Any]

_FIELD_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_NO_VALUE: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]|[^\x00-\xff]")
_BARE: Final = {"CONTENT_TYPE", "CONTENT_LENGTH"}
_GLUE: Final = {"HTTP_COOKIE": "; "}  # RFC 9113 section 8.2.3; all others RFC 9110 section 5.2


def build_environ(scope: Scope, body: IO[bytes], *, multiprocess: bool) -> "WSGIEnvironment":
    """Return the environment of a request whose body is read from `body`."""
    host, port = scope["server"]
    peer, peer_port = scope["client"]
    found: WSGIEnvironment = {
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
        name, text = _name(raw), value.decode("latin-1")
        if name:
            found[name] = f"{found[name]}{_GLUE.get(name, ',')}{text}" if name in found else text
    return found


@lru_cache(maxsize=512)
def _name(raw: bytes) -> str:
    """Return what a header field is called in WSGI; nothing for one that it has no word for."""
    if b"_" in raw:
        return ""
    name = raw.decode("latin-1").upper().replace("-", "_")
    return name if name in _BARE else f"HTTP_{name}"


def header_values(scope: Scope, name: bytes) -> list[bytes]:
    """Return what the header fields of one name say; `name` in small letters."""
    return [value for found, value in scope["headers"] if found == name]


def require_host(scope: Scope) -> None:
    """Raise `BadRequest` unless exactly one Host came with HTTP/1.1 (RFC 9112 section 3.2).

    granian puts an empty one in front where none came.
    """
    hosts = header_values(scope, b"host")
    if scope["http_version"] != "1" and (len(hosts) != 1 or not hosts[0]):
        raise BadRequest("Send the header Host, once.")


def client_of_request(scope: Scope, hops: int) -> str:
    """Return what stands for a client where clients take turns: its address behind the proxies."""
    peer: str = scope["client"][0]
    if hops:
        said = b",".join(header_values(scope, b"x-forwarded-for")).decode("latin-1").split(",")
        if len(said) >= hops:
            peer = said[-hops]
    return client_key(peer)


def encode_headers(headers: Iterable[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    """Return the header fields of an answer as ASGI takes them.

    Raises `ValueError` for what is none (RFC 9110 section 5): granian would say so too late.
    """
    return [(_field_name(name), _field_value(value)) for name, value in headers]


@lru_cache(maxsize=512)
def _field_name(name: str) -> bytes:
    if not _FIELD_NAME.fullmatch(name):
        raise ValueError(f"no name of a header field: {name!r}")
    return name.lower().encode("latin-1")


def _field_value(value: str) -> bytes:
    if not value.isprintable() and _NO_VALUE.search(value):
        raise ValueError("the value of a header field holds what none may")
    return value.encode("latin-1")
