"""`Blueprint`: Flask-Smorest's `Blueprint` with strict parsing, fast output and typed decorators.

    blueprint = Blueprint("orders", __name__, url_prefix="/orders")

    @blueprint.get("/<id:order_id>")
    @requires(ORDERS_READ)
    @blueprint.response(200, OrderSchema())
    @blueprint.alt_response(NotFound)
    def show_order(order_id: str) -> object:
        "Show an order."
        return find_order(order_id)

`arguments`, `response`, `alt_response`, `etag`, `paginate` and `doc` work as the documentation of
Flask-Smorest describes. In addition, unknown fields and repeated parameters are rejected,
`alt_response` accepts a problem class, and `etag` compares as RFC 9110 section 13 requires.
Flask-Smorest and marshmallow are partly untyped; the `Any`s that they need stay in this file.
"""

# ruff: noqa: ANN401 - the signatures are Flask-Smorest's

import copy
import inspect
import weakref
from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

import flask
import flask_smorest
from flask.sansio.app import App
from flask.views import MethodView
from flask_smorest.utils import (
    get_appcontext,
    resolve_schema_instance,
    set_status_and_headers_in_response,
    unpack_tuple_response,
)
from marshmallow import Schema, ValidationError
from werkzeug.exceptions import HTTPException, default_exceptions
from werkzeug.wrappers import Response as WerkzeugResponse

from itemsapi.problems import Problem
from itemsapi.rest.async_views import synchronous
from itemsapi.rest.default_headers import finish_headers
from itemsapi.rest.documented_views import (
    PROBLEMS,
    prepare_examples_doc,
    prepare_problems_doc,
)
from itemsapi.rest.error_handlers import handle_error
from itemsapi.rest.etags import DUMP, METADATA_ATTRIBUTE, Versions, View, view_metadata
from itemsapi.rest.id_converter import IdConverter
from itemsapi.rest.idempotency import PROBLEMS as IDEMPOTENCY_PROBLEMS
from itemsapi.rest.idempotency import IdempotencyHeaders, keep_key
from itemsapi.rest.json_provider import dumps
from itemsapi.rest.page_numbers import Pages
from itemsapi.rest.parser import OPTIONAL, StrictParser
from itemsapi.rest.request import FORM, JSON, MAX_BODY, MULTIPART
from itemsapi.rest.schema import Schema as StrictSchema
from itemsapi.rest.slow_schemas import RESPONSE_SCHEMAS
from itemsapi.rest.streaming import log_stream_failures
from itemsapi.tokens.scopes import Scope
from itemsapi.wrapping import wraps

SchemaLike = Schema | type[Schema]

REGISTERED: "weakref.WeakSet[Any]" = weakref.WeakSet()  # the views that have a route


_CONTENT_HOOK = flask_smorest.Blueprint._prepare_response_content  # noqa: SLF001 - documented


class DecoratorMisplaced(TypeError):
    """A decorator stands above the route of its view, where it would have no effect."""


