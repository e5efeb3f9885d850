"""One operation of the document, made of what its view declares and of the rule that guards it."""

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from apispec import APISpec
from marshmallow import Schema

from itemsapi.gate import openapi
from itemsapi.gate.rules import Rule
from itemsapi.problems import (
    BadRequest,
    BodyMalformed,
    BodyTooLarge,
    InternalError,
    MediaTypeWrong,
    NotFound,
    PreconditionFailed,
    Problem,
    RequestTimeout,
    Unavailable,
    ValidationFailed,
)
from itemsapi.rest.blueprint import notes
from itemsapi.rest.default_headers import describe
from itemsapi.rest.fields import ID_PATTERN
from itemsapi.rest.openapi.responses import ProblemResponses
from itemsapi.rest.openapi.schemas import SchemaConverter, with_example
from itemsapi.rest.request import FORM

ALWAYS: tuple[type[Problem], ...] = (BadRequest, InternalError, Unavailable)
WITH_BODY: tuple[type[Problem], ...] = (RequestTimeout, BodyTooLarge, MediaTypeWrong)

_VARIABLE = re.compile(r"<(?:(?P<kind>\w+)(?:\([^>]*\))?:)?(?P<name>\w+)>")
_PATH_SHAPES: Mapping[str, dict[str, object]] = {
    "id": {"type": "string", "format": "uuid", "pattern": f"^{ID_PATTERN}$"},
    "uuid": {"type": "string", "format": "uuid"},
    "int": {"type": "integer", "minimum": 0},
    "float": {"type": "number", "minimum": 0},
}
_MEDIA = {"json": "application/json", "form": FORM}
_PLACES = {"query": "query", "headers": "header", "cookies": "cookie"}
_IF_MATCH = {
    "name": "If-Match",
    "in": "header",
    "required": True,
    "description": "The ETag of the version that the change was made against, or `*`.",
    "schema": {"type": "string"},
}


@dataclass(frozen=True, slots=True)
class Route:
    """One address and method: what is documented as an operation."""

    address: str
    method: str
    view: Callable[..., object]
    operation_id: str
    tag: str
    rule: Rule
    otherwise: Mapping[type[Problem], tuple[int, Schema]]

    @property
    def path(self) -> str:
        """The address as OpenAPI writes it, without a slash at its end."""
        return _VARIABLE.sub(r"{\g<name>}", self.address).rstrip("/") or "/"


