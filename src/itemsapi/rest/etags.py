"""Versions of things over HTTP: strong ETags, `If-Match`, `If-None-Match` (RFC 9110 section 13)."""

import hashlib
import re
from typing import Any, Final

import orjson
from flask import Request

from itemsapi.preconditions import Precondition
from itemsapi.problems import PreconditionFailed, PreconditionRequired

ANY: Final = "*"
WEAKENED = (
    "The ETag came back weak (W/), and a weak one matches nothing: something between you and this"
    " service compresses its answers. Its operator can switch that off there; see `Behind a proxy`"
    " in the operations guide."
)
_TAG = re.compile(r'[ \t]*(?:(W/)?"([\x21\x23-\x7e\x80-\xff]*)"[ \t]*(?:,|$)|,|$)')
_VERSION = re.compile(r"v(0|[1-9][0-9]{0,17})", re.ASCII)


def etag(version: int) -> str:
    """Return the strong ETag of a version, quotes and all: `"v7"`."""
    return f'"v{version}"'


def precondition(request: Request) -> Precondition:
    """Return what `If-Match` and `If-None-Match` demand of a change (RFC 9110 13.1.1, 13.1.2).

    Raises `PreconditionRequired` without `If-Match`. A weak tag matches nothing there, nor does
    what is no list of tags, nor what we never handed out; for `If-None-Match` weak tags count as
    others. What is not there, or somebody else's, is refused before either is looked at.
    """
    header = request.headers.get("If-Match")
    if header is None:
        raise PreconditionRequired
    unless = _versions(request.headers.get("If-None-Match", ""), weak=True)
    if header.strip() == ANY:
        return Precondition(None, unless)
    among = _versions(header, weak=False)
    weakened = not among and bool(_versions(header, weak=True))
    return Precondition(among, unless, WEAKENED if weakened else None)


def not_modified(request: Request, tag: str) -> bool:
    """Tell whether a reader has this version already: `If-None-Match`, compared weakly (13.1.2).

    Raises `PreconditionFailed` where `If-Match` comes along and does not name it, which counts
    first (13.2.2). Nothing here has a date of modification, so `If-Modified-Since` and
    `If-Unmodified-Since` are ignored (13.1.3, 13.1.4).
    """
    wanted, known = (request.headers.get(name) for name in ("If-Match", "If-None-Match"))
    if wanted is not None and wanted.strip() != ANY and ("", tag.strip('"')) not in _tags(wanted):
        raise PreconditionFailed
    if known is None:
        return False
    return known.strip() == ANY or any(f'"{opaque}"' == tag for _, opaque in _tags(known))


def hashed(data: Any) -> str:  # noqa: ANN401 - whatever a schema dumps
    """Return the tag of data that has no version of its own: a hash of its JSON."""
    raw = orjson.dumps(data, default=str, option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(raw).hexdigest()[:32]


def check(request: Request, tag: str) -> None:
    """Raise `PreconditionFailed` unless `If-Match` names this tag, compared strongly (13.1.1)."""
    header = request.headers.get("If-Match", "")
    if header.strip() != ANY and ("", tag.strip('"')) not in _tags(header):
        raise PreconditionFailed


def _versions(header: str, *, weak: bool) -> frozenset[int] | None:
    """Return the versions that a list of tags names, weak ones if wanted; None for `*`."""
    if header.strip() == ANY:
        return None
    tags = (opaque for mark, opaque in _tags(header) if weak or not mark)
    return frozenset(int(found[1]) for tag in tags if (found := _VERSION.fullmatch(tag)))


def _tags(header: str) -> list[tuple[str, str]]:
    """Return the tags of a list as (`W/` or nothing, what is in the quotes); [] if malformed.

    Empty elements of a list do not count (RFC 9110 section 5.6.1.2).
    """
    found, place = [], 0
    while place < len(header):
        match = _TAG.match(header, place)
        if match is None:
            return []
        if match[2] is not None:
            found.append((match[1] or "", match[2]))
        place = match.end()
    return found
