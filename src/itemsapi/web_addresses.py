"""Addresses on the web: of clients, in one spelling (S-114), of pages, and our own."""

import functools
import ipaddress
import re
from urllib.parse import urlsplit

LONGEST = 100  # characters; an IPv6 address with brackets, zone and port has fewer
REMEMBERED = 4096
UNKNOWN = "unknown"  # what nobody could read; the word of RFC 7239 section 6.2
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052: the IPv4 internet, seen from an IPv6 host
NETWORK_BITS = 64  # of an IPv6 address: what one client is given (RFC 6177)

_WITH_PORT = re.compile(r"(?:\[([0-9A-Fa-f:.]+(?:%[^\]]*)?)\]|([0-9.]+))(?::[0-9]{1,5})?")

_ORIGIN = re.compile(r"([a-z][a-z0-9+.\-]*)://(?:[a-z0-9._\-]+|\[[0-9a-f:.]+\])(:[0-9]+)?")
_LABEL = re.compile(r"(?=[A-Za-z0-9_-]{1,63}\Z)_*[A-Za-z0-9](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*", re.IGNORECASE)
_PUBLIC_URL = re.compile(
    r"https?://(?:[A-Za-z0-9._\-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]+)?"
    r"(?:/(?!\.\.?(?:/|$))[A-Za-z0-9._\-]+)*"  # no segment that a proxy would read in its own way
)
_USUAL_PORTS = {("http", ":80"), ("https", ":443")}  # browsers leave them out


def client_address(text: str) -> str:
    """Return an address without port, brackets and zone, in its shortest spelling, or `unknown`.

    An IPv4 address in IPv6 clothes (mapped, RFC 4291 section 2.5.5.2; NAT64) is the IPv4 address.
    """
    return _read(text) if len(text) <= LONGEST else UNKNOWN


@functools.lru_cache(maxsize=REMEMBERED)  # most requests come from few clients
def _read(text: str) -> str:
    bare = text.strip(" \t")
    if match := _WITH_PORT.fullmatch(bare):
        bare = match[1] or match[2]
    try:
        ip = ipaddress.ip_address(bare.partition("%")[0])  # a zone says which of our own links
    except ValueError:
        return UNKNOWN
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or (ipaddress.IPv4Address(ip.packed[-4:]) if ip in NAT64 else None)
        return str(inner or ip)
    return str(ip)


def client_key(address: str) -> str:
    """Name a client by its address, an IPv6 client by its /64 (CVE-2026-45364).

    All whose address nobody could read are one client, `unknown`, who shares its name with no other
    and must never count as known: a client can make its own address unreadable.
    """
    found = client_address(address)
    return _network(found) if ":" in found else found


@functools.lru_cache(maxsize=REMEMBERED)
def _network(address: str) -> str:
    return str(ipaddress.ip_network((address, NETWORK_BITS), strict=False))


def is_origin(text: str) -> bool:
    """Tell whether a browser can send this as the origin of a page (RFC 6454 section 6.2).

    Apps in a web view have schemes of their own (`capacitor://localhost`); all files share `file`.
    """
    match = _ORIGIN.fullmatch(text)
    if match is None or match[1] == "file" or match.groups() in _USUAL_PORTS:
        return False
    return _possible(text)


def is_public_url(text: str) -> bool:
    """Tell whether this can be our own address: http(s), a host, perhaps a port and a path."""
    return bool(_PUBLIC_URL.fullmatch(text)) and _possible(text)


def _possible(url: str) -> bool:
    """Tell whether the host and the port of an address can exist."""
    try:
        parts = urlsplit(url)
        own = parts.scheme not in {"http", "https"}  # apps name hosts as they like: app://-
        return parts.port != 0 and (own or _is_host(parts.hostname or ""))
    except ValueError:  # a port beyond 65535, or brackets around what is no IPv6 address
        return False


def _is_host(name: str) -> bool:
    """Tell whether a browser can reach a host of this name: its labels are letters and digits.

    One that ends in a number is an IPv4 address, or none (URL Standard, "ends in a number").
    """
    if ":" in name:
        return True  # in brackets, and an IPv6 address, as `urlsplit` has found out
    labels = name.removesuffix(".").split(".")
    if _NUMBER.fullmatch(labels[-1]):
        return str(ipaddress.IPv4Address(name)) == name
    return all(map(_LABEL.fullmatch, labels))
