"""`Blueprint`: Flask-Smorest's own, read strictly, written fast, and with typed decorators.

    blueprint = Blueprint("orders", __name__, url_prefix="/orders")

    @blueprint.get("/<id:order_id>")
    @requires(ORDERS_READ)
    @blueprint.response(200, OrderSchema())
    @blueprint.alt_response(NotFound)
    def show_order(order_id: str) -> object:
        "Show an order."
        return find_order(order_id)

`arguments`, `response`, `alt_response`, `etag`, `paginate` and `doc` do what the documentation of
Flask-Smorest says. Beyond it: unknown fields and repeated parameters are rejected, a problem class
may be given to `alt_response`, and `etag` compares as RFC 9110 section 13 has it.
Flask-Smorest and marshmallow have no types in places; the `Any`s that they force stay in this file.
"""

import copy
import functools
import inspect
import weakref
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any, TypeVar, cast

import flask
import flask_smorest
from flask_smorest.utils import (
    get_appcontext,
    resolve_schema_instance,
    set_status_and_headers_in_response,
    unpack_tuple_response,
)
from marshmallow import Schema
from werkzeug.wrappers import Response as WerkzeugResponse

from itemsapi.preconditions import Precondition, check_version
from itemsapi.problems import PreconditionFailed, PreconditionRequired, Problem
from itemsapi.rest import etags
from itemsapi.rest.json_provider import dumps
from itemsapi.rest.parser import OPTIONAL, StrictParser
from itemsapi.tokens.scopes import Scope

View = TypeVar("View", bound=Callable[..., object])
Decorator = Callable[[View], View]
SchemaLike = Schema | type[Schema]

NOTE = "_apidoc"  # Flask-Smorest keeps there what a view declares
PROBLEMS = "problems"


