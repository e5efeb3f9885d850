"""Problem responses of the document: one component for each set of problems with one status."""

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
from itemsapi.rest.default_headers import header_meanings
from itemsapi.rest.error_handlers import MAX_ERRORS, PROBLEM_JSON
from itemsapi.rest.openapi.names import component_names, unique_name

EXAMPLE_ID = "0198c5a1-7b6e-7c31-9f52-4a1d0e8b7c66"
EXAMPLE_SCOPE = "orders:read"  # for an operation whose scopes are not known

_STRING = {"type": "string"}
_FIELD_ERROR = {
    "type": "object",
    "properties": {
        "field": {**_STRING, "description": "The field, with dots between levels."},
        "message": {**_STRING, "description": "What is wrong with it."},
    },
    "required": ["field", "message"],
    "additionalProperties": False,
}
PROBLEM_SCHEMA: dict[str, Any] = {
    "type": "object",
    "description": "An error (RFC 9457). Programs test `code`.",
    "properties": {
        "type": {**_STRING, "format": "uri", "description": "The address of the explanation."},
        "title": {**_STRING, "description": "A short summary of the problem."},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": {**_STRING, "description": "What to do about it."},
        "code": {**_STRING, "description": "The stable name of the problem."},
        "request_id": {**_STRING, "description": "The id of this request, as in the log."},
        "errors": {"type": "array", "maxItems": MAX_ERRORS, "items": _FIELD_ERROR},
    },
    "required": ["code", "detail", "request_id", "status", "title", "type"],
    "additionalProperties": False,
}


class ProblemResponses:
    """Collects the problem responses of all operations in the components of a document."""

    SCHEMA = "Problem"  # the names of the components: of the schema, and the start of the others
    PREFIX = ""

    def __init__(self, spec: APISpec, base: str) -> None:
        """Use `base` as the address of the page that explains problems."""
        self.spec = spec
        self.base = base
        self._names: dict[type[Problem], str] = {}
        spec.components.schema(self.SCHEMA, PROBLEM_SCHEMA)

    def responses(
        self, kinds: Iterable[type[Problem]], scopes: Iterable[str] = ()
    ) -> dict[str, Any]:
        """Return the responses for these problems, by status.

        One of `scopes`, those that the operation needs, is in the example of a lacking scope.
        """
        scope = example_scope(scopes)
        ordered = sorted(set(kinds), key=_order)
        return {
            str(status): self._component(list(group), scope)
            for status, group in groupby(ordered, key=lambda kind: kind.status)
        }

    def _component(self, kinds: list[type[Problem]], scope: str) -> object:
        name = self.PREFIX + "_".join(self._name(kind) for kind in kinds)
        if name not in self.spec.components.responses:
            self.spec.components.response(name, self.response(kinds, scope))
        return self.spec.components.get_ref("response", name)

    def _name(self, kind: type[Problem]) -> str:
        """Return the name of a problem class; another class of the same name has another one."""
        if kind not in self._names:
            taken = {*self._names.values(), *HTTPStatus.__members__}
            names = component_names(kind.__name__.replace("_", ""), kind.__module__)
            self._names[kind] = unique_name(names, taken)
        return self._names[kind]

    def response(self, kinds: list[type[Problem]], scope: str) -> dict[str, Any]:
        """Return one response for these problems, which all have the same status."""
        phrase = HTTPStatus(kinds[0].status).phrase
        summary = "; ".join(f"`{kind.code}`: {kind.title}" for kind in kinds)
        examples = {kind.code: {"value": self._example(kind, scope)} for kind in kinds}
        schema = self.spec.components.get_ref("schema", self.SCHEMA)
        media = {"schema": schema, "examples": examples}
        response: dict[str, Any] = {
            "description": f"{phrase}. {summary}.",
            "content": {PROBLEM_JSON: media},
        }
        if headers := _headers(kinds[0]):
            response["headers"] = headers
        return response

    def _example(self, kind: type[Problem], scope: str) -> dict[str, object]:
        problem = _example_problem(kind, scope)
        example: dict[str, object] = {
            "type": f"{self.base}#{kind.code}",
            "title": kind.title,
            "status": kind.status,
            "detail": problem.detail,
            "code": kind.code,
            "request_id": EXAMPLE_ID,
        }
        return example if problem.errors is None else {**example, "errors": problem.errors}


def example_scope(scopes: Iterable[str]) -> str:
    """Return the scope that the example of a lacking scope names, of those that are needed."""
    return min(scopes, default=EXAMPLE_SCOPE)


def _order(kind: type[Problem]) -> tuple[int, str, str, str]:
    return kind.status, kind.code, kind.__module__, kind.__qualname__


def _example_problem(kind: type[Problem], scope: str) -> Problem:
    """Return an example; a class whose arguments are unknown gets the advice of the class."""
    try:
        return _create(kind, scope)
    except TypeError:
        problem = kind.__new__(kind)
        Problem.__init__(problem)
        return problem


def _create(kind: type[Problem], scope: str) -> Problem:
    if issubclass(kind, ScopeMissing):
        return kind(scope)
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
        name: {"description": meaning, "schema": {"type": "string"}}
        for name, meaning in header_meanings(names).items()
    }