class Blueprint(
    Versions,
    Pages,
    flask_smorest.Blueprint,  # type: ignore[misc]  # Flask-Smorest has no types
    flask.Blueprint,  # a base of the one above; here for its types
):
    """A set of endpoints.

    `scopes` are scopes of this blueprint that none of its rules names. In the document, `title` is
    its heading, by default its name, and `group` the part of the menu that it is in. `description`
    describes it; the default is the first line of the module's docstring. With `documented=False`
    its routes are not in the document: pages and files for people, not operations.
    """

    ARGUMENTS_PARSER = StrictParser()
    DEFAULT_LOCATION_CONTENT_TYPE_MAPPING: Mapping[str, str] = {
        **flask_smorest.Blueprint.DEFAULT_LOCATION_CONTENT_TYPE_MAPPING,
        "json_or_form": JSON,  # and forms
    }

    def __init__(  # noqa: PLR0913 - the options of a blueprint
        self,
        name: str,
        import_name: str,
        *,
        url_prefix: str | None = None,
        scopes: Iterable[Scope] = (),
        title: str = "",
        group: str = "",
        description: str = "",
        documented: bool = True,
        **options: Any,
    ) -> None:
        """Create a blueprint whose routes start with `url_prefix`."""
        options |= {"description": description}
        super().__init__(name, import_name, url_prefix=url_prefix, **options)
        self.scopes = tuple(scopes)
        self.title, self.group, self.documented = title, group, documented
        self.error_schemas: dict[type[Problem], tuple[int, Schema]] = {}
        self._prepare_doc_cbks += [prepare_problems_doc, prepare_examples_doc]
        # Not `Exception`: handlers of the application for its own exceptions apply here too.
        errors: list[type[Exception] | int] = [HTTPException, Problem, ValidationError]
        for error in [*errors, *default_exceptions]:
            super().register_error_handler(error, handle_error)
        self.after_request(finish_headers)

    def route(self, rule: str, **options: Any) -> Callable[[View], View]:
        """Register a view or a `MethodView` for requests to the path `rule`."""
        return cast("Callable[[View], View]", super().route(rule, **options))

    def get(self, rule: str, **options: Any) -> Callable[[View], View]:
        """Register a view for GET (and HEAD) requests to the path `rule`."""
        return self.route(rule, methods=["GET"], **options)

    def post(self, rule: str, **options: Any) -> Callable[[View], View]:
        """Register a view for POST requests to the path `rule`."""
        return self.route(rule, methods=["POST"], **options)

    def put(self, rule: str, **options: Any) -> Callable[[View], View]:
        """Register a view for PUT requests to the path `rule`."""
        return self.route(rule, methods=["PUT"], **options)

    def patch(self, rule: str, **options: Any) -> Callable[[View], View]:
        """Register a view for PATCH requests to the path `rule`."""
        return self.route(rule, methods=["PATCH"], **options)

    def delete(self, rule: str, **options: Any) -> Callable[[View], View]:
        """Register a view for DELETE requests to the path `rule`."""
        return self.route(rule, methods=["DELETE"], **options)

    def register(self, app: App, options: dict[str, Any]) -> None:
        """Add the routes to the application; `id` in their paths is our converter.

        Routes are compiled when they are added, so a converter `id` of the application is only
        replaced meanwhile.
        """
        converters = app.url_map.converters
        present = dict(converters)
        converters["id"] = IdConverter
        try:
            super().register(app, options)
        finally:
            converters.pop("id")
            converters.update({name: kind for name, kind in present.items() if name == "id"})

    def register_error_handler(
        self, code_or_exception: type[Exception] | int, f: Callable[..., Any]
    ) -> None:
        """Handle an exception or status in views of this blueprint, instead of as a problem.

        Flask prefers handlers of a status to those of a class. So the handlers of this class for
        the statuses that the exception covers are removed.
        """
        if isinstance(code_or_exception, type):
            handlers = self.error_handler_spec[None]
            for status, exception in default_exceptions.items():
                if issubclass(exception, code_or_exception):
                    handlers[status] = {
                        kind: handler
                        for kind, handler in handlers[status].items()
                        if handler is not handle_error
                    }
        super().register_error_handler(code_or_exception, f)

    def errorhandler(self, code_or_exception: type[Exception] | int) -> Callable[[View], View]:
        """Register an error handler for this blueprint; document it with `document_errors`."""
        return cast("Callable[[View], View]", super().errorhandler(code_or_exception))

    def arguments(
        self,
        schema: SchemaLike,
        *,
        location: str = "json",
        required: bool = True,
        max_body: int | None = None,
        **options: Any,
    ) -> Callable[[View], View]:
        """Parse a part of the request with `schema` and pass it to the view.

        Several `arguments` are passed in order from the top down. With `required=False` a missing
        body is parsed as `{}`. Unknown fields and repeated parameters are rejected (422).
        `max_body` is the limit of this view's body in bytes instead of 1 MiB, such as for uploads;
        a lower `MAX_CONTENT_LENGTH` of the application still applies. The parsed body is in memory.
        `example` is an example, or a function that returns one for this application.
        """
        instance = resolve_schema_instance(schema)
        if not required:
            instance = copy.copy(instance)  # another view may require the same instance
            OPTIONAL.add(instance)
        parse = super().arguments(instance, location=location, required=required, **options)

        def decorate(view: View) -> View:
            """Parse before the view, and keep its body limit."""
            parsed = parse(self._after_arguments(view))
            if max_body is not None:
                _add_metadata(parsed, MAX_BODY, max(max_body, view_metadata(view).get(MAX_BODY, 0)))
            return cast("View", parsed)

        return _below_route("arguments", decorate)

    def idempotent(self, view: View) -> View:
        """Accept the header `Idempotency-Key`: a request that is sent again takes effect once.

        The view passes the id of what it creates to `itemsapi.repeated_id`. A key is valid for one
        caller, method, host and path; without a caller (`@public`) it is a fault of the rules.
        """
        return _below_route("idempotent", self._read_idempotency_key)(view)

    def _read_idempotency_key(self, view: View) -> View:
        decorated = self.arguments(IdempotencyHeaders(), location="headers")(keep_key(view))
        for problem in IDEMPOTENCY_PROBLEMS:
            decorated = self.alt_response(problem)(decorated)
        return decorated

    def response(
        self,
        status_code: int,
        schema: SchemaLike | Mapping[str, Any] | str | None = None,
        **options: Any,
    ) -> Callable[[View], View]:
        """Send `status_code` and the view's return value, serialized with `schema`.

        The view returns a value, `(value, status)`, `(value, headers)`, `(value, status, headers)`
        or a response object, which is sent unchanged. `flask.Response(generator())` is streamed; an
        error in the generator cuts it off, and is logged.
        """
        document = super().response(status_code, schema, **options)
        instance, media_type = resolve_schema_instance(schema), options.get("content_type")

        def decorate(view: View) -> View:
            """Serialize what the view returns, and document it as Flask-Smorest does."""
            call = synchronous(view)

            @wraps(view)
            def respond(*args: Any, **kwargs: Any) -> object:
                """Run the view and make its response."""
                value, status, headers = unpack_tuple_response(call(*args, **kwargs))
                if isinstance(value, WerkzeugResponse):
                    response = value
                    log_stream_failures(response)
                else:
                    response = self._dump(instance, value, media_type, status_code)
                set_status_and_headers_in_response(response, status, headers)
                return response

            schemas = [*view_metadata(view).get(RESPONSE_SCHEMAS, []), instance]
            setattr(respond, METADATA_ATTRIBUTE, view_metadata(document(respond)))
            _add_metadata(respond, RESPONSE_SCHEMAS, schemas)
            return cast("View", respond)

        return _below_route("response", decorate)

    def alt_response(
        self, status_code: int | type[Problem], response: str | None = None, **options: Any
    ) -> Callable[[View], View]:
        """Document another response: by status, as in Flask-Smorest, or a problem class."""
        if not isinstance(status_code, type):
            documented = super().alt_response(status_code, response, **options)
            return _below_route("alt_response", documented)

        def decorate(view: View) -> View:
            """Document the problem of the view."""
            _add_metadata(view, PROBLEMS, [status_code, *view_metadata(view).get(PROBLEMS, [])])
            return view

        return _below_route("alt_response", decorate)

    def etag(self, obj: View) -> View:
        """Add ETags to a view or a `MethodView`, and require `If-Match` for changes.

        A view that reads calls `set_etag`, a change calls `check_etag` or `if_match`. An invalid
        request (400, 422) is rejected before a missing `If-Match` (428; RFC 9110 13.2.1).
        """
        return _below_route("etag", super().etag)(obj)

    def paginate(self, *args: Any, **options: Any) -> Callable[[View], View]:
        """Add pagination to a view, as in Flask-Smorest."""
        return _below_route("paginate", super().paginate(*args, **options))

    @staticmethod
    def doc(**options: Any) -> Callable[[View], View]:
        """Document a view with these values, as in Flask-Smorest."""
        return _below_route("doc", flask_smorest.Blueprint.doc(**options))

    def register_views_in_doc(self, *args: Any, **options: Any) -> None:
        """Document the views, unless the blueprint is not documented."""
        if self.documented:
            super().register_views_in_doc(*args, **options)

    def document_errors(self, schema: Schema, statuses: Mapping[type[Problem], int]) -> None:
        """Document that this blueprint's error handler serializes these problems with `schema`."""
        self.error_schemas |= {kind: (status, schema) for kind, status in statuses.items()}

    def add_url_rule(
        self,
        rule: str,
        endpoint: str | None = None,
        view_func: Any = None,
        *args: Any,
        **options: Any,
    ) -> None:
        """Register a path without its trailing slash; requests with the slash match as well.

        If the path were registered with the slash, Werkzeug would return 404 instead of 405 for a
        wrong method on the path without it.
        """
        path = rule.rstrip("/") or ("" if self.url_prefix else "/")
        # A redirect would leak or lose tokens.
        options = {"strict_slashes": False, "merge_slashes": False} | options
        super().add_url_rule(path, endpoint, view_func, *args, **options)
        REGISTERED.update({view_func, getattr(view_func, "view_class", view_func)})

    def _store_endpoint_docs(self, endpoint: str, obj: Any, *args: Any, **options: Any) -> None:
        """Document the methods of a `MethodView`, also if `as_view` turned it into a function.

        Flask accepts methods in lower case too.
        """
        methods = options.pop("methods", None)
        if methods is not None:
            options["methods"] = [method.upper() for method in methods]
        view_class = getattr(obj, "view_class", None)
        documented = view_class if isinstance(view_class, type(MethodView)) else obj
        super()._store_endpoint_docs(endpoint, documented, *args, **options)

    def _dump(
        self, schema: Any, value: object, content_type: str | None, status: int
    ) -> flask.Response:
        data = self._prepare_response_content(self._serialize(schema, value))
        get_appcontext()[DUMP] = data
        if data is None and schema is None:
            return flask.Response(status=status)
        return flask.Response(dumps(data), status, mimetype=content_type or "application/json")

    def _serialize(self, schema: Any, value: object) -> object:
        """Return the data of a response. Times in UTC stay, unless a subclass reads the data."""
        is_read = type(self)._prepare_response_content is not _CONTENT_HOOK  # noqa: SLF001 - as above
        if isinstance(schema, StrictSchema) and not is_read:
            return schema.dump_for_json(value)
        return value if schema is None else schema.dump(value)

    def _prepare_arguments_doc(self, doc: Any, doc_info: Any, **kwargs: Any) -> Any:
        """Document a form with files as one multipart body: OpenAPI 3 has no `in: formData`."""
        parameters = doc_info.get("arguments", {}).get("parameters", [])
        bodies = [p for p in parameters if p["in"] in {"form", "files", "json_or_form"}]
        is_either = [body["in"] for body in bodies] == ["json_or_form"]
        if len(bodies) > 1:
            schemas = [resolve_schema_instance(body["schema"]) for body in bodies]
            fields = {name: field for s in schemas for name, field in s.load_fields.items()}
            name = "".join(type(schema).__name__.removesuffix("Schema") for schema in schemas)
            bodies[0] |= {"in": "files", "schema": Schema.from_dict(fields, name=name)}
            parameters[:] = [p for p in parameters if p not in bodies[1:]]
        doc = super()._prepare_arguments_doc(doc, doc_info, **kwargs)
        if is_either:
            content = doc["requestBody"]["content"]
            content |= {kind: dict(content[JSON]) for kind in (FORM, MULTIPART) if JSON in content}
        if MAX_BODY in doc_info and "requestBody" in doc:
            body, limit = doc["requestBody"], f"At most {doc_info[MAX_BODY]} bytes."
            body["description"] = f"{body.get('description', '')} {limit}".strip()
        return doc


def _below_route(decorator: str, decorate: Callable[[Any], Any]) -> Callable[[View], View]:
    """Return `decorate`, which raises `DecoratorMisplaced` if it stands above the route."""

    def check(view: View) -> View:
        """Decorate the view, unless it is registered already."""
        # Another decorator may stand between this one and the route.
        if inspect.unwrap(view, stop=REGISTERED.__contains__) in REGISTERED:
            name = getattr(view, "__name__", "the view")
            raise DecoratorMisplaced(
                f"@{decorator} stands above the route of {name}; write it below"
            )
        return cast("View", decorate(view))

    return check


def _add_metadata(view: object, name: str, value: object) -> None:
    """Set a value of a view's metadata in a copy: an inner view may share the dictionary."""
    setattr(view, METADATA_ATTRIBUTE, {**view_metadata(view), name: value})
