"""Requests that fit the document, made by Schemathesis.

This is the only module that imports Schemathesis. `APIOperation.as_strategy`,
`get_strategies_from_examples` and `Case.as_transport_kwargs` are not promised to stay, so the extra
`verify` allows only its version 4. An example in the document comes before generated data, and of
generated data only what is required is sent: the rest makes a valid request less likely.
"""

from collections.abc import Mapping
from typing import Any, Final, cast
from urllib.parse import quote, urlsplit

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from hypothesis.errors import HypothesisException
from hypothesis.strategies import SearchStrategy
from schemathesis.config import SchemathesisConfig
from schemathesis.core.errors import SchemathesisError
from schemathesis.core.result import Ok
from schemathesis.generation.case import Case
from schemathesis.schemas import APIOperation

from itemsapi.verify.document import Document, Json, Operation
from itemsapi.verify.failures import CannotVerify
from itemsapi.verify.settings import Values
from itemsapi.verify.wire import Request

GeneratedCase = Case[Any]
_ANY_ORIGIN: Final = "http://document"  # the wire decides where a request goes
_BAD_DESCRIPTIONS: Final = (AttributeError, KeyError, TypeError, ValueError, RecursionError)
_UNIQUE_NAMES: Final = frozenset({"name", "username", "sku", "slug", "title", "email", "login"})
MAX_UNIQUE_LENGTH: Final = 20


class RequestMaker:
    """Make requests for the operations of a document. The same run makes the same requests."""

    def __init__(self, document: Document, run: str) -> None:
        self._document, self._run, self._count = document, run, 0
        config = SchemathesisConfig()
        generation = config.projects.default.generation
        generation.allow_x00, generation.codec = False, "ascii"
        generation.with_security_parameters = False
        try:
            schema = schemathesis.openapi.from_dict(dict(document.raw), config=config)
            described = [
                found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)
            ]
            self._operations = {(one.method.upper(), one.path): one for one in described}
        except (SchemathesisError, *_BAD_DESCRIPTIONS) as error:
            line = (str(error).splitlines() or [type(error).__name__])[0]
            raise CannotVerify(f"the document cannot be used: {line}") from error

    def make(
        self, operation: Operation, path_values: Mapping[str, Json], values: Values
    ) -> Request | None:
        """Return a request, or None if the document does not say enough to make one.

        `values` come before examples and generated data, and `path_values` before both.
        """
        known = self._operations.get((operation.method, operation.path))
        if known is None:
            return None
        try:
            case, is_example = _first(known)
            self._require_only(operation, case, is_example=is_example)
            case.path_parameters = {**case.path_parameters, **values.path, **path_values}
            case.query = {**case.query, **values.query}
            if values.body is not None:
                case.body = cast("Json", values.body)
            case.body = self._unique(case.body)
            return _rendered(self._document.base_path, operation, case, values.headers)
        except (HypothesisException, SchemathesisError, *_BAD_DESCRIPTIONS):
            return None  # such as a pattern that matches nothing, or a body that nothing writes

    def unique_name(self) -> str:
        """Return a name that nothing else in the service has."""
        self._count += 1
        return f"verify-{self._run}-{self._count}"

    def _require_only(self, operation: Operation, case: GeneratedCase, *, is_example: bool) -> None:
        """Drop optional parameters, and optional fields of a body that is no example."""
        parameters = [self._document.resolve(p) for p in operation.definition["parameters"]]
        for place, wanted in (("query", case.query), ("header", case.headers)):
            required = {p["name"].lower() for p in parameters if _is_required(p, place)}
            for name in [name for name in wanted or {} if name.lower() not in required]:
                del wanted[name]
        case.cookies = {}
        if not is_example and isinstance(case.body, dict):
            required = self._required_fields(operation)
            case.body = {name: case.body[name] for name in case.body if name in required}

    def _required_fields(self, operation: Operation) -> set[str]:
        body = self._document.resolve(operation.definition.get("requestBody") or {})
        for media in (body.get("content") or {}).values():
            schema = self._document.resolve(media.get("schema") or {})
            return set(schema.get("required", [])) or set(schema.get("properties", {}))
        return set()

    def _unique(self, body: Json) -> Json:
        """Return a body whose names are unique, so that creating it twice is no conflict."""
        if not isinstance(body, dict):
            return body
        return {name: self._unique_field(name, value) for name, value in body.items()}

    def _unique_field(self, name: str, value: Json) -> Json:
        if name not in _UNIQUE_NAMES or not isinstance(value, str):
            return value
        suffix = self.unique_name()
        if "@" in value:
            return f"{suffix}@example.com"
        return f"{value[:MAX_UNIQUE_LENGTH].strip()} {suffix}".strip().replace(" ", "-")


def _is_required(parameter: Mapping[str, Json], place: str) -> bool:
    return parameter.get("in") == place and bool(parameter.get("required"))


def _first(operation: APIOperation[Any, Any, Any, Any]) -> tuple[GeneratedCase, bool]:
    """Return the first example of an operation, or else generated data; and which it is."""
    for strategy in operation.get_strategies_from_examples():
        return _drawn(strategy), True
    return _drawn(operation.as_strategy()), False


def _drawn(strategy: SearchStrategy[GeneratedCase]) -> GeneratedCase:
    """Draw one value, the same in each run."""
    drawn: list[GeneratedCase] = []

    @seed(0)
    @settings(
        database=None,
        max_examples=1,
        deadline=None,
        verbosity=Verbosity.quiet,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def draw(value: GeneratedCase) -> None:
        """Keep the value that Hypothesis draws."""
        drawn.append(value)

    draw()
    return drawn[0]


def _rendered(
    base_path: str, operation: Operation, case: GeneratedCase, headers: Mapping[str, str]
) -> Request:
    """Return a case as it is sent; the path is built here, so that no value adds a segment."""
    prepared = requests.Request(**case.as_transport_kwargs(base_url=_ANY_ORIGIN)).prepare()
    path = operation.path
    for name in operation.path_parameters:
        path = path.replace(f"{{{name}}}", quote(str(case.path_parameters.get(name, "")), safe=""))
    query = urlsplit(prepared.url or "").query
    kept = {
        str(name): str(value)
        for name, value in prepared.headers.items()
        if name.lower() in {"content-type", *(name.lower() for name in case.headers or {})}
    }
    body = prepared.body or b""
    return Request(
        operation.method,
        f"{base_path}{path}{f'?{query}' if query else ''}",
        {name: value for name, value in {**kept, **headers}.items() if name != "Authorization"},
        body.encode() if isinstance(body, str) else body,
    )
