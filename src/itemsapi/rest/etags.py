"""Versions of things over HTTP: strong ETags, `If-Match`, `If-None-Match` (RFC 9110 section 13)."""

import re
from typing import Final

from flask import Request

from itemsapi.problems import PreconditionFailed, PreconditionRequired

ANY: Final = None
WEAKENED = (
    "The ETag came back weak (W/), and a weak one matches nothing: something between you and this"
    " service compresses its answers. Its operator can switch that off there; see `Behind a proxy`"
    " in the operations guide."
)
_TAG = re.compile(r'\s*(W/)?"([\x21\x23-\x7e\x80-\xff]*)"\s*(?:,|$)')
_VERSION = re.compile(r"v([0-9]{1,18})", re.ASCII)


def etag(version: int) -> str:
    """Return the strong ETag of a version, quotes and all: `"v7"`."""
    return f'"v{version}"'


def expected_version(request: Request) -> int | None:
    """Return the version that `If-Match` names; None for `*`, which means any.

    Raises `PreconditionRequired` without the header and `PreconditionFailed` if it names no version
    of ours: weak tags never match (RFC 9110 section 13.1.1), nor does what we never handed out. Of
    several tags exactly one may be ours, because a change is made against one version.
    """
    header = request.headers.get("If-Match")
    if header is None:
        raise PreconditionRequired
    if header.strip() == "*":
        return ANY
    tags = [(weak, match) for weak, tag in _tags(header) if (match := _VERSION.fullmatch(tag))]
    versions = {int(match[1]) for weak, match in tags if not weak}
    if tags and not versions:
        raise PreconditionFailed(WEAKENED)
    if len(versions) != 1:
        raise PreconditionFailed
    return versions.pop()


def not_modified(request: Request, tag: str) -> bool:
    """Tell whether the client has this version: `If-None-Match`, compared weakly (13.1.2)."""
    header = request.headers.get("If-None-Match")
    if header is None:
        return False
    return header.strip() == "*" or any(f'"{opaque}"' == tag for _, opaque in _tags(header))


def _tags(header: str) -> list[tuple[str, str]]:
    """Return the tags of a list as (`W/` or nothing, what is in the quotes); [] if malformed."""
    found, place = [], 0
    while place < len(header):
        match = _TAG.match(header, place)
        if match is None:
            return []
        found.append((match[1] or "", match[2]))
        place = match.end()
    return found
