"""A warning for operators: there is a proxy, and the settings do not count it."""

from itemsapi.settings import ENV_PREFIX, Settings


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
