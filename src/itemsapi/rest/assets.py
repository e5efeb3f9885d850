"""Assets: files that come with the package, read once, sent compressed and with an ETag.

Their names stay as they are, because modules import each other by name; a browser asks each time
whether its copy is still good, and is told 304.
"""

import gzip
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from flask import Request, Response

from itemsapi.problems import NotFound
from itemsapi.rest.etags import not_modified

MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class Asset:
    """A file as it is sent."""

    plain: bytes
    zipped: bytes
    content_type: str
    etag: str


class Assets:
    """The files of some folders, by name."""

    def __init__(self, files: Iterable[Path]) -> None:
        """Read the files that are of a known kind."""
        self._assets = {f.name: _load(f) for f in files if f.suffix in MEDIA_TYPES}

    def send(self, request: Request, name: str, *, policy: str | None = None) -> Response:
        """Return the answer that carries a file, under a Content-Security-Policy for pages.

        Raises `NotFound`.
        """
        asset = self._assets.get(name)
        if asset is None:
            raise NotFound
        headers = {"ETag": asset.etag, "Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
        if policy:
            headers["Content-Security-Policy"] = policy
        if not_modified(request, asset.etag):
            return Response(status=304, headers=headers)
        if request.accept_encodings["gzip"] > 0:
            headers["Content-Encoding"] = "gzip"
            return Response(asset.zipped, headers=headers, content_type=asset.content_type)
        return Response(asset.plain, headers=headers, content_type=asset.content_type)


def _load(path: Path) -> Asset:
    plain = path.read_bytes()
    tag = hashlib.sha256(plain).hexdigest()[:32]
    return Asset(plain, gzip.compress(plain, 9, mtime=0), MEDIA_TYPES[path.suffix], f'"{tag}"')
