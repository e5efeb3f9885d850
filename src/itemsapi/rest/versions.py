"""ETags of blueprints: Flask-Smorest's `etag`, compared as RFC 9110 section 13 requires.

A number is a version, `"v7"`; other data is hashed. The condition of a change is passed on as a
`Precondition`, so that it is checked in the same transaction as the change.
"""

# ruff: noqa: ANN401 - the signatures are Flask-Smorest's

import functools
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, TypeVar, cast

import flask
from flask_smorest.etag import EtagMixin
from flask_smorest.utils import get_appcontext, resolve_schema_instance
from marshmallow import Schema

from itemsapi.preconditions import Precondition, check_version
from itemsapi.problems import PreconditionRequired
from itemsapi.rest import etags

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
            etags.require_match(flask.request, f'"{self._generate_etag(etag_data)}"')
        etag_context()["etag_checked"] = True

    def if_match(self) -> Precondition:
        """Return the precondition of a change, from `If-Match` and `If-None-Match`.

        Unlike `check_etag` it needs no version: the service checks the precondition in the
        transaction of the change, so nothing can change in between.
        """
        etag_context()["etag_checked"] = True
        return etags.precondition(flask.request)

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
        return bool(tag and is_read and etags.not_modified(flask.request, f'"{tag}"'))

    @staticmethod
    def _generate_etag(etag_data: Any, extra_data: Any = None) -> str:
        if isinstance(etag_data, int) and not extra_data:
            return etags.etag(etag_data).strip('"')
        return etags.content_hash((etag_data, extra_data) if extra_data else etag_data)

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

    It is on the request: `g`, where Flask-Smorest keeps it, is shared by requests that are made
    inside one application context.
    """
    context: dict[str, Any] | None = getattr(flask.request, CONTEXT, None)
    if context is None:
        context = {}
        setattr(flask.request, CONTEXT, context)
    return context
