"""Log lines about pages whose origin is not in the settings: a browser shows only a failed call."""

from collections.abc import Collection
from typing import TYPE_CHECKING

from itemsapi.observability.logging import log
from itemsapi.web_addresses import is_origin

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

MAX_REPORTED = 10  # origins of a process: a client can send any, and must not fill the log
MAX_ORIGIN_LENGTH = 100  # characters of an origin that is reported
NO_ORIGIN = "null"  # of a file, a sandboxed frame or a `data:` URL
LIST_IT = "if the page is yours, add this to ITEMSAPI_ALLOWED_ORIGINS; else ignore it"
SERVE_IT = "open the page from a web server: a file has no origin that can be listed"


class UnlistedOrigins:
    """Reports each origin once, as the log line `origin_not_listed` that says what to change."""

    def __init__(self, known: Collection[str]) -> None:
        """Take the origins that need no report: those of the settings, and our own."""
        self._known = frozenset(known)
        self._reported: set[str] = set()

    def report(self, environ: "WSGIEnvironment") -> None:
        """Report the origin of a request, unless it is known, or the browser says that it is ours.

        A development server that passes requests on changes the host, but not what browsers say.
        """
        origin = environ["HTTP_ORIGIN"]
        is_ours = environ.get("HTTP_SEC_FETCH_SITE") == "same-origin"
        if not is_ours and origin not in self._known and len(self._reported) < MAX_REPORTED:
            self._report_once(origin)

    def _report_once(self, origin: str) -> None:
        if origin in self._reported or not _is_sent_by_browsers(origin):
            return
        self._reported.add(origin)
        advice = SERVE_IT if origin == NO_ORIGIN else LIST_IT
        log.warning("origin_not_listed", origin=origin, advice=advice)


def _is_sent_by_browsers(origin: str) -> bool:
    """Return whether this is one origin, or none; the setting takes no other."""
    is_short = len(origin) <= MAX_ORIGIN_LENGTH
    return is_short and (origin == NO_ORIGIN or is_origin(origin))
