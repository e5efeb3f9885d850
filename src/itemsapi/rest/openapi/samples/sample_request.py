"""The request that the samples of an operation send, made from the operation itself.

What the reader fills in is a variable: the token, the ids of the path, the ETag, and what the
document has no example of. A text field of the body whose name ends with `token` is one too.
"""

import keyword
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from itemsapi.rest.openapi.samples.example_values import Json, example_value, media_example, resolve
from itemsapi.rest.request import FORM, JSON, MULTIPART

ACCESS_TOKEN = "access_token"  # noqa: S105 - the name of the variable
BEARER = "bearer"
IDEMPOTENCY_KEY = "Idempotency-Key"
VARIABLE_NAMES = {"If-Match": "etag", "If-None-Match": "etag"}
# What a variable must not be called: it means something in a shell, Python, JavaScript or a sample.
RESERVED_WORDS = (
    "const console crypto default delete export fetch function new switch this typeof var"
    " form home ifs lang path pwd requests response shell uid url user uuid"
)
RESERVED = {*keyword.kwlist, *RESERVED_WORDS.split()}
PATH_PARAMETER = re.compile(r"\{([^{}]+)\}")


@dataclass(frozen=True, slots=True)
class Variable:
    """What the reader fills in, or what is new for each request (`is_random`)."""

    name: str  # in snake case
    is_random: bool = False


@dataclass(frozen=True, slots=True)
class Text:
    """A text with variables in it."""

    parts: tuple[str | Variable, ...]


@dataclass(frozen=True, slots=True)
class File:
    """A file that the reader sends."""

    name: str


@dataclass(frozen=True, slots=True)
class Body:
    """The body of a request: `content` is JSON, or the fields of a form, with `Text` and `File`."""

    media: str
    content: Json

    @property
    def kind(self) -> Literal["json", "form", "multipart"]:
        """How the body is written."""
        return {FORM: "form", MULTIPART: "multipart"}.get(self.media, "json")  # type: ignore[return-value]


@dataclass(slots=True)
class SampleRequest:
    """A request, and what its response has: JSON, another content, or only headers."""

    method: str
    url: Text
    query: dict[str, Text] = field(default_factory=dict)
    headers: dict[str, Text] = field(default_factory=dict)
    body: Body | None = None
    response_kind: Literal["json", "text", "headers"] = "json"
    has_etag: bool = False

    @property
    def variables(self) -> list[Variable]:
        """The variables, in the order in which the request has them."""
        body = self.body.content if self.body else None
        values = [*self.headers.values(), self.url, *self.query.values(), body]
        return list(dict.fromkeys(_variables(values)))


def sample_request(
    document: Mapping[str, Json], path: str, method: str, operation: Mapping[str, Json], url: str
) -> SampleRequest | None:
    """Return the request of an operation of a service at `url`; None if its body is unknown.

    It has what the operation requires, the example of its body, and an idempotency key where the
    operation takes one.
    """
    target = Text(tuple(_parts_of_path(f"{url}{path}")))
    request = SampleRequest(method.upper(), target)
    _add_credentials(request, document, operation)
    for parameter in operation.get("parameters", ()):
        _add_parameter(request, document, resolve(document, parameter))
    body = resolve(document, operation.get("requestBody", {}))
    if body.get("required", False) or (body and not request.headers.get("Authorization")):
        request.body = _body(document, body.get("content", {}))
        if request.body is None:
            return None
    _read_response(request, document, operation)
    return request


def _parts_of_path(url: str) -> Iterator[str | Variable]:
    for number, part in enumerate(PATH_PARAMETER.split(url)):
        if number % 2:
            yield Variable(_snake_case(part))
        elif part:
            yield part


def _snake_case(name: str) -> str:
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    words = re.sub(r"[^a-z0-9]+", "_", words.lower()).strip("_")
    return f"the_{words}" if words in RESERVED or not words[:1].isalpha() else words


def _variable(name: str) -> Text:
    return Text((Variable(_snake_case(name)),))


