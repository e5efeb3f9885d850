"""Refusals as the document shows them: one component for each set of problems of one status."""

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from itertools import groupby
from typing import Any

from apispec import APISpec

from itemsapi.problems import (
    Challenge,
    MethodNotAllowed,
    Problem,
    ScopeMissing,
    TooManyRequests,
    Unavailable,
    ValidationFailed,
)
from itemsapi.rest.default_headers import describe
from itemsapi.rest.error_handlers import MAX_ERRORS, PROBLEM_JSON

EXAMPLE_ID = "0198c5a1-7b6e-7c31-9f52-4a1d0e8b7c66"

_STRING = {"type": "string"}
_FAULT = {
    "type": "object",
    "properties": {
        "field": {**_STRING, "description": "Where, with dots between the levels."},
        "message": {**_STRING, "description": "What is wrong there."},
    },
    "required": ["field", "message"],
    "additionalProperties": False,
}
PROBLEM_SCHEMA: dict[str, Any] = {
    "type": "object",
    "description": "A refusal (RFC 9457). Programs test `code`.",
    "properties": {
        "type": {**_STRING, "format": "uri", "description": "Where the problem is explained."},
        "title": {**_STRING, "description": "What it is."},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": {**_STRING, "description": "What to do about it."},
        "code": {**_STRING, "description": "The stable name of the problem."},
        "request_id": {**_STRING, "description": "Finds this request in the log."},
        "errors": {"type": "array", "maxItems": MAX_ERRORS, "items": _FAULT},
    },
    "required": ["code", "detail", "request_id", "status", "title", "type"],
    "additionalProperties": False,
}


class ProblemResponses:
    """Collects the refusals of all operations among the components of a document."""

    def __init__(self, spec: APISpec, base: str) -> None:
        """Explain problems at `base`, as the answers do."""
        self.spec = spec
        self.base = base
        spec.components.schema("Problem", PROBLEM_SCHEMA)

    def responses(self, kinds: Iterable[type[Problem]]) -> dict[str, Any]:
        """Return the responses, by status, that say these problems."""
        ordered = sorted(set(kinds), key=lambda kind: (kind.status, kind.code))
        return {
            str(status): self._component(list(group))
            for status, group in groupby(ordered, key=lambda kind: kind.status)
        }

    def _component(self, kinds: list[type[Problem]]) -> object:
        name = "_".join(kind.__name__ for kind in kinds)
        if name not in self.spec.components.responses:
            self.spec.components.response(name, self.response(kinds))
        return {"$ref": f"#/components/responses/{name}"}

    def response(self, kinds: list[type[Problem]]) -> dict[str, Any]:
        """Return one response that says these problems, all of one status."""
        phrase = HTTPStatus(kinds[0].status).phrase
        says = "; ".join(f"`{kind.code}`: {kind.title}" for kind in kinds)
        examples = {kind.code: {"value": self._example(kind)} for kind in kinds}
        media = {"schema": {"$ref": "#/components/schemas/Problem"}, "examples": examples}
        response: dict[str, Any] = {
            "description": f"{phrase}. {says}.",
            "content": {PROBLEM_JSON: media},
        }
        if headers := _headers(kinds[0]):
            response["headers"] = headers
        return response

    def _example(self, kind: type[Problem]) -> dict[str, object]:
        problem = _sample(kind)
        said: dict[str, object] = {
            "type": f"{self.base}#{kind.code}",
            "title": kind.title,
            "status": kind.status,
            "detail": problem.detail,
            "code": kind.code,
            "request_id": EXAMPLE_ID,
        }
        return said if problem.errors is None else {**said, "errors": problem.errors}


def _sample(kind: type[Problem]) -> Problem:
    if issubclass(kind, ScopeMissing):
        return kind("items:read")
    if issubclass(kind, TooManyRequests):
        return kind(30)
    if issubclass(kind, ValidationFailed):
        message = "Missing data for required field."
        return kind(f"name: {message}", errors=[{"field": "name", "message": message}])
    return kind()


def _headers(kind: type[Problem]) -> Mapping[str, object]:
    if issubclass(kind, Challenge):
        names = ["WWW-Authenticate"]
    elif issubclass(kind, TooManyRequests | Unavailable):
        names = ["Retry-After"]
    else:
        names = ["Allow"] if issubclass(kind, MethodNotAllowed) else []
    return {
        name: {"description": says, "schema": {"type": "string"}}
        for name, says in describe(names).items()
    }
