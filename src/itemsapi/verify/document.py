"""The OpenAPI document of a running service: its operations, and what each demands."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

from itemsapi.verify.failures import CannotVerify
from itemsapi.verify.wire import MAX_DOCUMENT_BYTES, NoResponse, Request, Wire

METHODS: Final = ("get", "post", "put", "patch", "delete", "head", "options", "trace")
SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
_OK = 200
_SCOPE_NAME: Final = re.compile(r"[^\s:]+:[^\s:]+")

# Parts of a JSON document have no static type.
Json = Any


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path, as the document describes it."""

    method: str
    path: str
    definition: Mapping[str, Json] = field(repr=False, compare=False, hash=False)
    alternatives: tuple[tuple[str, ...], ...] = ()  # the scopes of each way to be let in
    public: bool = False
    names_scopes: bool = False  # else nothing says whether it needs any

    @property
    def label(self) -> str:
        """The name of the operation in settings and reports: `GET /items/{item_id}`."""
        return f"{self.method} {self.path}"

    @property
    def scopes(self) -> tuple[str, ...]:
        """The scopes that the operation needs; of several ways in, those of the first."""
        return self.alternatives[0] if self.alternatives else ()

    @property
    def is_safe(self) -> bool:
        """Whether a call changes nothing (RFC 9110 9.2.1)."""
        return self.method in SAFE_METHODS

    @property
    def path_parameters(self) -> list[str]:
        """The names of the parameters of the path, in order."""
        return [part.partition("}")[0] for part in self.path.split("{")[1:]]


@dataclass(frozen=True, slots=True)
class Document:
    """The operations of a service, and the JSON that they were read from."""

    raw: Mapping[str, Json] = field(repr=False)
    base_path: str
    operations: tuple[Operation, ...]

    def find(self, method: str, path: str) -> Operation | None:
        """Return an operation, with or without the slash at the end of its path."""
        for operation in self.operations:
            if (operation.method, operation.path.rstrip("/")) == (method, path.rstrip("/")):
                return operation
        return None

    def resolve(self, value: Json) -> Json:
        """Return what a `$ref` within the document names; other values as they are."""
        for _ in range(20):  # a chain of references may lead back to itself
            if not isinstance(value, dict) or not isinstance(value.get("$ref"), str):
                return value
            value = _at_pointer(self.raw, value["$ref"].removeprefix("#"))
        return {}

    def with_scopes(self, named: Callable[[str], Iterable[str] | None]) -> "Document":
        """Return the document where each operation needs the scopes that its label is given."""
        given = [_given(operation, named(operation.label)) for operation in self.operations]
        return replace(self, operations=tuple(given))

    @property
    def scopes(self) -> frozenset[str]:
        """All scopes that any operation needs."""
        return frozenset(
            scope
            for operation in self.operations
            for alternative in operation.alternatives
            for scope in alternative
        )


def read_document(wire: Wire, url: str, base_path: str | None = None) -> Document:
    """Fetch and read the document at a URL; raise `CannotVerify` if there is no usable one."""
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    accept = {"Accept": "application/json"}
    try:
        response = wire.send(Request("GET", target, accept), limit=MAX_DOCUMENT_BYTES)
    except NoResponse as error:
        raise CannotVerify(f"{wire.origin} does not respond: {error}") from error
    if response.status != _OK:
        raise CannotVerify(
            f"GET {url} responds with {response.status}; give the address of the OpenAPI document"
        )
    raw = response.json
    if not isinstance(raw, dict) or not isinstance(raw.get("paths"), dict):
        raise CannotVerify(
            f"{url} is no OpenAPI document in JSON; give the address of one (YAML is not read)"
        )
    return parse_document(raw, url, base_path)


