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

# ruff: noqa: ANN401 - the signatures are Flask-Smorest's

import copy
import functools
import inspect
import weakref
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any, cast

import flask
import flask_smorest
from flask.views import MethodView
from flask_smorest.utils import (
    get_appcontext,
    resolve_schema_instance,
    set_status_and_headers_in_response,
    unpack_tuple_response,
)
from marshmallow import Schema
from werkzeug.wrappers import Response as WerkzeugResponse

from itemsapi.problems import PreconditionFailed, PreconditionRequired, Problem
from itemsapi.rest.json_provider import dumps
from itemsapi.rest.parser import OPTIONAL, StrictParser
from itemsapi.rest.versions import NOTE, Versions, View, notes
from itemsapi.tokens.scopes import Scope

SchemaLike = Schema | type[Schema]

PROBLEMS = "problems"


class Blueprint(Versions, flask_smorest.Blueprint):  # type: ignore[misc]  # Flask-Smorest has no types
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

    def _store_endpoint_docs(self, endpoint: str, obj: Any, *args: Any, **options: Any) -> None:
        """Document a `MethodView` by its methods, also where `as_view` made a function of it."""
        view_class = getattr(obj, "view_class", None)
        documented = view_class if isinstance(view_class, type(MethodView)) else obj
        super()._store_endpoint_docs(endpoint, documented, *args, **options)

    def _on(self, method: str, path: str, options: dict[str, Any]) -> Callable[[View], View]:
        register = self.route(path, methods=[method], **options)
        return cast("Callable[[View], View]", register)

    def _require_route_above(self, view: object, decorator: str) -> None:
        """Raise `TypeError` for a decorator above `route`: the view was registered without it."""
        if view in self._registered:
            name = getattr(view, "__name__", "the view")
            raise TypeError(f"@{decorator} stands above the route of {name}; write it below")

    def _dump(self, schema: Any, value: object, content_type: str | None) -> flask.Response:
        data = value if schema is None else schema.dump(value)
        data = self._prepare_response_content(data)
        get_appcontext()["result_dump"] = data  # `etag` reads it there
        if data is None and schema is None:
            return flask.Response()
        return flask.Response(dumps(data), mimetype=content_type or "application/json")

    def _prepare_arguments_doc(self, doc: Any, doc_info: Any, **kwargs: Any) -> Any:
        """Document a form beside files as one multipart body: OpenAPI 3 has no `in: formData`."""
        parameters = doc_info.get("arguments", {}).get("parameters", [])
        bodies = [one for one in parameters if one["in"] in {"form", "files"}]
        if len(bodies) > 1:
            schemas = [resolve_schema_instance(one["schema"]) for one in bodies]
            found = {name: field for one in schemas for name, field in one.declared_fields.items()}
            name = "".join(type(one).__name__.removesuffix("Schema") for one in schemas)
            bodies[0] |= {"in": "files", "schema": Schema.from_dict(found, name=name)}
            parameters[:] = [one for one in parameters if one not in bodies[1:]]
        return super()._prepare_arguments_doc(doc, doc_info, **kwargs)


def _prepare_problems_doc(doc: Any, doc_info: Any, *, method: str, **_: Any) -> Any:
    """Hand the problems of `alt_response` and `etag` to the plugin that knows the rules."""
    raised = list(doc_info.get(PROBLEMS, ()))
    if doc_info.get("etag"):
        changing = method.upper() in Blueprint.METHODS_NEEDING_CHECK_ETAG
        raised += [PreconditionFailed, PreconditionRequired] if changing else []
        raised += [PreconditionFailed] if method == "get" else []
    doc["x-problems"] = raised
    return doc
