"""`install` adds the HTTP layer to an application; `Api` registers and documents blueprints.

`Api` is Flask-Smorest's, with the gate's rules in the document, built when it is first read.
"""

# ruff: noqa: SLF001 - Flask-Smorest keeps the declarations of the views in a private attribute

import copy
import functools
import threading
from collections.abc import Collection
from http import HTTPStatus
from typing import Any

import flask_smorest
from apispec import APISpec
from apispec.exceptions import APISpecError
from flask import Blueprint as FlaskBlueprint
from flask import Flask, Response
from werkzeug.routing import Rule as Route

from itemsapi.gate import openapi
from itemsapi.gate.credentials import Credential
from itemsapi.gate.guarded_views import current_request
from itemsapi.observability.metrics import count_request
from itemsapi.operator_error import OperatorError
from itemsapi.rest import error_handlers
from itemsapi.rest.default_headers import (
    documented_headers,
    remove_content_type_without_content,
    response_headers,
)
from itemsapi.rest.error_handlers import PROBLEM_JSON
from itemsapi.rest.id_converter import IdConverter
from itemsapi.rest.json_provider import MAX_BYTES, JsonProvider
from itemsapi.rest.middleware import Middleware, Proxies
from itemsapi.rest.openapi.links import add_links
from itemsapi.rest.openapi.operations import (
    PathPlugin,
    RuleFor,
    RulesPlugin,
    documented_text,
    id_schema,
)
from itemsapi.rest.openapi.responses import PROBLEM_SCHEMA
from itemsapi.rest.openapi.samples import add_code_samples
from itemsapi.rest.openapi.tags import NO_BLUEPRINT, TAG_GROUPS, Tags
from itemsapi.rest.request import Request
from itemsapi.settings import Settings


class DocumentInvalid(OperatorError, RuntimeError):
    """The OpenAPI document cannot be built: a view declares something that it cannot express."""


def install(app: Flask, settings: Settings) -> None:
    """Set the request class, JSON provider, error handlers, middleware and URL matching.

    Call this function before any route is registered and before the gate is installed.
    """
    base = f"{settings.public_url}/docs/problems"
    app.request_class = Request
    app.json = JsonProvider(app)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BYTES
    _install_routing(app)
    error_handlers.set_problems_url(app, base)
    error_handlers.install(app)
    app.after_request(_finish)

    proxies = Proxies(settings.public_url, settings.trusted_proxies or 0)
    headers = response_headers(settings)
    app.wsgi_app = Middleware(app.wsgi_app, base, proxies, headers, access_log=settings.access_log)  # type: ignore[method-assign]  # Flask's documented way


def _finish(response: Response) -> Response:
    """Complete and count a response; one function, because Flask wraps each of them."""
    asked = current_request()
    count_request(asked.method, asked.endpoint, response.status_code)
    return remove_content_type_without_content(response)


def _install_routing(app: Flask) -> None:
    """Match `/items` and `/items/` alike and never redirect: redirects leak or lose tokens."""
    app.url_map.converters["id"] = IdConverter
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False


METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
IF_MATCH = {
    "name": "If-Match",
    "in": "header",
    "required": True,
    "description": "The ETag of the version that the change was made against, or `*`.",
    "schema": {"type": "string"},
}
IF_NONE_MATCH = {
    "name": "If-None-Match",
    "in": "header",
    "description": "ETags of versions that you have: 304 if one of them is the current version.",
    "schema": {"type": "string"},
}


