"""What the gate's rules and the raised problems add to each operation of the document."""

# ruff: noqa: ANN401 - the signatures are the libraries'

import copy
import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any

from apispec import APISpec, BasePlugin
from flask import Flask
from flask_smorest.spec.plugins import FlaskPlugin
from marshmallow import Schema
from werkzeug.routing import BaseConverter
from werkzeug.routing import Rule as Route

from itemsapi.gate import openapi
from itemsapi.gate.rules import Rule
from itemsapi.problems import (
    BadRequest,
    BodyMalformed,
    BodyTooLarge,
    InternalError,
    Invalid,
    MediaTypeWrong,
    NotFound,
    Problem,
    RequestTimeout,
    Unavailable,
)
from itemsapi.rest.fields import ID_PATTERN
from itemsapi.rest.openapi.responses import ProblemResponses
from itemsapi.rest.openapi.schemas import SchemaPlugin

RuleFor = Callable[[str, str], Rule]

ALWAYS: tuple[type[Problem], ...] = (BadRequest, InternalError, Unavailable)
WITH_BODY: tuple[type[Problem], ...] = (RequestTimeout, BodyTooLarge, MediaTypeWrong)
ID_SCHEMA: dict[str, object] = {
    "type": "string",
    "format": "uuid",
    "pattern": f"^{ID_PATTERN}$",
}


class PathPlugin(FlaskPlugin):  # type: ignore[misc]  # Flask-Smorest has no types
    """Flask-Smorest's plugin for Flask's routes; a slash at the end of a path does not count."""

    @staticmethod
    def flaskpath2openapi(path: str) -> str:
        """Return a path as OpenAPI writes it."""
        return str(FlaskPlugin.flaskpath2openapi(path)).rstrip("/") or "/"

    def path_helper(self, rule: Route, operations: Any, parameters: Any, **kwargs: Any) -> str:
        """Return the path; its parameters are those of each operation."""
        path = super().path_helper(rule, operations, parameters, **kwargs)
        for operation in operations.values():
            own = operation.get("parameters", [])
            if parameters or own:
                operation["parameters"] = [*copy.deepcopy(parameters), *own]
        parameters.clear()
        return str(path)

    def rule_to_params(self, rule: Route) -> list[dict[str, Any]]:
        """Return the parameters of a path, each with what it is the id of."""
        found: list[dict[str, Any]] = super().rule_to_params(rule)
        for parameter in found:
            name = parameter["name"]
            if name.endswith("_id"):
                thing = name.removesuffix("_id").replace("_", " ")
                parameter["description"] = f"The id of the {thing}."
        return found


def id_schema(_converter: BaseConverter) -> dict[str, object]:
    """Return the schema of a path parameter that is an id."""
    return ID_SCHEMA


