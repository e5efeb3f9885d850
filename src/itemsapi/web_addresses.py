"""Addresses on the web: client addresses in one spelling (S-114), origins and the public URL."""

import functools
import ipaddress
import re
from urllib.parse import urlsplit

MAX_ADDRESS_LENGTH = 100  # characters; an IPv6 address with brackets, zone and port is shorter
ADDRESS_CACHE_SIZE = 4096
UNKNOWN_ADDRESS = "unknown"  # an unreadable address; the word of RFC 7239 section 6.2
NAT64_NETWORK = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052: IPv4 addresses inside IPv6
CLIENT_PREFIX_BITS = 64  # the part of an IPv6 address that identifies one client (RFC 6177)

_WITH_PORT = re.compile(r"(?:\[([0-9A-Fa-f:.]+(?:%[^\]]*)?)\]|([0-9.]+))(?::[0-9]{1,5})?")

_ORIGIN = re.compile(r"([a-z][a-z0-9+.\-]*)://(?:[a-z0-9._\-]+|\[[0-9a-f:.]+\])(:[0-9]+)?")
_LABEL = re.compile(r"(?=[A-Za-z0-9_-]{1,63}\Z)_*[A-Za-z0-9](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*", re.IGNORECASE)
_PUBLIC_URL = re.compile(
    r"https?://(?:[A-Za-z0-9._\-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]+)?"
    r"(?:/(?!\.\.?(?:/|$))[A-Za-z0-9._\-]+)*"  # no `.` or `..` segment: proxies resolve those
)
_DEFAULT_PORTS = {("http", ":80"), ("https", ":443")}  # browsers omit them


def client_address(text: str) -> str:
    """Return an address without port, brackets and zone, in its shortest spelling, or `unknown`.

    Return the IPv4 address for an IPv4 address inside IPv6 (IPv4-mapped, RFC 4291 section 2.5.5.2;
    NAT64).
    """
    return _parse_address(text) if len(text) <= MAX_ADDRESS_LENGTH else UNKNOWN_ADDRESS


@functools.lru_cache(maxsize=ADDRESS_CACHE_SIZE)  # most requests come from few clients
def _parse_address(text: str) -> str:
    address = text.strip(" \t")
    if match := _WITH_PORT.fullmatch(address):
        address = match[1] or match[2]
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])  # a zone is local to this host
    except ValueError:
        return UNKNOWN_ADDRESS
    if isinstance(ip, ipaddress.IPv6Address):
        nat64 = ipaddress.IPv4Address(ip.packed[-4:]) if ip in NAT64_NETWORK else None
        return str(ip.ipv4_mapped or nat64 or ip)
    return str(ip)


def address_behind_proxies(peer: str, forwarded: str, hops: int) -> str:
    """Return the address of a client that sends its requests through `hops` trusted proxies.

    `peer` is the address of the connection, `forwarded` the whole `X-Forwarded-For`. Each trusted
    proxy adds one value at its end; the client can write all others. It is split at commas only:
    with a parser that honours quotes, a client could hide what the proxies add. With fewer values
    than proxies the address is `unknown`: the request bypassed a proxy, or the client made one drop
    the header (`Connection: X-Forwarded-For`). `peer` may then be a proxy, and is no client.
    """
    if not hops:
        return client_address(peer)
    values = forwarded.split(",")
    return client_address(values[-hops]) if len(values) >= hops else UNKNOWN_ADDRESS


def client_key(address: str) -> str:
    """Return the name of a client: its address, or the /64 of its IPv6 address (CVE-2026-45364).

    All clients with an unreadable address share the name `unknown`, which no readable address has.
    It must never count as a known client: a client can make its own address unreadable.
    """
    normalized = client_address(address)
    return _client_network(normalized) if ":" in normalized else normalized


@functools.lru_cache(maxsize=ADDRESS_CACHE_SIZE)
def _client_network(address: str) -> str:
    return str(ipaddress.ip_network((address, CLIENT_PREFIX_BITS), strict=False))


def is_origin(text: str) -> bool:
    """Return whether a browser can send this as the origin of a page (RFC 6454 section 6.2).

    Apps in a web view have schemes of their own (`capacitor://localhost`). `file` is not accepted:
    all files share that origin.
    """
    match = _ORIGIN.fullmatch(text)
    if match is None or match[1] == "file" or match.groups() in _DEFAULT_PORTS:
        return False
    return _has_valid_host(text)


def is_public_url(text: str) -> bool:
    """Return whether this can be the service's own URL: http(s), host, optional port and path."""
    return bool(_PUBLIC_URL.fullmatch(text)) and _has_valid_host(text)


def _has_valid_host(url: str) -> bool:
    """Return whether the host and the port of a URL can exist."""
    try:
        parts = urlsplit(url)
        custom_scheme = parts.scheme not in {"http", "https"}  # apps use any host name: app://-
        return parts.port != 0 and (custom_scheme or _is_host(parts.hostname or ""))
    except ValueError:  # a port beyond 65535, or brackets around something else than IPv6
        return False


def _is_host(name: str) -> bool:
    """Return whether a browser can connect to a host of this name: labels of letters and digits.

    A name that ends in a number must be an IPv4 address (URL Standard, "ends in a number").
    """
    if ":" in name:
        return True  # an IPv6 address: `urlsplit` has validated it
    labels = name.removesuffix(".").split(".")
    if _NUMBER.fullmatch(labels[-1]):
        return str(ipaddress.IPv4Address(name)) == name
    return all(map(_LABEL.fullmatch, labels))
