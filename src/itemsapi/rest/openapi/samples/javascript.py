"""Samples in JavaScript, with `fetch`, for browsers and Node."""

import json

from itemsapi.rest.openapi.samples.example_values import Json
from itemsapi.rest.openapi.samples.sample_request import Body, File, SampleRequest, Text, pairs
from itemsapi.rest.openapi.samples.source import FILL_IN, Syntax

RANDOM = "crypto.randomUUID()"
SYNTAX = Syntax(
    indent="  ",
    constants={None: "null", True: "true", False: "false"},
    padding=" ",
    bare_keys=True,
    template=("`", "`", "${", "}"),
    escapes={"\\": "\\\\", "`": "\\`", "${": "\\${"},
)
PRINT_RESPONSE = {
    "json": "console.log(await response.json());",
    "text": "console.log(await response.text());",
    "headers": "console.log(response.status);",
}
CHECK = "if (!response.ok) throw new Error(await response.text());"


def javascript(request: SampleRequest) -> str:
    """Return a module that sends a request and prints the response."""
    assignments = [
        f"const {SYNTAX.name(v)} = {RANDOM}; // the same if you repeat the request"
        if v.is_random
        else f'const {SYNTAX.name(v)} = "{FILL_IN}";'
        for v in request.variables
    ]
    lines = [*_url(request), *_form(request.body)]
    target = "url" if request.query else SYNTAX.text(request.url)
    lines += [f"const response = await fetch({target}{_options(request)});", CHECK]
    lines += ['console.log(response.headers.get("ETag"));'] if request.has_etag else []
    blocks = ["\n".join(assignments), "\n".join([*lines, PRINT_RESPONSE[request.response_kind]])]
    return "\n\n".join(filter(None, blocks))


def _url(request: SampleRequest) -> list[str]:
    if not request.query:
        return []
    lines = [f"const url = new URL({SYNTAX.text(request.url)});"]
    return lines + [
        f"url.searchParams.set({json.dumps(name)}, {SYNTAX.text(value)});"
        for name, value in request.query.items()
    ]


def _form(body: Body | None) -> list[str]:
    """Return the lines that make a form with files."""
    if body is None or body.kind != "multipart":
        return []
    lines = ["const form = new FormData();"]
    for name, value in pairs(body.content):
        if isinstance(value, File):
            content = f'new Blob(["{FILL_IN}"]), {json.dumps(value.name)}'
        else:
            content = SYNTAX.value(value)
        lines.append(f"form.append({json.dumps(name)}, {content});")
    return lines


def _options(request: SampleRequest) -> str:
    """Return the second argument of `fetch`, if the request needs one."""
    headers, body, lines = dict(request.headers), request.body, []
    if request.method != "GET":
        lines.append(f'method: "{request.method}"')
    if body is not None and body.kind == "json":
        headers["Content-Type"] = Text((body.media,))
    if headers:
        lines.append(f"headers: {SYNTAX.value(headers, 1)}")
    if body is not None:
        lines.append(f"body: {_body(body)}")
    indented = "".join(f"  {line},\n" for line in lines)
    return f", {{\n{indented}}}" if lines else ""


def _body(body: Body) -> str:
    if body.kind == "multipart":
        return "form"
    if body.kind == "json":
        return f"JSON.stringify({SYNTAX.value(body.content, 1)})"
    content: Json = body.content
    if any(isinstance(value, list) for value in content.values()):  # a field for each value
        content = [[name, value] for name, value in pairs(content)]
    return f"new URLSearchParams({SYNTAX.value(content, 1)})"
