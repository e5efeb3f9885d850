"""Samples in Python, with requests."""

import json

from itemsapi.rest.openapi.samples.example_values import Json
from itemsapi.rest.openapi.samples.sample_request import Body, File, SampleRequest
from itemsapi.rest.openapi.samples.source import FILL_IN, Syntax

TIMEOUT_SECONDS = 10
RANDOM = "uuid.uuid4().hex"
SYNTAX = Syntax(
    indent="    ",
    constants={None: "None", True: "True", False: "False"},
    escapes={"\\": "\\\\", '"': '\\"', "{": "{{", "}": "}}"},
)
PRINT_RESPONSE = {
    "json": "print(response.json())",
    "text": "print(response.text)",
    "headers": "print(response.status_code)",
}


def python(request: SampleRequest) -> str:
    """Return a program that sends a request and prints the response."""
    variables = request.variables
    imports = (["import uuid", ""] if any(v.is_random for v in variables) else []) + [
        "import requests"
    ]
    assignments = [
        f"{v.name} = {RANDOM}  # the same if you repeat the request"
        if v.is_random
        else f'{v.name} = "{FILL_IN}"'
        for v in variables
    ]
    options = [SYNTAX.text(request.url), *_options(request), f"timeout={TIMEOUT_SECONDS}"]
    call = "".join(f"    {option},\n" for option in options)
    sent = f"response = requests.{request.method.lower()}(\n{call})\nresponse.raise_for_status()"
    etag = ['print(response.headers["ETag"])'] if request.has_etag else []
    blocks = ["\n".join(imports), "\n".join(assignments)]
    blocks.append("\n".join([sent, *etag, PRINT_RESPONSE[request.response_kind]]))
    return "\n\n".join(filter(None, blocks))


def _options(request: SampleRequest) -> list[str]:
    """Return the arguments of the call that a request needs."""
    options: dict[str, Json] = {"params": request.query, "headers": dict(request.headers)}
    body = request.body
    files: list[str] = []
    if body is not None and body.kind == "json":
        if body.media != "application/json":
            options["headers"] = {**request.headers, "Content-Type": body.media}
        options["json"] = body.content
    elif body is not None:
        options["data"] = {k: v for k, v in body.content.items() if not isinstance(v, File)}
        files = _files(body)
    written = [f"{name}={SYNTAX.value(value, 1)}" for name, value in options.items() if value]
    return [*written, *files]


def _files(body: Body) -> list[str]:
    names = {name: v.name for name, v in body.content.items() if isinstance(v, File)}
    opened = (f'{json.dumps(n)}: open({json.dumps(file)}, "rb")' for n, file in names.items())
    files = ", ".join(opened)
    return [f"files={{{files}}}"] if files else []
