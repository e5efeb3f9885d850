"""Strong ETags and conditional requests: `If-Match`, `If-None-Match` (RFC 9110 section 13).

The functions come first; `Versions` adds them to blueprints.
"""

# ruff: noqa: ANN401 - the signatures are Flask-Smorest's

import copy
import hashlib
import re
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final, TypeVar, cast

import flask
from flask import Request
from flask_smorest.etag import EtagMixin
from flask_smorest.utils import get_appcontext, resolve_schema_instance
from marshmallow import Schema
from werkzeug.wrappers import Response

from itemsapi.gate.guarded_views import current_request
from itemsapi.preconditions import Precondition, check_version
from itemsapi.problems import PreconditionFailed, PreconditionRequired
from itemsapi.rest.async_views import synchronous
from itemsapi.rest.json_provider import dumps
from itemsapi.wrapping import wraps

ANY: Final = "*"
WEAK_ETAG_DETAIL = (
    "The ETag came back weak (W/), and a weak ETag matches nothing: something between you and this"
    " service compresses its responses. The operator can disable that; see `Behind a proxy` in the"
    " operations guide."
)
_TAG = re.compile(r'[ \t]*(?:(W/)?"([\x21\x23-\x7e\x80-\xff]*)"[ \t]*(?:,|$)|,|$)')
_VERSION = re.compile(r"v(0|-?[1-9][0-9]{0,4299})", re.ASCII)  # Python converts 4300 digits


def etag(version: int) -> str:
    """Return the strong ETag of a version, with its quotes: `"v7"`."""
    return f'"v{version:d}"'


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
    if "HTTP_IF_MATCH" in request.environ:
        require_match(request, tag)
    header = request.environ.get("HTTP_IF_NONE_MATCH")
    if header is None:
        return False
    opaque = tag.removeprefix("W/").strip('"')
    return header.strip() == ANY or any(opaque == sent for _, sent in _tags(header))


def content_hash(data: Any) -> str:
    """Return the tag of data without a version number: a hash of its JSON.

    Raise `TypeError` if the data is not JSON: the text of an object may contain its address.
    """
    return hashlib.sha256(dumps(data, sort_keys=True)).hexdigest()[:32]


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
CHECKS_IF_MATCH = "itemsapi_checks_if_match"  # set on a view that checks it after its arguments
DUMP = "result_dump"  # where the `response` of Flask-Smorest stores the data of a response


class Versions(EtagMixin):  # type: ignore[misc]  # Flask-Smorest has no types
    """The ETag methods of a blueprint."""

    def etag(self, obj: View) -> View:
        """Add ETags to a view or a `MethodView`, and require `If-Match` for changes.

        An invalid request (400, 422) is rejected before a missing `If-Match` (428; RFC 9110
        13.2.1), whether `arguments` is above or below.
        """
        return cast("View", self._decorate_view_func_or_method_view(self._versioned, obj))

    def _versioned(self, view: View) -> View:
        """Return a view with ETags; Flask-Smorest documents it by its metadata."""
        call, deferred = synchronous(view), hasattr(view, CHECKS_IF_MATCH)

        @wraps(view)
        def versioned(*args: Any, **kwargs: Any) -> object:
            """Check the precondition, run the view and set its ETag."""
            get_appcontext().pop(DUMP, None)  # of another request in this application context
            if deferred:
                etag_context()["deferred"] = True
            else:
                self._check_if_match_present()
            returned = call(*args, **kwargs)
            self._verify_check_etag()
            self._set_etag_in_response(returned)
            return returned

        setattr(versioned, METADATA_ATTRIBUTE, {**copy.deepcopy(view_metadata(view)), "etag": True})
        return cast("View", versioned)

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

    def _after_arguments(self, view: View) -> View:
        """Run the `If-Match` check that was deferred until the arguments were parsed."""
        if hasattr(view, CHECKS_IF_MATCH):
            return view
        call = synchronous(view)

        @wraps(view)
        def check(*args: Any, **kwargs: Any) -> object:
            """Require the header if it was deferred until here."""
            if etag_context().pop("deferred", False):
                self._check_if_match_present()
            return call(*args, **kwargs)

        setattr(check, CHECKS_IF_MATCH, True)  # the decorators above copy it
        return cast("View", check)

    def _check_if_match_present(self) -> None:
        request = current_request()
        is_change = request.method in self.METHODS_NEEDING_CHECK_ETAG
        if is_change and request.headers.get("If-Match") is None:
            raise PreconditionRequired

    @staticmethod
    def _generate_etag(etag_data: Any, extra_data: Any = None) -> str:
        if isinstance(etag_data, int) and not extra_data:
            return etag(etag_data).strip('"')
        return content_hash((etag_data, extra_data) if extra_data else etag_data)

    def _verify_check_etag(self) -> None:
        """Warn the developer of a change whose `If-Match` was not compared."""
        if current_request().method in self.METHODS_NEEDING_CHECK_ETAG:
            get_appcontext()["etag"] = {"etag_checked": etag_context().get("etag_checked", False)}
            super()._verify_check_etag()

    def _set_etag_in_response(self, returned: object) -> None:
        """Set the ETag of a response, and send 304 or 412 instead if the client asks for that.

        If `response` is above `etag`, or if there is none, the response does not exist yet.
        """
        if current_request().method not in self.METHODS_ALLOWING_SET_ETAG:
            return
        if isinstance(returned, Response):
            self._finish(returned)
        else:
            flask.after_this_request(self._finish_or_fail)

    def _finish_or_fail(self, response: Any) -> Any:
        try:
            self._finish(response)
        except PreconditionFailed as problem:
            return flask.make_response(flask.current_app.handle_user_exception(problem))
        return response

    def _finish(self, response: Response) -> None:
        if response.status_code >= HTTPStatus.BAD_REQUEST:
            return  # preconditions apply only to a success (RFC 9110 13.2.1)
        self._add_etag(response)
        tag, request = response.headers.get("ETag"), current_request()
        is_success = response.status_code < HTTPStatus.MULTIPLE_CHOICES
        is_read = request.method in self.METHODS_CHECKING_NOT_MODIFIED
        if tag and is_success and is_read and not_modified(request, tag):
            if hasattr(response.response, "close"):  # such as a file
                response.call_on_close(response.response.close)
            response.status_code = HTTPStatus.NOT_MODIFIED
            response.set_data(b"")

    def _add_etag(self, response: Response) -> None:
        """Add the ETag that the view set, or else a hash of the data, if there is any."""
        tag = etag_context().get("etag")
        if "ETag" in response.headers or (tag is None and DUMP not in get_appcontext()):
            return
        if tag is None:
            extra = tuple(pair for pair in response.headers if pair[0] in self.ETAG_INCLUDE_HEADERS)
            tag = self._generate_etag(get_appcontext()[DUMP], extra)
        response.set_etag(tag)


def view_metadata(view: object) -> Mapping[str, Any]:
    """Return the metadata that Flask-Smorest's decorators stored on a view."""
    return getattr(view, METADATA_ATTRIBUTE, {})


def etag_context() -> dict[str, Any]:
    """Return what is known of the versions of this request.

    It is stored on the request and not in `g` (as in Flask-Smorest), because requests that are
    made inside one application context share `g`.
    """
    context: dict[str, Any] = vars(current_request()).setdefault(CONTEXT, {})
    return context
