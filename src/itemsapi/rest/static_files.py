"""Static files of the package: read at first use, sent compressed and with an ETag.

File names do not change with the content, because JavaScript modules import each other by name; a
browser asks each time whether its copy is current, and usually gets a 304. Scripts use paths
relative to themselves. The URL of an HTML file may end with a slash or not, so the file contains
the variable `$root` and other `$variables`, which are replaced when it is sent.
"""

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path

from flask import Request, Response

from itemsapi.problems import NotFound
from itemsapi.rest.etags import not_modified
from itemsapi.services import services

HTML_SUFFIX = ".html"
ROOT = "root"  # in an HTML file, `$root` is replaced with the path that the service is served under
NO_VARIABLES: Mapping[str, str] = {}
MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".map": "application/json",
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
    """A set of static files, by name. It reads a file when it is first requested."""

    def __init__(self, *places: Path) -> None:
        """Serve these files, and the files in these folders, that have a known media type."""
        self._places = places
        self._assets: dict[tuple[str, frozenset[tuple[str, str]]], Asset] = {}

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
        asset = self._asset(
            name, {ROOT: f"{request.script_root}{services().url_prefix}", **variables}
        )
        headers = {"ETag": asset.etag, "Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
        if policy:
            headers["Content-Security-Policy"] = policy
        if not_modified(request, asset.etag):
            return Response(status=304, headers=headers)
        if request.accept_encodings["gzip"] > 0:
            headers["Content-Encoding"] = "gzip"
            return Response(asset.zipped, headers=headers, content_type=asset.content_type)
        return Response(asset.plain, headers=headers, content_type=asset.content_type)

    @cached_property
    def _paths(self) -> dict[str, Path]:
        folders = [place for place in self._places if place.is_dir()]
        files = chain(self._places, *(folder.iterdir() for folder in folders))
        return {file.name: file for file in files if file.suffix in MEDIA_TYPES and file.is_file()}

    def _asset(self, name: str, variables: Mapping[str, str]) -> Asset:
        """Return a file; an HTML file is rendered once for each set of variables."""
        path = self._paths.get(name)
        if path is None:
            raise NotFound
        if path.suffix != HTML_SUFFIX:
            variables = NO_VARIABLES
        key = name, frozenset(variables.items())
        if key not in self._assets:
            self._assets[key] = _load(path, variables)
        return self._assets[key]


def _load(path: Path, variables: Mapping[str, str]) -> Asset:
    content = path.read_bytes()
    for name, value in variables.items():
        content = content.replace(f"${name}".encode(), value.encode())
    tag = hashlib.sha256(content).hexdigest()[:32]
    zipped = gzip.compress(content, 6, mtime=0)
    return Asset(content, zipped, MEDIA_TYPES[path.suffix], f'"{tag}"')
