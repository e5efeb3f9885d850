"""Strong ETags and conditional requests: `If-Match`, `If-None-Match` (RFC 9110 section 13)."""

import hashlib
import re
from typing import Any, Final

import orjson
from flask import Request

from itemsapi.preconditions import Precondition
from itemsapi.problems import PreconditionFailed, PreconditionRequired

ANY: Final = "*"
WEAK_ETAG_DETAIL = (
    "The ETag came back weak (W/), and a weak ETag matches nothing: something between you and this"
    " service compresses its responses. The operator can disable that; see `Behind a proxy` in the"
    " operations guide."
)
_TAG = re.compile(r'[ \t]*(?:(W/)?"([\x21\x23-\x7e\x80-\xff]*)"[ \t]*(?:,|$)|,|$)')
_VERSION = re.compile(r"v(0|[1-9][0-9]{0,17})", re.ASCII)


def etag(version: int) -> str:
    """Return the strong ETag of a version, with its quotes: `"v7"`."""
    return f'"v{version}"'


def precondition(request: Request) -> Precondition:
    """Return the precondition of a change (`If-Match`, `If-None-Match`; RFC 9110 13.1.1, 13.1.2).

    Raise `PreconditionRequired` if `If-Match` is missing. In `If-Match`, a weak, malformed or
    unknown tag matches nothing; in `If-None-Match`, weak tags count like strong ones. A resource
    that does not exist or belongs to another user is rejected before the precondition is checked.
    """
    header = request.headers.get("If-Match")
    if header is None:
        raise PreconditionRequired
    excluded = _versions(request.headers.get("If-None-Match", ""), weak=True)
    if header.strip() == ANY:
        return Precondition(None, excluded)
    accepted = _versions(header, weak=False)
    weakened = not accepted and bool(_versions(header, weak=True))
    return Precondition(accepted, excluded, WEAK_ETAG_DETAIL if weakened else None)


def not_modified(request: Request, tag: str) -> bool:
    """Return whether `If-None-Match` names this version, compared weakly (13.1.2).

    Raise `PreconditionFailed` if `If-Match` is present and does not name it; `If-Match` is checked
    first (13.2.2). Resources here have no modification date, so `If-Modified-Since` and
    `If-Unmodified-Since` are ignored (13.1.3, 13.1.4).
    """
    match, none_match = (request.headers.get(name) for name in ("If-Match", "If-None-Match"))
    if match is not None and match.strip() != ANY and ("", tag.strip('"')) not in _tags(match):
        raise PreconditionFailed
    if none_match is None:
        return False
    return none_match.strip() == ANY or any(f'"{opaque}"' == tag for _, opaque in _tags(none_match))


def content_hash(data: Any) -> str:  # noqa: ANN401 - whatever a schema dumps
    """Return the tag of data without a version number: a hash of its JSON."""
    raw = orjson.dumps(data, default=str, option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(raw).hexdigest()[:32]


def require_match(request: Request, tag: str) -> None:
    """Raise `PreconditionFailed` unless `If-Match` names this tag, compared strongly (13.1.1)."""
    header = request.headers.get("If-Match", "")
    if header.strip() != ANY and ("", tag.strip('"')) not in _tags(header):
        raise PreconditionFailed


def _versions(header: str, *, weak: bool) -> frozenset[int] | None:
    """Return the versions in a list of tags, including weak tags if `weak`; None for `*`."""
    if header.strip() == ANY:
        return None
    tags = (opaque for prefix, opaque in _tags(header) if weak or not prefix)
    return frozenset(int(match[1]) for tag in tags if (match := _VERSION.fullmatch(tag)))


def _tags(header: str) -> list[tuple[str, str]]:
    """Return the tags of a list as (`W/` or empty, text in the quotes); [] if it is malformed.

    Empty elements of a list are ignored (RFC 9110 section 5.6.1.2).
    """
    tags, position = [], 0
    while position < len(header):
        match = _TAG.match(header, position)
        if match is None:
            return []
        if match[2] is not None:
            tags.append((match[1] or "", match[2]))
        position = match.end()
    return tags
