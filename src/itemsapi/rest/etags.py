"""Strong ETags and conditional requests: `If-Match`, `If-None-Match` (RFC 9110 section 13).

The functions come first; `Versions` adds them to blueprints.
"""

# ruff: noqa: ANN401 - the signatures are Flask-Smorest's

import functools
import hashlib
import re
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final, TypeVar, cast

import flask
import orjson
from flask import Request
from flask_smorest.etag import EtagMixin
from flask_smorest.utils import get_appcontext, resolve_schema_instance
from marshmallow import Schema

from itemsapi.preconditions import Precondition, check_version
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


def content_hash(data: Any) -> str:
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


# ETags of blueprints: Flask-Smorest's `etag`, compared as RFC 9110 section 13 requires.
#
# A number is a version, `"v7"`; other data is hashed. The condition of a change is passed on as a
# `Precondition`, so that it is checked in the same transaction as the change.

View = TypeVar("View", bound=Callable[..., object])
SchemaLike = Schema | type[Schema]

CONTEXT = "itemsapi_etag"
METADATA_ATTRIBUTE = "_apidoc"  # where Flask-Smorest stores the metadata of a view


class Versions(EtagMixin):  # type: ignore[misc]  # Flask-Smorest has no types
    """The ETag methods of a blueprint."""

    def etag(self, obj: Any) -> Any:
        """Add ETags to a view or a `MethodView`, and require `If-Match` for changes.

        An invalid request (400, 422) is rejected before a missing `If-Match` (428; RFC 9110
        13.2.1), whether `arguments` is above or below.
        """
        add = super().etag

        def decorate(view: View) -> View:
            return cast("View", add(self._require_if_match(view)))

        return self._decorate_view_func_or_method_view(decorate, obj)

    def set_etag(self, etag_data: Any, etag_schema: SchemaLike | None = None) -> None:
        """Set the ETag of the response: a version if `etag_data` is an integer, else a hash."""
        if etag_schema is not None:
            etag_data = resolve_schema_instance(etag_schema).dump(etag_data)
        etag_context()["etag"] = self._generate_etag(etag_data)

    def check_etag(self, etag_data: Any, etag_schema: SchemaLike | None = None) -> None:
        """Raise `PreconditionFailed` unless `If-Match` names this version or this data."""
        if etag_schema is not None:
            etag_data = resolve_schema_instance(etag_schema).dump(etag_data)
        if isinstance(etag_data, int):
            check_version(self.if_match(), etag_data)
        else:
            require_match(flask.request, f'"{self._generate_etag(etag_data)}"')
        etag_context()["etag_checked"] = True

    def if_match(self) -> Precondition:
        """Return the precondition of a change, from `If-Match` and `If-None-Match`.

        Unlike `check_etag` it needs no version: the service checks the precondition in the
        transaction of the change, so nothing can change in between.
        """
        etag_context()["etag_checked"] = True
        return precondition(flask.request)

    def _require_if_match(self, view: View) -> View:
        """Require `If-Match` before the view; if `arguments` is below, after parsing them."""
        deferred = "arguments" in view_metadata(view)

        @functools.wraps(view)
        def require(*args: Any, **kwargs: Any) -> object:
            if deferred:
                etag_context()["deferred"] = True
            else:
                self._check_if_match_present()
            return flask.current_app.ensure_sync(view)(*args, **kwargs)

        return cast("View", require)

    def _after_arguments(self, view: View) -> View:
        """Run the `If-Match` check that was deferred until the arguments were parsed."""

        @functools.wraps(view)
        def check(*args: Any, **kwargs: Any) -> object:
            if etag_context().pop("deferred", False):
                self._check_if_match_present()
            return flask.current_app.ensure_sync(view)(*args, **kwargs)

        return cast("View", check)

    def _check_if_match_present(self) -> None:
        is_change = flask.request.method in self.METHODS_NEEDING_CHECK_ETAG
        if is_change and flask.request.headers.get("If-Match") is None:
            raise PreconditionRequired

    def _is_not_modified(self) -> bool:
        """Return whether the client has the version that the view set (RFC 9110 13.1.2)."""
        tag = etag_context().get("etag")
        is_read = flask.request.method in self.METHODS_CHECKING_NOT_MODIFIED
        return bool(tag and is_read and not_modified(flask.request, f'"{tag}"'))

    @staticmethod
    def _generate_etag(etag_data: Any, extra_data: Any = None) -> str:
        if isinstance(etag_data, int) and not extra_data:
            return etag(etag_data).strip('"')
        return content_hash((etag_data, extra_data) if extra_data else etag_data)

    def _is_etag_enabled(self) -> bool:
        return True

    def _check_precondition(self) -> None:
        """Do nothing: `etag` checks it, after the request is validated."""

    def _verify_check_etag(self) -> None:
        """Warn the developer of a change whose `If-Match` was not compared."""
        get_appcontext()["etag"] = {"etag_checked": etag_context().get("etag_checked", False)}
        super()._verify_check_etag()

    def _check_not_modified(self, etag: str) -> None:
        """Do nothing: `response` sends the 304, whose headers an exception would lose."""

    def _set_etag_in_response(self, response: flask.Response) -> None:
        if flask.request.method not in self.METHODS_ALLOWING_SET_ETAG or "ETag" in response.headers:
            return
        tag = etag_context().get("etag")
        if tag is None and "data" not in etag_context():
            return  # the view made its own response
        if tag is None:
            extra = tuple(pair for pair in response.headers if pair[0] in self.ETAG_INCLUDE_HEADERS)
            tag = self._generate_etag(etag_context()["data"], extra)
            etag_context()["etag"] = tag
            if self._is_not_modified():
                response.status_code = HTTPStatus.NOT_MODIFIED
                response.set_data(b"")
                response.headers.remove("Content-Type")
        response.set_etag(tag)


def view_metadata(view: object) -> Mapping[str, Any]:
    """Return the metadata that Flask-Smorest's decorators stored on a view."""
    return getattr(view, METADATA_ATTRIBUTE, {})


def etag_context() -> dict[str, Any]:
    """Return what is known of the versions of this request.

    It is stored on the request and not in `g` (as in Flask-Smorest), because requests that are
    made inside one application context share `g`.
    """
    context: dict[str, Any] | None = getattr(flask.request, CONTEXT, None)
    if context is None:
        context = {}
        setattr(flask.request, CONTEXT, context)
    return context