class Operations:
    """Makes operations; schemas and refusals they share go into the components of the document."""

    def __init__(self, spec: APISpec, base: str) -> None:
        """Collect in `spec`; problems are explained at `base`."""
        self.going_in = SchemaConverter(spec, "in")
        self.coming_out = SchemaConverter(spec, "out")
        self.refusals = ProblemResponses(spec, base)

    def describe(self, route: Route) -> dict[str, Any]:
        """Return the operation."""
        said = notes(route.view)
        summary, description = words(route.view, route.view.__name__)
        operation: dict[str, Any] = {
            "operationId": route.operation_id,
            "tags": [route.tag],
            "summary": summary,
            "description": description,
            "security": openapi.security(route.rule),
            "x-access": openapi.in_words(route.rule),
            "parameters": self._parameters(route, said),
            "requestBody": self._body(said),
            "responses": self._responses(route, said),
        }
        # `security: []` says "public"; the other empty values say nothing.
        return {name: value for name, value in operation.items() if value or name == "security"}

    def _parameters(self, route: Route, said: Mapping[str, list[Any]]) -> list[dict[str, Any]]:
        found = [_path_parameter(m["kind"], m["name"]) for m in _VARIABLE.finditer(route.address)]
        for taken in said.get("takes", ()):
            if place := _PLACES.get(taken["in"]):
                found += self.going_in.parameters(taken["schema"], place)
        return found + [_IF_MATCH] * bool(said.get("if_match"))

    def _body(self, said: Mapping[str, list[Any]]) -> dict[str, Any] | None:
        for taken in said.get("takes", ()):
            if media := _MEDIA.get(taken["in"]):
                content = {"schema": self.going_in.reference(taken["schema"])}
                content = with_example(content, taken["example"])
                return {"required": taken["required"], "content": {media: content}}
        return None

    def _responses(self, route: Route, said: Mapping[str, list[Any]]) -> dict[str, Any]:
        given = said.get("gives") or [{"status": 200, "schema": None, "content_type": None}]
        found = {}
        for answer in given:
            found[str(answer["status"])] = self._response(answer)
            if route.method == "GET" and "ETag" in answer.get("headers", ()):
                found["304"] = {"description": "The version named in `If-None-Match` still holds."}
        kinds = _refusals(route, said)
        odd = {kind: hit for kind in kinds if (hit := _otherwise(route, kind))}
        found |= self.refusals.responses(kinds - odd.keys())
        for status, schema in set(odd.values()):
            usual = sorted(
                (kind for kind in kinds - odd.keys() if kind.status == status),
                key=lambda kind: kind.code,
            )
            found[str(status)] = self._odd_response(status, schema, usual)
        return dict(sorted(found.items()))

    def _odd_response(
        self, status: int, schema: Schema, usual: list[type[Problem]]
    ) -> dict[str, Any]:
        """Return a refusal in a shape of the page's own, beside the usual ones of that status."""
        response = self.refusals.response(usual) if usual else {"content": {}}
        content = {"application/json": {"schema": self.coming_out.reference(schema)}}
        phrase = {"description": HTTPStatus(status).phrase}
        return {**phrase, **response, "content": {**content, **response["content"]}}

    def _response(self, answer: Mapping[str, Any]) -> dict[str, Any]:
        response: dict[str, Any] = {"description": HTTPStatus(answer["status"]).phrase}
        schema, media = answer["schema"], answer["content_type"]
        if schema is not None:
            content = {"schema": self.coming_out.reference(schema)}
            response["content"] = {media: with_example(content, answer["example"])}
        elif media not in {None, "application/json"}:
            response["content"] = {media: {"schema": {"type": "string"}}}
        if headers := _header_docs(answer.get("headers", ())):
            response["headers"] = headers
        return response


def words(thing: object, name: str) -> tuple[str, str]:
    """Return summary and description: the first sentence of the docstring and the rest."""
    text = inspect.getdoc(thing) or name.replace("_", " ").capitalize()
    line, _, rest = text.partition("\n")
    sentence, _, more = line.partition(". ")
    return sentence.strip().rstrip("."), f"{more}\n{rest}".strip()


def _refusals(route: Route, said: Mapping[str, list[Any]]) -> set[type[Problem]]:
    found = {*ALWAYS, *openapi.refusals(route.rule), *said.get("refuses", ())}
    taken = {note["in"] for note in said.get("takes", ())}
    if taken:
        found.add(ValidationFailed)
    if taken & set(_MEDIA):
        found |= set(WITH_BODY)
    if "json" in taken:
        found.add(BodyMalformed)
    if "<" in route.address:
        found.add(NotFound)
    if route.method == "GET" and any("ETag" in one["headers"] for one in said.get("gives", ())):
        found.add(PreconditionFailed)
    return found


def _otherwise(route: Route, kind: type[Problem]) -> tuple[int, Schema] | None:
    return next((hit for k, hit in route.otherwise.items() if issubclass(kind, k)), None)


def _path_parameter(kind: str | None, name: str) -> dict[str, Any]:
    found: dict[str, Any] = {"name": name, "in": "path", "required": True}
    if name.endswith("_id"):
        found["description"] = f"The id of the {name.removesuffix('_id').replace('_', ' ')}."
    return found | {"schema": _PATH_SHAPES.get(kind or "string", {"type": "string"})}


def _header_docs(given: Mapping[str, str] | tuple[str, ...]) -> dict[str, Any]:
    said = given if isinstance(given, Mapping) else describe(given)
    return {
        name: {"description": text, "schema": {"type": "string"}} for name, text in said.items()
    }