class Api(flask_smorest.Api):  # type: ignore[misc]  # Flask-Smorest has no types
    """Flask-Smorest's `Api`, with the gate's rules in the document.

    `rest.error_handlers` handles errors, and `endpoints.docs` serves the document.
    """

    ERROR_SCHEMA = PROBLEM_SCHEMA
    documents_problems = True
    DEFAULT_ERROR_RESPONSE_NAME = None

    def __init__(  # noqa: PLR0913 - what the document needs to know of the layer
        self,
        app: Flask,
        *,
        rule_for: RuleFor,
        problems_url: str,
        public_url: str,
        credentials: Collection[Credential] = (),
        config_prefix: str = "",
        **spec: Any,
    ) -> None:
        """Store the options of the document.

        `rule_for` returns the rule of a route, `problems_url` is the page that explains problems,
        `public_url` the address in the code samples, `credentials` are those beside the access
        token.
        """
        self._public_url = public_url
        self._credentials = credentials
        self._spec: APISpec | None = None
        self._options: dict[str, Any] | None = None
        self._complete = False
        self._building = threading.RLock()
        self._parameters: dict[str, Any] = {}
        self._new_rules = functools.partial(RulesPlugin, app, rule_for, problems_url)
        super().__init__(app, spec_kwargs=spec, config_prefix=config_prefix)

    @property
    def spec(self) -> APISpec | None:
        """The document, built on first use, after all blueprints are registered.

        One thread builds it; the others wait, so that nobody gets an incomplete document.
        """
        if not self._complete:
            with self._building:
                if self._spec is None and self._options is not None:
                    self._build(self._options)
        return self._spec

    @spec.setter
    def spec(self, value: APISpec | None) -> None:
        """Keep the document that Flask-Smorest makes."""
        self._spec = value

    def register_blueprint(
        self,
        blp: FlaskBlueprint,
        *,
        parameters: list[dict[str, object]] | None = None,
        **options: Any,
    ) -> None:
        """Register a blueprint of Flask-Smorest or of plain Flask."""
        name = options.get("name", blp.name)
        self._app.extensions["flask-smorest"]["blp_name_to_api"][name] = self
        self._app.register_blueprint(blp, **options)
        self._parameters[name] = parameters

    def _init_spec(self, **options: Any) -> None:
        """Keep the options for later: building the document takes as long as the whole startup."""
        self._options = options

    def _register_doc_blueprint(self) -> None:
        """Do nothing: `endpoints.docs` serves the document."""

    def _register_error_handlers(self) -> None:
        """Do nothing: `rest.error_handlers` handles every error."""

    def _register_responses(self) -> None:
        """Register a response for each HTTP status; views refer to them by status alone."""
        components = self._built().components
        problem = {PROBLEM_JSON: {"schema": {"$ref": "#/components/schemas/Problem"}}}
        for status in HTTPStatus:
            content = {"content": problem} if status >= HTTPStatus.BAD_REQUEST else {}
            components.response(status.name, {"description": status.phrase, **content}, lazy=True)

    def _register_etag_headers(self) -> None:
        """Describe `ETag`, `If-Match` and `If-None-Match` as this service implements them."""
        components = self._built().components
        for name, header in (("IF_MATCH", IF_MATCH), ("IF_NONE_MATCH", IF_NONE_MATCH)):
            components.parameter(name, "header", header, lazy=True)
        components.header("ETAG", documented_headers("ETag")["ETag"], lazy=True)

    def _build(self, options: dict[str, Any]) -> None:
        try:
            self._build_all(options)
        except BaseException:
            self._spec = None  # the next reader gets the error as well, not an incomplete one
            raise
        self._complete = True

    def _build_all(self, options: dict[str, Any]) -> None:
        self._rules = self._new_rules()
        super()._init_spec(
            flask_plugin=PathPlugin(),
            marshmallow_plugin=self._rules.schemas,
            extra_plugins=[self._rules],
            **options,
        )
        self.register_converter(IdConverter, id_schema)
        spec = self._built()
        for name, blueprint in self._app.blueprints.items():
            if isinstance(blueprint, flask_smorest.Blueprint) and not self._is_foreign(name):
                self._add_views(spec, name, blueprint)
        for route in self._app.url_map.iter_rules():
            name = route.endpoint.rpartition(".")[0]
            is_documented = getattr(self._app.blueprints.get(name), "documented", True)
            if is_documented and not self._is_foreign(name):
                self._add_plain_route(spec, route)
        self._rules.add_ids()
        self._add_tags(spec)
        self._add_schemes(spec)
        document = spec.to_dict()
        add_links(document)
        add_code_samples(document, self._public_url)
        if "PAGINATION" not in spec.components.headers:
            spec.components.schemas.pop("PaginationMetadata", None)  # only that header has it

    def _is_foreign(self, blueprint: str) -> bool:
        """Return whether another `Api` of the application documents a blueprint."""
        apis: dict[str, flask_smorest.Api]
        apis = self._app.extensions["flask-smorest"]["blp_name_to_api"]
        return apis.get(self._outermost(blueprint), self) is not self

    def _built(self) -> APISpec:
        assert self._spec is not None  # noqa: S101 - called only while the document is built
        return self._spec

    def _add_views(self, spec: APISpec, name: str, blueprint: flask_smorest.Blueprint) -> None:
        """Add the views of a blueprint, as views of the outermost blueprint that it is nested in.

        Flask-Smorest documents what a nested blueprint had when it was nested, at one place only.
        """
        outermost = self._outermost(name)
        prefix = f"{name}.".removeprefix(f"{outermost}.")
        parameters = self._parameters.get(outermost)
        own = copy.copy(blueprint)
        for endpoint, views in blueprint._docs.items():
            served = {} if "." in endpoint else self._served(f"{name}.{endpoint}", views)
            own._docs = {f"{prefix}{endpoint}": served} if served else {}
            try:
                own.register_views_in_doc(
                    self, self._app, spec, name=outermost, parameters=parameters
                )
            except APISpecError as error:
                msg = f"the view {name}.{endpoint} cannot be documented: {error}"
                raise DocumentInvalid(msg) from error

    def _outermost(self, name: str) -> str:
        parent = name.rpartition(".")[0]
        is_nested = isinstance(self._app.blueprints.get(parent), flask_smorest.Blueprint)
        return self._outermost(parent) if is_nested else name

    def _served(self, endpoint: str, views: dict[str, Any]) -> dict[str, Any]:
        """Return what is known of the methods that reach a view; the gate responds to OPTIONS."""
        methods = {
            method.lower()
            for route in self._app.url_map.iter_rules(endpoint)
            for method in (route.methods or set()) - {"OPTIONS"}
        }
        served = {method: view for method, view in views.items() if method in methods}
        return {**served, "parameters": views["parameters"]} if served else {}

    def _add_plain_route(self, spec: APISpec, route: Route) -> None:
        """Add the operations of a route that no Flask-Smorest blueprint documents."""
        operations = {
            method.lower(): self._plain_operation(route, method)
            for method in METHODS
            if method in (route.methods or ())
            and (route.rule, method.lower()) not in self._rules.documented
        }
        if operations:
            spec.path(rule=route, operations=operations)

    def _plain_operation(self, route: Route, method: str) -> dict[str, Any]:
        view = self._app.view_functions[route.endpoint]
        view = getattr(getattr(view, "view_class", None), method.lower(), view)
        blueprint = route.endpoint.rpartition(".")[0]
        return {
            "summary": documented_text(view) or view.__name__.replace("_", " ").capitalize(),
            "tags": [blueprint.rpartition(".")[2] or NO_BLUEPRINT],
        }

    def _add_tags(self, spec: APISpec) -> None:
        tags = Tags(self._app)
        described = tags.describe(self._rules.operations)
        for tag in described:
            spec.tag(tag)
        given = spec.options.get(TAG_GROUPS, ())
        spec.options[TAG_GROUPS] = tags.groups(described, given)

    def _add_schemes(self, spec: APISpec) -> None:
        blueprints = self._app.blueprints.values()
        scopes = [scope for blueprint in blueprints for scope in getattr(blueprint, "scopes", ())]
        schemes = openapi.security_schemes(self._rules.rules, scopes, self._credentials)
        for name, scheme in schemes.items():
            spec.components.security_scheme(name, dict(scheme))