class RulesPlugin(BasePlugin):
    """Adds to each operation its id, its rule, and the problems that may answer it."""

    def __init__(self, app: Flask, rule_for: RuleFor, problems_url: str) -> None:
        """Take the application, where to find the rule of a route, and where problems are."""
        self._app, self._rule_for, self._problems_url = app, rule_for, problems_url
        self.schemas = SchemaPlugin()
        self._ids: set[str] = set()
        self.rules: list[Rule] = []
        self.documented: set[tuple[str, str]] = set()

    def init_spec(self, spec: APISpec) -> None:
        """Collect problem responses in the components of `spec`."""
        super().init_spec(spec)
        self._responses = ProblemResponses(spec, self._problems_url)

    def operation_helper(
        self, path: str | None = None, operations: Any = None, **kwargs: Any
    ) -> None:
        """Complete the operations of a route."""
        route: Route = kwargs["rule"]
        for method, operation in (operations or {}).items():
            self.documented.add((route.rule, method))
            self._complete(route, path or "", method, operation)

    def _complete(self, route: Route, path: str, method: str, operation: dict[str, Any]) -> None:
        rule = self._rule_for(route.endpoint, method.upper())
        self.rules.append(rule)
        raised = operation.pop("x-problems", [])
        operation.setdefault("responses", {"200": {"description": HTTPStatus.OK.phrase}})
        text = f"{operation.get('summary', '')}\n\n{operation.get('description', '')}"
        summary, description = summary_and_description(text.strip(), route.endpoint)
        operation |= {
            "operationId": operation.get("operationId") or self._id(route, method),
            "summary": summary,
            "security": openapi.security(rule),
            "x-access": openapi.in_words(rule),
        }
        if description:
            operation["description"] = description
        kinds = {*ALWAYS, *openapi.refusals(rule), *raised, *_follow(operation)}
        if "{" in path:
            kinds.add(NotFound)
        self._add_problems(route, operation, kinds)

    def _id(self, route: Route, method: str) -> str:
        blueprint, _, name = route.endpoint.rpartition(".")
        candidates = (name, f"{blueprint}_{name}", f"{blueprint}_{name}_{method}", route.rule)
        found = next(c for c in candidates if c.replace(".", "_").lower() not in self._ids)
        operation_id = found.replace(".", "_").lower()
        self._ids.add(operation_id)
        return operation_id

    def _add_problems(
        self, route: Route, operation: dict[str, Any], kinds: set[type[Problem]]
    ) -> None:
        blueprint = self._app.blueprints.get(route.endpoint.rpartition(".")[0])
        other = _by_other_schemas(getattr(blueprint, "error_schemas", {}), kinds)
        responses = {str(status): value for status, value in operation["responses"].items()}
        for status, response in self._responses.responses(kinds - other.keys()).items():
            if not _has_content(responses.get(status)):
                responses[status] = response
        for code, schema in set(other.values()):
            usual = [kind for kind in kinds - other.keys() if kind.status == code]
            responses[str(code)] = self._other_response(code, schema, usual)
        operation["responses"] = dict(sorted(responses.items()))

    def _other_response(
        self, status: int, schema: Schema, usual: Iterable[type[Problem]]
    ) -> dict[str, Any]:
        """Return an error response of the blueprint's own, beside the problems of that status."""
        kinds = sorted(usual, key=lambda kind: kind.code)
        response = self._responses.response(kinds) if kinds else {"content": {}}
        content = {"application/json": {"schema": schema}}
        phrase = {"description": HTTPStatus(status).phrase}
        found = {**phrase, **response, "content": {**content, **response["content"]}}
        assert self.schemas.resolver is not None  # noqa: S101 - the spec has been made
        self.schemas.resolver.resolve_response(found)  # type: ignore[no-untyped-call]  # apispec
        return found


def summary_and_description(text: str, name: str) -> tuple[str, str]:
    """Return the first sentence of a docstring and the rest of it."""
    line, _, rest = (text or name.rpartition(".")[2].replace("_", " ").capitalize()).partition("\n")
    sentence, _, more = line.partition(". ")
    return sentence.strip().rstrip("."), f"{more}\n{rest}".strip()


def documented_text(thing: object) -> str:
    """Return the docstring of a view or a module, without its indentation."""
    return inspect.getdoc(thing) or ""


def _follow(operation: Mapping[str, Any]) -> set[type[Problem]]:
    """Return the problems that follow from what an operation parses."""
    content = operation.get("requestBody", {}).get("content", {})
    parameters = operation.get("parameters", ())
    parsed = any(isinstance(one, Mapping) and one["in"] != "path" for one in parameters)
    found: set[type[Problem]] = {Invalid} if content or parsed else set()
    if content:
        found |= set(WITH_BODY)
    if any(re.fullmatch(r"application/(.+\+)?json", media) for media in content):
        found.add(BodyMalformed)
    return found


def _has_content(response: object) -> bool:
    """Tell whether a view documents this response itself, rather than its bare status."""
    return isinstance(response, Mapping) and bool({"content", "$ref"} & response.keys())


def _by_other_schemas(
    schemas: Mapping[type[Problem], tuple[int, Schema]], kinds: Iterable[type[Problem]]
) -> dict[type[Problem], tuple[int, Schema]]:
    found = {}
    for kind in kinds:
        hit = next((value for base, value in schemas.items() if issubclass(kind, base)), None)
        if hit is not None:
            found[kind] = hit
    return found
