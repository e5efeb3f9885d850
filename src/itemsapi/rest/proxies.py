"""Proxies: the client's address and the path of a request, put right before anybody reads them.

Of all that proxies say about a client one header is believed, `X-Forwarded-For`, and of it as many
values as the operator counts proxies, from the end: who asks can write the rest. It is cut at each
comma and at nothing else; a parser that heeds quotes lets a client swallow what the proxies add.
Scheme, host and path are what `PUBLIC_URL` says, so `X-Forwarded-Proto`, `-Host`, `-Prefix` and
`Forwarded` (RFC 7239) are not read at all: one that a proxy does not overwrite is the client's own.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from itemsapi.observability.logging import log
from itemsapi.settings import ENV_PREFIX, Settings, SettingsError
from itemsapi.web_addresses import UNKNOWN_ADDRESS, client_address

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

# Whose path stands behind the name, not before it (RFC 8414 section 3.1, RFC 9728 section 3.1).
WELL_KNOWN = (
    "/.well-known/oauth-authorization-server",
    "/.well-known/oauth-protected-resource",
)


class Proxies:
    """Knows what stands between clients and this service."""

    def __init__(self, public_url: str, hops: int) -> None:
        """Take our own address, as clients see it, and how many proxies tell theirs."""
        address = urlsplit(public_url)
        self._https, self._path = address.scheme == "https", address.path
        self._well_known = {f"{name}{self._path}": name for name in WELL_KNOWN}
        self._hops = hops
        self._warned = False

    def correct(self, environ: "WSGIEnvironment") -> None:
        """Write what is true about a request where a WSGI application looks for it."""
        environ["REMOTE_ADDR"] = self._address(environ)
        if self._https:
            environ["wsgi.url_scheme"] = "https"
        if self._path:
            self._take_off(environ)

    def _address(self, environ: "WSGIEnvironment") -> str:
        """Return the client's address. A request that passed fewer proxies than counted has none.

        It came another way, or a proxy was made to drop the header (`Connection: X-Forwarded-For`):
        the address of whoever connected would be that of a proxy, and count as a client's.
        """
        if not self._hops:
            return client_address(environ.get("REMOTE_ADDR", ""))
        told = environ.get("HTTP_X_FORWARDED_FOR", "").split(",")
        found = client_address(told[-self._hops]) if len(told) >= self._hops else UNKNOWN_ADDRESS
        if found == UNKNOWN_ADDRESS and not self._warned:  # once: who asks can bring it about
            self._warned = True
            log.warning("client_address_unknown", trusted_proxies=self._hops, request_id="-")
        return found

    def _take_off(self, environ: "WSGIEnvironment") -> None:
        """Move the public path from `PATH_INFO` to `SCRIPT_NAME`, or add it there (PEP 3333).

        Whether the proxy took it off or not, everything behind sees the same.
        """
        path = environ.get("PATH_INFO", "")
        mounted = environ.get("SCRIPT_NAME") == self._path
        if not mounted and f"{path}/".startswith(f"{self._path}/"):
            environ["PATH_INFO"] = path.removeprefix(self._path)
        else:
            environ["PATH_INFO"] = self._well_known.get(path, path)
        environ["SCRIPT_NAME"] = self._path


def demand_own_path(settings: Settings, addresses: Iterable[str]) -> None:
    """Raise `SettingsError` if the public path is one of our own addresses.

    Nobody could tell then whether a proxy took it off: is `/auth/login` below `/auth` sign-in?
    """
    path = urlsplit(settings.public_url).path
    if path and any(f"{address}/".startswith(f"{path}/") for address in addresses):
        says = f"ends with {path}, where this service has addresses of its own"
        raise SettingsError(f"{ENV_PREFIX}PUBLIC_URL {says}; publish it under another path")


def untold(settings: Settings) -> str | None:
    """Return what follows from proxies that must be there and were not counted, in one line.

    The public address is https and this server speaks http: somebody ends TLS before it.
    """
    if settings.trusted_proxies != 0 or not settings.public_url.startswith("https:"):
        return None
    return (
        f"{ENV_PREFIX}TRUSTED_PROXIES is 0, so all clients behind the proxy that ends TLS have its one"
        " address and share one limit; set the number of proxies that add to X-Forwarded-For, or"
        " `none` if clients connect here or no proxy tells their addresses"
    )
