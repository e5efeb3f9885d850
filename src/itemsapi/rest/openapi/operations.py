"""Add access rules and problem responses to each operation of the document."""

# ruff: noqa: ANN401 - the signatures are the libraries'

import copy
import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any

from apispec import APISpec, BasePlugin
from apispec.exceptions import APISpecError, InvalidParameterError
from flask import Flask
from flask_smorest.spec.plugins import FlaskPlugin
from marshmallow import Schema
from werkzeug.routing import BaseConverter
from werkzeug.routing import Rule as Route

from itemsapi.gate import openapi
from itemsapi.gate.rules import Rule
from itemsapi.gate.shadowed_routes import LAYER_PREFIX
from itemsapi.problems import (
    BadRequest,
    BodyMalformed,
    BodyTooLarge,
    InternalError,
    MediaTypeWrong,
    NotFound,
    Problem,
    RequestTimeout,
    Unavailable,
    ValidationFailed,
)
from itemsapi.rest.fields import ID_PATTERN
from itemsapi.rest.openapi.names import unique_name
from itemsapi.rest.openapi.responses import ProblemResponses, example_scope
from itemsapi.rest.openapi.schemas import SchemaPlugin

RuleFor = Callable[[Route, str], Rule]

ALWAYS: tuple[type[Problem], ...] = (BadRequest, InternalError, Unavailable)
WITH_BODY: tuple[type[Problem], ...] = (RequestTimeout, BodyTooLarge, MediaTypeWrong)
REFERENCE = re.compile(r"#/components/(?:parameters|responses)/([^/]+)")
ID_SCHEMA: dict[str, object] = {
    "type": "string",
    "format": "uuid",
    "pattern": f"^{ID_PATTERN}$",
}


class PathPlugin(FlaskPlugin):  # type: ignore[misc]  # Flask-Smorest has no types
    """Flask-Smorest's plugin for Flask routes; it removes trailing slashes from paths."""

    @staticmethod
    def flaskpath2openapi(path: str) -> str:
        """Return a path in OpenAPI syntax."""
        return str(FlaskPlugin.flaskpath2openapi(path)).rstrip("/") or "/"

    def path_helper(self, rule: Route, operations: Any, parameters: Any, **kwargs: Any) -> str:
        """Return the path, and move its parameters into each operation."""
        parameters[:] = map(_by_name, parameters)
        if any(
            isinstance(parameter, Mapping) and "in" not in parameter for parameter in parameters
        ):
            msg = "a parameter lacks `in`"
            raise InvalidParameterError(msg)
        path = super().path_helper(rule, operations, parameters, **kwargs)
        for operation in operations.values():
            own = [_by_name(parameter) for parameter in operation.get("parameters", ())]
            if parameters or own:
                operation["parameters"] = [*copy.deepcopy(parameters), *own]
        parameters.clear()
        return str(path)

    def rule_to_params(self, rule: Route) -> list[dict[str, Any]]:
        """Return the parameters of a path, with a description of each id.

        Flask-Smorest fails for a route without defaults, and leaves out those that have one.
        """
        route = copy.copy(rule)
        route.defaults = {}
        path_parameters: list[dict[str, Any]] = super().rule_to_params(route)
        for parameter in path_parameters:
            name = parameter["name"]
            if name.endswith("_id"):
                resource = name.removesuffix("_id").replace("_", " ")
                parameter["description"] = f"The id of the {resource}."
        return path_parameters


def id_schema(_converter: BaseConverter) -> dict[str, object]:
    """Return the schema of a path parameter that is an id."""
    return ID_SCHEMA