def _add_credentials(
    request: SampleRequest, document: Mapping[str, Json], operation: Mapping[str, Json]
) -> None:
    """Add the first credentials that the operation accepts."""
    requirement: Mapping[str, Json] = next(iter(operation.get("security", ())), {})
    schemes = document.get("components", {}).get("securitySchemes", {})
    for name in requirement:
        scheme = schemes.get(name, {})
        place, key = scheme.get("in"), scheme.get("name", "")
        if scheme.get("type") != "apiKey":
            kind = scheme.get("scheme", BEARER)
            is_token = scheme.get("bearerFormat", "JWT") == "JWT" and kind == BEARER
            value = Variable(ACCESS_TOKEN if is_token else _snake_case(name))
            request.headers["Authorization"] = Text((f"{kind.capitalize()} ", value))
        elif place == "header":
            request.headers[key] = _variable(key)
        elif place == "query":
            request.query[key] = _variable(key)
        else:
            request.headers["Cookie"] = Text((f"{key}=", Variable(_snake_case(key))))


def _add_parameter(
    request: SampleRequest, document: Mapping[str, Json], parameter: Mapping[str, Json]
) -> None:
    name, place = parameter.get("name", ""), parameter.get("in")
    values = {"query": request.query, "header": request.headers}.get(str(place))
    if values is None:
        return
    if place == "header" and name == IDEMPOTENCY_KEY:
        values[name] = Text((Variable(_snake_case(name), is_random=True),))
    elif parameter.get("required"):
        known = parameter.get("example", example_value(document, parameter.get("schema", {})))
        is_told = "example" in parameter or not isinstance(known, str | None)
        variable = Text((Variable(VARIABLE_NAMES.get(name, _snake_case(name))),))
        values[name] = Text((str(known),)) if is_told else variable


def _body(document: Mapping[str, Json], content: Mapping[str, Json]) -> Body | None:
    for media, described in content.items():
        if media in {FORM, MULTIPART, JSON} or media.endswith("+json"):
            schema = resolve(document, described.get("schema", {}))
            example = media_example(document, described)
            if media in {FORM, MULTIPART} and not isinstance(example, Mapping):
                example = {}  # a form whose fields are not known
            return Body(media, _with_variables(document, example, schema))
    return None


def _with_variables(document: Mapping[str, Json], example: Json, schema: Json) -> Json:
    """Return an example with its texts as `Text`: tokens are variables, binary data are files."""
    schema = resolve(document, schema)
    properties = schema.get("properties", {}) if isinstance(schema, Mapping) else {}
    if not isinstance(example, Mapping):
        return _as_text(example)
    content: dict[str, Json] = {}
    for name, value in example.items():
        described = resolve(document, properties.get(name, {}))
        if isinstance(described, Mapping) and described.get("format") == "binary":
            content[name] = File(f"{name}.txt")
        elif isinstance(value, str) and name.endswith("token"):
            content[name] = _variable(name)
        else:
            content[name] = _as_text(value)
    return content


def _as_text(value: Json) -> Json:
    if isinstance(value, str):
        return Text((value,))
    if isinstance(value, Mapping):
        return {name: _as_text(inner) for name, inner in value.items()}
    return [_as_text(inner) for inner in value] if isinstance(value, list) else value


def _read_response(
    request: SampleRequest, document: Mapping[str, Json], operation: Mapping[str, Json]
) -> None:
    """Read from the first response of success what the sample shows."""
    responses: Mapping[str, Json] = operation.get("responses", {})
    successes = [responses[status] for status in sorted(responses) if str(status)[:1] == "2"]
    response = resolve(document, successes[0]) if successes else {}
    request.has_etag = "ETag" in response.get("headers", {})
    content = response.get("content", {})
    is_json = any(media == JSON or media.endswith("+json") for media in content)
    request.response_kind = "json" if is_json else "text" if content else "headers"


def pairs(fields: Mapping[str, Json]) -> Iterator[tuple[str, Json]]:
    """Yield the fields of a form, one for each value of a list."""
    for name, value in fields.items():
        yield from ((name, each) for each in (value if isinstance(value, list) else [value]))


def _variables(value: Json) -> Iterator[Variable]:
    if isinstance(value, Text):
        yield from (part for part in value.parts if isinstance(part, Variable))
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _variables(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _variables(inner)
