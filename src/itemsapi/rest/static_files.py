"""Assets: files that come with the package, read once, sent compressed and with an ETag.

Their names stay as they are, because modules import each other by name; a browser asks each time
whether its copy is still good, and is told 304. Scripts find each other and the service relative to
themselves; a page, whose address may end with a slash or not, is told where it is, and what else
it cannot know: `$words` that stand in it.
"""

import gzip
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from flask import Request, Response

from itemsapi.problems import NotFound
from itemsapi.rest.etags import not_modified

PAGE = ".html"
ROOT = "root"  # `$root` stands in a page for the path that the service is served under
NOTHING: Mapping[str, str] = {}
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
        self._told: dict[tuple[str, frozenset[tuple[str, str]]], Asset] = {}

    def send(
        self,
        request: Request,
        name: str,
        *,
        policy: str | None = None,
        words: Mapping[str, str] = NOTHING,
    ) -> Response:
        """Return the answer that carries a file.

        `policy` is the Content-Security-Policy of a page, `words` what stands in it for `$names`;
        both are the application's own, not the request's. Raises `NotFound`.
        """
        asset = self._asset(name, {ROOT: request.script_root, **words})
        headers = {"ETag": asset.etag, "Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
        if policy:
            headers["Content-Security-Policy"] = policy
        if not_modified(request, asset.etag):
            return Response(status=304, headers=headers)
        if request.accept_encodings["gzip"] > 0:
            headers["Content-Encoding"] = "gzip"
            return Response(asset.zipped, headers=headers, content_type=asset.content_type)
        return Response(asset.plain, headers=headers, content_type=asset.content_type)

    def _asset(self, name: str, words: Mapping[str, str]) -> Asset:
        """Return a file; a page is told its words, once for each set of them."""
        asset = self._assets.get(name)
        if asset is None:
            raise NotFound
        if not name.endswith(PAGE):
            return asset
        key = name, frozenset(words.items())
        if key not in self._told:
            self._told[key] = _made(_telling(asset.plain, words), asset.content_type)
        return self._told[key]


def _telling(page: bytes, words: Mapping[str, str]) -> bytes:
    for word, meaning in words.items():
        page = page.replace(f"${word}".encode(), meaning.encode())
    return page


def _load(path: Path) -> Asset:
    return _made(path.read_bytes(), MEDIA_TYPES[path.suffix])


def _made(plain: bytes, content_type: str) -> Asset:
    tag = hashlib.sha256(plain).hexdigest()[:32]
    return Asset(plain, gzip.compress(plain, 9, mtime=0), content_type, f'"{tag}"')
