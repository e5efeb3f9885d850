"""Correct the client address and the path of a request that passed reverse proxies.

The only proxy header that is used is `X-Forwarded-For`. Its last N values are trusted, where N is
the number of proxies that the operator set; the client can write all other values. The header is
split at commas only: with a parser that honours quotes, a client could hide what the proxies add.
Scheme, host and path come from `PUBLIC_URL`, so `X-Forwarded-Proto`, `-Host`, `-Prefix` and
`Forwarded` (RFC 7239) are ignored: if a proxy does not overwrite them, the client controls them.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from itemsapi.observability.logging import log
from itemsapi.settings import ENV_PREFIX, Settings, SettingsError
from itemsapi.web_addresses import UNKNOWN_ADDRESS, client_address

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

# The public path follows these names (RFC 8414 section 3.1, RFC 9728 section 3.1).
WELL_KNOWN = (
    "/.well-known/oauth-authorization-server",
    "/.well-known/oauth-protected-resource",
)


class Proxies:
    """The reverse proxies between clients and this service."""

    def __init__(self, public_url: str, hops: int) -> None:
        """Take the public URL and the number of proxies that add to `X-Forwarded-For`."""
        url = urlsplit(public_url)
        self._https, self._path = url.scheme == "https", url.path
        self._well_known = {f"{name}{self._path}": name for name in WELL_KNOWN}
        self._hops = hops
        self._warned = False

    def correct(self, environ: "WSGIEnvironment") -> None:
        """Set the client address, the scheme and the path in the WSGI environment."""
        environ["REMOTE_ADDR"] = self._client_address(environ)
        if self._https:
            environ["wsgi.url_scheme"] = "https"
        if self._path:
            self._strip_public_path(environ)

    def _client_address(self, environ: "WSGIEnvironment") -> str:
        """Return the client's address, or `UNKNOWN_ADDRESS` if the request passed too few proxies.

        Such a request bypassed a proxy, or the client made a proxy drop the header with
        `Connection: X-Forwarded-For`. The address of the connection is not used instead: it may
        be that of a proxy, and would then count as a client's.
        """
        if not self._hops:
            return client_address(environ.get("REMOTE_ADDR", ""))
        forwarded = environ.get("HTTP_X_FORWARDED_FOR", "").split(",")
        known = len(forwarded) >= self._hops
        address = client_address(forwarded[-self._hops]) if known else UNKNOWN_ADDRESS
        if (
            address == UNKNOWN_ADDRESS and not self._warned
        ):  # only once, because a client can cause it
            self._warned = True
            log.warning("client_address_unknown", trusted_proxies=self._hops, request_id="-")
        return address

    def _strip_public_path(self, environ: "WSGIEnvironment") -> None:
        """Move the public path from `PATH_INFO` to `SCRIPT_NAME`, or add it there (PEP 3333).

        The result is the same whether the proxy removed the path or not.
        """
        path = environ.get("PATH_INFO", "")
        mounted = environ.get("SCRIPT_NAME") == self._path
        if not mounted and f"{path}/".startswith(f"{self._path}/"):
            environ["PATH_INFO"] = path.removeprefix(self._path)
        else:
            environ["PATH_INFO"] = self._well_known.get(path, path)
        environ["SCRIPT_NAME"] = self._path


def require_unambiguous_path(settings: Settings, addresses: Iterable[str]) -> None:
    """Raise `SettingsError` if the public path is the start of one of this service's own paths.

    Then it would be ambiguous whether a proxy removed it: with the public path `/auth`, is
    `/auth/login` the sign-in, or the path `/login`?
    """
    path = urlsplit(settings.public_url).path
    if path and any(f"{address}/".startswith(f"{path}/") for address in addresses):
        reason = f"ends with {path}, where this service has paths of its own"
        raise SettingsError(f"{ENV_PREFIX}PUBLIC_URL {reason}; publish it under another path")


def uncounted_proxies_warning(settings: Settings) -> str | None:
    """Return a one-line warning if there must be a proxy but none is configured, else None.

    The public URL is https and this server speaks http, so a proxy terminates TLS.
    """
    if settings.trusted_proxies != 0 or not settings.public_url.startswith("https:"):
        return None
    return (
        f"{ENV_PREFIX}TRUSTED_PROXIES is 0, so all clients behind the proxy that terminates TLS"
        " have its address and share one limit; set the number of proxies that add to"
        " X-Forwarded-For, or `none` if clients connect directly or no proxy adds their addresses"
    )
