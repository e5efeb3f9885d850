"""Samples for a shell, with curl 7.87 or later."""

import json

from itemsapi.rest.openapi.samples.example_values import Json
from itemsapi.rest.openapi.samples.sample_request import Body, File, SampleRequest, Text, pairs
from itemsapi.rest.openapi.samples.source import FILL_IN

RANDOM = "$(openssl rand -hex 16)"
IN_DOUBLE_QUOTES = str.maketrans({"\\": "\\\\", '"': '\\"', "$": "\\$", "`": "\\`"})
IN_HERE_DOCUMENT = str.maketrans({"\\": "\\\\", "$": "\\$", "`": "\\`"})


def curl(request: SampleRequest) -> str:
    """Return a command that sends a request and shows the response, with its status if needed."""
    assignments = [
        f"{v.name.upper()}={RANDOM}" if v.is_random else f"{v.name.upper()}='{FILL_IN}'"
        for v in request.variables  # without comments, which zsh does not know at the prompt
    ]
    show = " -i" if request.has_etag or request.response_kind == "headers" else ""
    options = [f"curl{show} -X {request.method} {_quoted(request.url)}"]
    options += [f"--url-query {_quoted(_pair(n, v))}" for n, v in request.query.items()]
    options += [f"-H {_quoted(_pair(f'{n}: ', v, ''))}" for n, v in request.headers.items()]
    body, here_document = _body(request.body)
    command = " \\\n  ".join([*options, *body]) + here_document
    return "\n\n".join(filter(None, ["\n".join(assignments), command]))


def _pair(name: str, value: Text, separator: str = "=") -> Text:
    return Text((f"{name}{separator}", *value.parts))


def _body(body: Body | None) -> tuple[list[str], str]:
    """Return the options of a body, and what follows the command."""
    if body is None:
        return [], ""
    if body.kind == "form":
        fields = pairs(body.content)
        return [f"--data-urlencode {_quoted(_pair(n, _as_text(v)))}" for n, v in fields], ""
    if body.kind == "multipart":
        return [_part(name, value) for name, value in pairs(body.content)], ""
    is_json = body.media == "application/json"
    options = [] if is_json else [f"-H {_quoted(Text((f'Content-Type: {body.media}',)))}"]
    data = "--json" if is_json else "--data-binary"
    if any(isinstance(part, Text) and _has_variable(part) for part in _leaves(body.content)):
        source = _json(body.content, in_here_document=True)
        return [*options, f"{data} @- <<JSON"], f"\n{source}\nJSON"
    source = _json(body.content).replace("'", "'\\''")
    return [*options, f"{data} '{source}'"], ""


def _part(name: str, value: Json) -> str:
    if isinstance(value, File):
        return f"-F {_quoted(Text((f'{name}=@{value.name}',)))}"
    return f"--form-string {_quoted(_pair(name, _as_text(value)))}"  # -F reads `@name` from a file


def _as_text(value: Json) -> Text:
    return value if isinstance(value, Text) else Text((json.dumps(value, default=str),))


def _quoted(text: Text) -> str:
    """Return a text in double quotes, in which the shell replaces the variables."""
    parts = (
        part.translate(IN_DOUBLE_QUOTES) if isinstance(part, str) else f"${{{part.name.upper()}}}"
        for part in text.parts
    )
    return f'"{"".join(parts)}"'


def _has_variable(text: Text) -> bool:
    return not all(isinstance(part, str) for part in text.parts)


def _leaves(value: Json) -> list[Json]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [leaf for inner in value for leaf in _leaves(inner)]
    return [value]


def _json(content: Json, *, in_here_document: bool = False) -> str:
    """Return JSON; in a here document the shell replaces the variables."""

    def plain(value: Json) -> Json:
        """Return the text as it is in JSON."""
        if not isinstance(value, Text):  # such as a date
            return str(value)
        parts = (
            part if isinstance(part, str) else f"\0{part.name.upper()}\0" for part in value.parts
        )
        return "".join(parts)

    source = json.dumps(content, indent=2, ensure_ascii=False, default=plain)
    if not in_here_document:
        return source
    pieces = source.translate(IN_HERE_DOCUMENT).split("\\\\u0000")
    return "".join(f"${{{piece}}}" if n % 2 else piece for n, piece in enumerate(pieces))
