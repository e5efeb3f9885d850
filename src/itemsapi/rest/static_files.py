"""Static files of the package: read once, sent compressed and with an ETag.

File names do not change with the content, because JavaScript modules import each other by name; a
browser revalidates its copy each time and gets a 304. Scripts use paths relative to themselves. The
URL of an HTML file may end with a slash or not, so the file contains the variable `$root` and other
`$variables`, which are replaced when it is sent.
"""

import gzip
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from flask import Request, Response

from itemsapi.problems import NotFound
from itemsapi.rest.etags import not_modified

HTML_SUFFIX = ".html"
ROOT = "root"  # in an HTML file, `$root` is replaced with the path that the service is served under
NO_VARIABLES: Mapping[str, str] = {}
MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class Asset:
    """The content and headers of a static file."""

    plain: bytes
    zipped: bytes
    content_type: str
    etag: str


class Assets:
    """A set of static files, by name."""

    def __init__(self, files: Iterable[Path]) -> None:
        """Read the files that have a known media type."""
        self._assets = {f.name: _load(f) for f in files if f.suffix in MEDIA_TYPES}
        self._rendered: dict[tuple[str, frozenset[tuple[str, str]]], Asset] = {}

    def send(
        self,
        request: Request,
        name: str,
        *,
        policy: str | None = None,
        variables: Mapping[str, str] = NO_VARIABLES,
    ) -> Response:
        """Return the response with a file, or raise `NotFound`.

        `policy` is the Content-Security-Policy of an HTML file, `variables` are the values of its
        `$variables`. Both come from the application, never from the request.
        """
        asset = self._asset(name, {ROOT: request.script_root, **variables})
        headers = {"ETag": asset.etag, "Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
        if policy:
            headers["Content-Security-Policy"] = policy
        if not_modified(request, asset.etag):
            return Response(status=304, headers=headers)
        if request.accept_encodings["gzip"] > 0:
            headers["Content-Encoding"] = "gzip"
            return Response(asset.zipped, headers=headers, content_type=asset.content_type)
        return Response(asset.plain, headers=headers, content_type=asset.content_type)

    def _asset(self, name: str, variables: Mapping[str, str]) -> Asset:
        """Return a file; an HTML file is rendered once for each set of variables."""
        asset = self._assets.get(name)
        if asset is None:
            raise NotFound
        if not name.endswith(HTML_SUFFIX):
            return asset
        key = name, frozenset(variables.items())
        if key not in self._rendered:
            self._rendered[key] = _create_asset(_render(asset.plain, variables), asset.content_type)
        return self._rendered[key]


def _render(html: bytes, variables: Mapping[str, str]) -> bytes:
    for name, value in variables.items():
        html = html.replace(f"${name}".encode(), value.encode())
    return html


def _load(path: Path) -> Asset:
    return _create_asset(path.read_bytes(), MEDIA_TYPES[path.suffix])


def _create_asset(plain: bytes, content_type: str) -> Asset:
    tag = hashlib.sha256(plain).hexdigest()[:32]
    return Asset(plain, gzip.compress(plain, 9, mtime=0), content_type, f'"{tag}"')
