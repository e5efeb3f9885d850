"""ETags of blueprints: Flask-Smorest's `etag`, compared as RFC 9110 section 13 has it.

A number is a version, `"v7"`; other data is hashed. What a change requires is handed on as a
`Precondition`, so that it is checked in the very transaction of the change.
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

NOTE = "_apidoc"  # Flask-Smorest keeps there what a view declares


class Versions(EtagMixin):  # type: ignore[misc]  # Flask-Smorest has no types
    """The part of a blueprint that knows versions."""

    def etag(self, obj: Any) -> Any:
        """Add ETags to a view or a `MethodView`, and require `If-Match` of changes.

        A request that is wrong in itself (400, 422) is told so before a missing `If-Match` is (428;
        RFC 9110 13.2.1), wherever `arguments` stands.
        """
        add = super().etag

        def decorate(view: View) -> View:
            return cast("View", add(self._require_if_match(view)))

        return self._decorate_view_func_or_method_view(decorate, obj)

    def set_etag(self, etag_data: Any, etag_schema: SchemaLike | None = None) -> None:
        """Set the ETag of the response: of a version, if `etag_data` is a number, or of data."""
        if etag_schema is not None:
            etag_data = resolve_schema_instance(etag_schema).dump(etag_data)
        _etag_context()["etag"] = self._generate_etag(etag_data)

    def check_etag(self, etag_data: Any, etag_schema: SchemaLike | None = None) -> None:
        """Raise `PreconditionFailed` unless `If-Match` names this version, or this data."""
        if etag_schema is not None:
            etag_data = resolve_schema_instance(etag_schema).dump(etag_data)
        if isinstance(etag_data, int):
            check_version(self.if_match(), etag_data)
        else:
            etags.check(flask.request, f'"{self._generate_etag(etag_data)}"')
        _etag_context()["etag_checked"] = True

    def if_match(self) -> Precondition:
        """Return what `If-Match` and `If-None-Match` require of a change, to be checked with it.

        Unlike `check_etag` it needs no version, so nothing can change between check and change.
        """
        _etag_context()["etag_checked"] = True
        return etags.precondition(flask.request)

    def _require_if_match(self, view: View) -> View:
        """Require `If-Match` before the view, or where `arguments` stands below, after those."""
        deferred = "arguments" in notes(view)

        @functools.wraps(view)
        def required(*args: Any, **kwargs: Any) -> object:
            if deferred:
                _etag_context()["deferred"] = True
            else:
                self._demand_if_match()
            return flask.current_app.ensure_sync(view)(*args, **kwargs)

        return cast("View", required)

    def _after_arguments(self, view: View) -> View:
        """Require the `If-Match` that was deferred until the arguments were parsed."""

        @functools.wraps(view)
        def checked(*args: Any, **kwargs: Any) -> object:
            if _etag_context().pop("deferred", False):
                self._demand_if_match()
            return flask.current_app.ensure_sync(view)(*args, **kwargs)

        return cast("View", checked)

    def _demand_if_match(self) -> None:
        changing = flask.request.method in self.METHODS_NEEDING_CHECK_ETAG
        if changing and flask.request.headers.get("If-Match") is None:
            raise PreconditionRequired

    def _known_to_client(self) -> bool:
        """Tell whether the client has the version that the view set (RFC 9110 13.1.2)."""
        tag = _etag_context().get("etag")
        reading = flask.request.method in self.METHODS_CHECKING_NOT_MODIFIED
        return bool(tag and reading and etags.not_modified(flask.request, f'"{tag}"'))

    @staticmethod
    def _generate_etag(etag_data: Any, extra_data: Any = None) -> str:
        if isinstance(etag_data, int) and not extra_data:
            return etags.etag(etag_data).strip('"')
        return etags.hashed((etag_data, extra_data) if extra_data else etag_data)

    def _is_etag_enabled(self) -> bool:
        return True

    def _check_precondition(self) -> None:
        """Leave it to `etag`: a request that is wrong in itself is told so first."""

    def _check_not_modified(self, etag: str) -> None:
        """Leave it to the response: a 304 has headers that an exception would lose."""

    def _set_etag_in_response(self, response: flask.Response) -> None:
        if flask.request.method not in self.METHODS_ALLOWING_SET_ETAG or "ETag" in response.headers:
            return
        tag = _etag_context().get("etag")
        if tag is None:
            extra = tuple(pair for pair in response.headers if pair[0] in self.ETAG_INCLUDE_HEADERS)
            tag = self._generate_etag(get_appcontext().get("result_dump"), extra)
            _etag_context()["etag"] = tag
            if self._known_to_client():
                response.status_code = HTTPStatus.NOT_MODIFIED
                response.set_data(b"")
                response.headers.remove("Content-Type")
        response.set_etag(tag)


def notes(view: object) -> Mapping[str, Any]:
    """Return what Flask-Smorest's decorators noted on a view."""
    return getattr(view, NOTE, {})


def _etag_context() -> dict[str, Any]:
    found: dict[str, Any] = get_appcontext().setdefault("etag", {})
    return found
