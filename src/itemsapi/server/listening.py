"""The listening socket that all workers share, and how many connections a worker can keep.

The workers share one socket, so that when one dies the others accept the waiting connections.
"""

import errno
import resource
import socket
import sys
from typing import Final

from itemsapi.operator_error import OperatorError

MAX_CONNECTIONS: Final = 4096  # waiting to be accepted, and open in one worker
OTHER_FILES: Final = 128  # that a worker opens besides its connections
SEND_TIMEOUT_MILLISECONDS: Final = 30_000  # within which a client has to read sent data (S-111)


class CannotListen(OperatorError, OSError):
    """It is impossible to listen on the address; the message says why."""


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens on an address or host name. Raise `CannotListen`."""
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        # If a name has both, take IPv4: clients that connect to `localhost` try both.
        family, kind, proto, _, address = min(addresses, key=lambda info: info[0] != socket.AF_INET)
        listener = socket.socket(family, kind, proto)
    except (OSError, UnicodeError) as error:
        raise _cannot_listen(host, port, error) from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if sys.platform == "linux":  # accepted sockets inherit it
            listener.setsockopt(
                socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, SEND_TIMEOUT_MILLISECONDS
            )
        listener.bind(address)
        listener.listen(MAX_CONNECTIONS)
    except OSError as error:
        listener.close()
        raise _cannot_listen(host, port, error) from error
    return listener


def raise_file_limit() -> int:
    """Raise the limit of open files as needed; return how many connections a worker can keep."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = MAX_CONNECTIONS + OTHER_FILES
    allowed = needed if hard == resource.RLIM_INFINITY else min(hard, needed)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
        soft = allowed
    return (
        MAX_CONNECTIONS
        if soft == resource.RLIM_INFINITY
        else max(64, min(soft, needed) - OTHER_FILES)
    )


def _cannot_listen(host: str, port: int, error: Exception) -> CannotListen:
    reason = getattr(error, "strerror", None) or error
    is_used = getattr(error, "errno", None) == errno.EADDRINUSE
    advice = "; stop the program that listens there, or name another --port" if is_used else ""
    return CannotListen(f"cannot listen on {host}:{port}: {reason}{advice}")