def parse_document(raw: dict[str, Json], url: str, base_path: str | None = None) -> Document:
    """Return the document of a parsed JSON value; raise `CannotVerify` if it names other files."""
    with _reading(url, "the document"):
        raw = _within_itself(raw)
    with _reading(url, "`servers`"):
        base = _base_path(raw, url) if base_path is None else base_path
    operations: list[Operation] = []
    for path, item in raw["paths"].items():
        with _reading(url, f"the path {path}"):
            operations += _operations(raw, path, item)
    if not operations:
        raise CannotVerify(f"{url} describes no operation, so there is nothing to verify")
    return Document(raw, base.rstrip("/"), tuple(operations))


@contextmanager
def _reading(url: str, part: str) -> Iterator[None]:
    """Raise `CannotVerify` with the part of a document that does not have the form of OpenAPI."""
    try:
        yield
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise CannotVerify(
            f"{url} is no valid OpenAPI document: {part} cannot be read; a validator says why"
        ) from error


def _within_itself(value: Json) -> Json:
    """Return the document without external examples; refuse references to other documents.

    A generator would fetch both, from any host or file that the document names.
    """
    if isinstance(value, list):
        return [_within_itself(part) for part in value]
    if not isinstance(value, dict):
        return value
    reference = value.get("$ref")
    if isinstance(reference, str) and not reference.startswith("#"):
        raise CannotVerify(f"the document refers to {json.dumps(reference)}; bundle it into one")
    return {name: _within_itself(part) for name, part in value.items() if name != "externalValue"}


def _base_path(raw: Mapping[str, Json], url: str) -> str:
    """Return the path of the first server; its host is not used: requests go to the URL's only."""
    servers = raw.get("servers") or [{"url": "/"}]
    first = servers[0].get("url", "/") if isinstance(servers[0], dict) else "/"
    return str(raw.get("basePath") or urlsplit(urljoin(url, str(first))).path)


def _operations(raw: Mapping[str, Json], path: str, item: Json) -> Iterator[Operation]:
    resolved = _at_pointer(raw, item["$ref"][1:]) if "$ref" in item else item
    shared = resolved.get("parameters", [])
    for method in METHODS:
        definition = resolved.get(method)
        if isinstance(definition, dict):
            own = definition.get("parameters", [])
            described = {**definition, "parameters": [*shared, *own]}
            yield _operation(raw, method.upper(), path, described)


def _operation(raw: Mapping[str, Json], method: str, path: str, definition: Json) -> Operation:
    security = definition.get("security", raw.get("security", [])) or []
    access = definition.get("x-access")  # written by `itemsapi.gate.openapi`
    named = _scopes_of_access(access) if isinstance(access, str) else ()
    alternatives = tuple(_scopes(requirement) or named for requirement in security)
    public = not security or any(not requirement for requirement in security)
    names_scopes = isinstance(access, str) or any(alternatives)
    return Operation(method, path, definition, alternatives, public, names_scopes)


def _scopes(requirement: Mapping[str, list[str]]) -> tuple[str, ...]:
    return tuple(sorted({scope for scopes in requirement.values() for scope in scopes}))


def _scopes_of_access(text: str) -> tuple[str, ...]:
    """Return the scopes of an `x-access` such as `pets:read pets:write, by access_token`.

    Before version 3.1 only it has them: `security` names none for schemes other than OAuth's.
    """
    words = text.partition(", ")[0].split()
    return tuple(sorted(words)) if all(map(_SCOPE_NAME.fullmatch, words)) else ()


def _given(operation: Operation, scopes: Iterable[str] | None) -> Operation:
    """Return an operation that needs these scopes in each way in; None leaves it as it is."""
    if scopes is None:
        return operation
    alternatives = (tuple(sorted(scopes)),) * len(operation.alternatives)
    return replace(operation, alternatives=alternatives, names_scopes=True)


def _at_pointer(value: Json, pointer: str) -> Json:
    """Return the value at a JSON pointer (RFC 6901); None if there is none."""
    for step in pointer.split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(value, list):
            value = value[int(name)] if name.isdecimal() and int(name) < len(value) else None
        else:
            value = value.get(name) if isinstance(value, dict) else None
    return value