class Blueprint(flask_smorest.Blueprint):  # type: ignore[misc]  # Flask-Smorest has no types
    """A set of endpoints.

    `scopes` are those that only this blueprint uses and that no rule of its names; `description` is
    what the document says about the blueprint, by default the first line of the module's docstring.
    """

    ARGUMENTS_PARSER = StrictParser()
    PAGINATION_ARGUMENTS_PARSER = ARGUMENTS_PARSER

    def __init__(
        self,
        name: str,
        import_name: str,
        *,
        url_prefix: str | None = None,
        scopes: Iterable[Scope] = (),
        description: str = "",
        **options: Any,
    ) -> None:
        """Create a blueprint that answers under `url_prefix`."""
        super().__init__(
            name, import_name, url_prefix=url_prefix, description=description, **options
        )
        self.scopes = tuple(scopes)
        self.error_schemas: dict[type[Problem], tuple[int, Schema]] = {}
        self._registered: weakref.WeakSet[Any] = weakref.WeakSet()
        self._prepare_doc_cbks += [_prepare_problems_doc]

    def get(self, path: str, **options: Any) -> Callable[[View], View]:
        """Answer GET (and HEAD) on `path`."""
        return self._on("GET", path, options)

    def post(self, path: str, **options: Any) -> Callable[[View], View]:
        """Answer POST on `path`."""
        return self._on("POST", path, options)

    def put(self, path: str, **options: Any) -> Callable[[View], View]:
        """Answer PUT on `path`."""
        return self._on("PUT", path, options)

    def patch(self, path: str, **options: Any) -> Callable[[View], View]:
        """Answer PATCH on `path`."""
        return self._on("PATCH", path, options)

    def delete(self, path: str, **options: Any) -> Callable[[View], View]:
        """Answer DELETE on `path`."""
        return self._on("DELETE", path, options)

    def errorhandler(self, code_or_exception: type[Exception] | int) -> Callable[[View], View]:
        """Handle errors of this blueprint's views; say how with `document_errors`."""
        return cast("Callable[[View], View]", super().errorhandler(code_or_exception))

    def arguments(
        self, schema: SchemaLike, *, location: str = "json", required: bool = True, **options: Any
    ) -> Callable[[View], View]:
        """Parse a part of the request by `schema` and hand it to the view.

        Several are handed over from the top down. With `required=False` a body that is missing is
        read as `{}`. Unknown fields and repeated parameters are rejected (422).
        """
        instance = resolve_schema_instance(schema)
        if not required:
            instance = copy.copy(instance)  # the same instance may be required elsewhere
            OPTIONAL.add(instance)
        parse = super().arguments(instance, location=location, required=required, **options)

        def decorate(view: View) -> View:
            self._require_route_above(view, "arguments")
            innermost = "arguments" not in notes(view)
            return cast("View", parse(self._after_arguments(view) if innermost else view))

        return decorate

    def response(
        self,
        status_code: int,
        schema: SchemaLike | Mapping[str, Any] | str | None = None,
        **options: Any,
    ) -> Callable[[View], View]:
        """Answer with `status_code` and what `schema` makes of what the view returns.

        The view returns a value, `(value, status)`, `(value, headers)`, `(value, status, headers)`
        or a whole response, which is sent as it is.
        """
        document = super().response(status_code, schema, **options)
        instance = resolve_schema_instance(schema)

        def decorate(view: View) -> View:
            self._require_route_above(view, "response")

            @functools.wraps(view)
            def respond(*args: Any, **kwargs: Any) -> object:
                returned = flask.current_app.ensure_sync(view)(*args, **kwargs)
                value, status, headers = unpack_tuple_response(returned)
                if isinstance(value, WerkzeugResponse):
                    response = value
                elif self._known_to_client():
                    response = flask.Response(status=HTTPStatus.NOT_MODIFIED)
                    status = None
                else:
                    response = self._dump(instance, value, options.get("content_type"))
                    response.status_code = status_code
                set_status_and_headers_in_response(response, status, headers)
                return response

            return cast("View", document(respond))  # gets a response, so it only documents

        return decorate

    def alt_response(
        self, status_code: int | type[Problem], response: str | None = None, **options: Any
    ) -> Callable[[View], View]:
        """Document another response: one of Flask-Smorest's kinds, or a problem that is raised."""
        if isinstance(status_code, int):
            documented = super().alt_response(status_code, response, **options)
            return cast("Callable[[View], View]", documented)

        def decorate(view: View) -> View:
            found = dict(notes(view))
            found[PROBLEMS] = [status_code, *found.get(PROBLEMS, [])]
            setattr(view, NOTE, found)
            return view

        return decorate

    def document_errors(self, schema: Schema, statuses: Mapping[type[Problem], int]) -> None:
        """Document that this blueprint's own error handler answers these problems by `schema`."""
        self.error_schemas |= {kind: (status, schema) for kind, status in statuses.items()}

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

    def add_url_rule(
        self,
        rule: str,
        endpoint: str | None = None,
        view_func: Any = None,
        *args: Any,
        **options: Any,
    ) -> None:
        """Register a path without a slash at its end; with one it is answered all the same.

        Registered with the slash, Werkzeug would say 404 instead of 405 to it without.
        """
        if view_func is not None and not inspect.isclass(view_func):
            self._registered.add(view_func)
        bare = rule.rstrip("/") or ("" if self.url_prefix else "/")
        super().add_url_rule(bare, endpoint, view_func, *args, **options)

    def _on(self, method: str, path: str, options: dict[str, Any]) -> Callable[[View], View]:
        register = self.route(path, methods=[method], **options)
        return cast("Callable[[View], View]", register)

    def _require_route_above(self, view: object, decorator: str) -> None:
        """Raise `TypeError` for a decorator above `route`: the registered view would not have it."""
        if view in self._registered:
            name = getattr(view, "__name__", "the view")
            raise TypeError(f"@{decorator} stands above the route of {name}; write it below")

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

    def _dump(self, schema: Any, value: object, content_type: str | None) -> flask.Response:
        data = value if schema is None else schema.dump(value)
        data = self._prepare_response_content(data)
        get_appcontext()["result_dump"] = data  # `etag` reads it there
        if data is None and schema is None:
            return flask.Response()
        return flask.Response(dumps(data), mimetype=content_type or "application/json")

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


def _prepare_problems_doc(doc: Any, doc_info: Any, *, method: str, **_: Any) -> Any:
    """Hand the problems of `alt_response` and `etag` to the plugin that knows the rules."""
    raised = list(doc_info.get(PROBLEMS, ()))
    if doc_info.get("etag"):
        changing = method.upper() in Blueprint.METHODS_NEEDING_CHECK_ETAG
        raised += [PreconditionFailed, PreconditionRequired] if changing else []
        raised += [PreconditionFailed] if method == "get" else []
    doc["x-problems"] = raised
    return doc
