"""The socket that all workers share, and how many connections it may bring.

One socket for all: when a worker dies, those who wait to be accepted are met by the others.
"""

import resource
import socket
import sys
from typing import Final

MAX_CONNECTIONS: Final = 4096  # that wait to be accepted, and that one worker keeps
OTHER_FILES: Final = 128  # files a worker needs beside its connections
SEND_TIMEOUT_MILLISECONDS: Final = (
    30_000  # milliseconds in which a client has to take what was sent (S-111)
)


class CannotListen(OSError):
    """The address cannot be listened on; the message says why."""


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens on an address, or a name of one. Raises `CannotListen`."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        # Of a name that means two addresses the older one: what speaks of `localhost` tries both.
        family, kind, proto, _, address = min(found, key=lambda one: one[0] != socket.AF_INET)
        listener = socket.socket(family, kind, proto)
    except (OSError, UnicodeError) as error:
        raise _cannot(host, port, error) from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if sys.platform == "linux":  # what is accepted inherits it
            listener.setsockopt(
                socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, SEND_TIMEOUT_MILLISECONDS
            )
        listener.bind(address)
        listener.listen(MAX_CONNECTIONS)
    except OSError as error:
        listener.close()
        raise _cannot(host, port, error) from error
    return listener


def raise_file_limit() -> int:
    """Let workers open as many files as they may; return how many connections one can keep."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_CONNECTIONS + OTHER_FILES
    allowed = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
        soft = allowed
    return (
        MAX_CONNECTIONS
        if soft == resource.RLIM_INFINITY
        else max(64, min(soft, wanted) - OTHER_FILES)
    )


def _cannot(host: str, port: int, error: Exception) -> CannotListen:
    why = getattr(error, "strerror", None) or error
    return CannotListen(f"cannot listen on {host}:{port}: {why}")