class RulesPlugin(BasePlugin):
    """Adds to each operation its id, its rule and its problem responses."""

    def __init__(self, app: Flask, rule_for: RuleFor, problems_url: str) -> None:
        """Store the application, the function that returns a rule, and the problems' address."""
        self._app, self._rule_for, self._problems_url = app, rule_for, problems_url
        self.schemas = SchemaPlugin()
        self._operations: list[tuple[Route, str, dict[str, Any]]] = []
        self.rules: list[Rule] = []
        self.documented: set[tuple[str, str]] = set()

    def init_spec(self, spec: APISpec) -> None:
        """Prepare to collect problem responses in the components of `spec`."""
        super().init_spec(spec)
        self._responses = ProblemResponses(spec, self._problems_url)

    def operation_helper(
        self, path: str | None = None, operations: Any = None, **kwargs: Any
    ) -> None:
        """Complete the operations of a route."""
        route: Route = kwargs["rule"]
        for method, operation in (operations or {}).items():
            self.documented.add((route.rule, method))
            self._operations.append((route, method, operation))
            self._complete(route, path or "", method, operation)

    @property
    def operations(self) -> list[dict[str, Any]]:
        """All operations of the document, in its order."""
        return [operation for _, _, operation in self._operations]

    def _complete(self, route: Route, path: str, method: str, operation: dict[str, Any]) -> None:
        rule = self._rule_for(route, method.upper())
        self.rules.append(rule)
        declared = operation.pop("x-problems", [])
        for kind in declared:
            _require_texts(kind)
        operation.setdefault("responses", {"200": {"description": HTTPStatus.OK.phrase}})
        text = f"{operation.get('summary', '')}\n\n{operation.get('description', '')}"
        summary, description = summary_and_description(text.strip(), route.endpoint)
        operation |= {
            "operationId": operation.get("operationId", ""),
            "summary": summary,
            "security": openapi.security_requirements(rule),
            "x-access": openapi.describe_rule(rule),
        }
        if description:
            operation["description"] = description
        kinds = {
            *ALWAYS,
            *openapi.problems_of_rule(rule),
            *declared,
            *problems_of_operation(operation),
        }
        if "{" in path:
            kinds.add(NotFound)
        self._add_problems(route, operation, kinds, rule.scope_names)

    def add_ids(self) -> None:
        """Give each operation a unique id. Those that a view declares come first."""
        taken: set[str] = set()
        for route, method, operation in sorted(
            self._operations, key=lambda entry: not entry[2]["operationId"]
        ):
            operation["operationId"] = unique_name(
                _ids(route.endpoint, method, operation["operationId"]), taken
            )
            taken.add(operation["operationId"])

    def _add_problems(
        self,
        route: Route,
        operation: dict[str, Any],
        kinds: set[type[Problem]],
        scopes: Iterable[str],
    ) -> None:
        blueprint = self._app.blueprints.get(route.endpoint.rpartition(".")[0])
        custom = _custom_error_schemas(getattr(blueprint, "error_schemas", {}), kinds)
        responses = {str(status): _by_name(each) for status, each in operation["responses"].items()}
        for status, response in self._responses.responses(kinds - custom.keys(), scopes).items():
            if not _has_content(responses.get(status)):
                responses[status] = response
        for code, schema in set(custom.values()):
            usual = [kind for kind in kinds - custom.keys() if kind.status == code]
            responses[str(code)] = self._custom_error_response(code, schema, usual, scopes)
        operation["responses"] = dict(sorted(responses.items()))

    def _custom_error_response(
        self,
        status: int,
        schema: Schema,
        usual: Iterable[type[Problem]],
        scopes: Iterable[str],
    ) -> dict[str, Any]:
        """Return the blueprint's own error response, together with the problems of that status."""
        kinds = sorted(usual, key=lambda kind: kind.code)
        scope = example_scope(scopes)
        response = self._responses.response(kinds, scope) if kinds else {"content": {}}
        content = {"application/json": {"schema": schema}}
        phrase = {"description": HTTPStatus(status).phrase}
        merged = {**phrase, **response, "content": {**content, **response["content"]}}
        assert self.schemas.resolver is not None  # noqa: S101 - the spec exists here
        self.schemas.resolver.resolve_response(merged)  # type: ignore[no-untyped-call]  # apispec
        return merged


def _require_texts(kind: type[Problem]) -> None:
    missing = [name for name in ("status", "code", "title") if not hasattr(kind, name)]
    if missing:
        msg = f"the problem {kind.__name__} has no {missing[0]}"
        raise APISpecError(msg)


def _ids(endpoint: str, method: str, declared: str) -> list[str]:
    """Return the ids that an operation may get, the best one first."""
    if declared:
        return [declared, f"{declared}_{method}"]
    blueprint, _, name = endpoint.removeprefix(LAYER_PREFIX).rpartition(".")
    candidates = (name, f"{blueprint}_{name}", f"{blueprint}_{name}_{method}")
    return [candidate.replace(".", "_").lower() for candidate in candidates]


def _by_name(described: Any) -> Any:
    """Return a reference to a component as its name, which apispec expects."""
    reference = described.get("$ref") if isinstance(described, Mapping) else None
    found = REFERENCE.fullmatch(reference) if isinstance(reference, str) else None
    return found[1] if found else described


def summary_and_description(text: str, name: str) -> tuple[str, str]:
    """Return the first sentence of a docstring and the rest of it."""
    line, _, rest = (text or name.rpartition(".")[2].replace("_", " ").capitalize()).partition("\n")
    sentence, _, rest_of_line = line.partition(". ")
    return sentence.strip().rstrip("."), f"{rest_of_line}\n{rest}".strip()


def documented_text(thing: object) -> str:
    """Return the docstring of a view or a module, without its indentation."""
    return inspect.getdoc(thing) or ""


def problems_of_operation(operation: Mapping[str, Any]) -> set[type[Problem]]:
    """Return the problems that parsing the request of an operation can raise."""
    content = operation.get("requestBody", {}).get("content", {})
    parameters = operation.get("parameters", ())
    parsed = any(isinstance(p, Mapping) and p.get("in") != "path" for p in parameters)
    problems: set[type[Problem]] = {ValidationFailed} if content or parsed else set()
    if content:
        problems |= set(WITH_BODY)
    if any(re.fullmatch(r"application/(.+\+)?json", media) for media in content):
        problems.add(BodyMalformed)
    return problems


def _has_content(response: object) -> bool:
    """Return whether a view documents the content of this response, not only its status."""
    if isinstance(response, str):  # the name of a component
        return response not in HTTPStatus.__members__
    return isinstance(response, Mapping) and bool({"content", "$ref"} & response.keys())


def _custom_error_schemas(
    schemas: Mapping[type[Problem], tuple[int, Schema]], kinds: Iterable[type[Problem]]
) -> dict[type[Problem], tuple[int, Schema]]:
    """Return status and schema of each problem that the blueprint's error handler serializes."""
    custom = {}
    for kind in kinds:
        entry = next((value for base, value in schemas.items() if issubclass(kind, base)), None)
        if entry is not None:
            custom[kind] = entry
    return custom
