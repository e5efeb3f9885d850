"""The OpenAPI 3.1 document: built once from the address map, the schemas and the rules.

The rule of each operation is the very object that the gate enforces. Routes that did not come from
our `Blueprint` are in it too, with their rule and without schemas: nobody should find an address in
the access matrix that the document hides.
"""

import functools
import hashlib
import importlib.metadata
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import orjson
from apispec import APISpec
from flask import Flask, current_app
from werkzeug.routing import Rule as Address

from itemsapi.gate import openapi
from itemsapi.gate.rules import Rule
from itemsapi.rest.openapi.operations import Operations, Route, words
from itemsapi.settings import Settings

RuleFor = Callable[[str, str], Rule]

EXTENSION = "itemsapi-document"
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
TITLE = "itemsapi"
INTRODUCTION = """\
An API that is spoken to in JSON and answers in JSON.

**Signing in.** `POST /auth/login` with a user name and a password gives an access token, which goes
into the header `Authorization: Bearer ...` of every other call, and a refresh token.

**Refreshing.** The access token lives for minutes (`expires_in`, in seconds). `POST /auth/refresh`
exchanges the refresh token for a new one and a new access token. Store the new refresh token before
you use the access token.

- Send a random `Idempotency-Key` of 22 to 128 characters, a new one for each refresh. If no answer
  came, repeat the request with the same key and the same token: you get the same new refresh token
  again, until it is used itself.
- An answer without `refresh_token` is a success: another thread or tab of yours was first and has
  the new one. Keep the token that you have, or take theirs.
- 503 asks you to wait as long as `Retry-After` says, and to try again with the newest token.
- A refresh token that comes back after somebody used its successor was copied: the session ends
  (401 `refresh_reused`), and you have to sign in again. Threads and processes that share a session
  refresh under a lock.

**Scopes** say what a token may be used for. Each operation names those that it needs, all of them.
Ask for fewer at sign-in or at refresh with `scope`; your roles say which you may have.

**Signing out.** `POST /auth/logout` ends the session and its tokens; `/auth/sessions` shows where
else you are signed in, and ends that too.

**Refusals** are `application/problem+json` (RFC 9457); programs test `code`, and
[each code is explained]({place}/docs/problems). 401 is about the token, 403 about what it may do,
and 503 may be tried again. The header `X-Request-Id` of every answer finds the request in the log.

**Trying it.** The [explorer]({place}/docs/explore) signs you in and makes real calls.

**Changes** of versioned things need `If-Match` with the ETag that was read.

**Lists** give `next_cursor`, which goes into `cursor` for the next page. A page is at most 1 MiB:
it may hold fewer than `limit` items although more follow, so go by `next_cursor`.
"""


@dataclass(frozen=True, slots=True)
class Document:
    """The document as it is served, and its strong ETag."""

    body: bytes
    etag: str


def describe(app: Flask, settings: Settings, rule_for: RuleFor) -> None:
    """Have the document built when somebody first asks for it, once all pages are in.

    It takes as long as the rest of the boot; a worker, a command or a test that nobody asks for it
    should not wait. `itemsapi serve` asks once before it serves, so that a fault stops the boot.
    """

    @functools.cache
    def document() -> Document:
        body = orjson.dumps(build(app, settings, rule_for))
        return Document(body, f'"{hashlib.sha256(body).hexdigest()[:32]}"')

    app.extensions[EXTENSION] = document


def document_of(app: Flask) -> Document:
    """Return the document of an application."""
    document = app.extensions[EXTENSION]()
    assert isinstance(document, Document)  # noqa: S101 - tells the type checker
    return document


def current_document() -> Document:
    """Return the document of the application at hand."""
    return document_of(current_app)


def build(app: Flask, settings: Settings, rule_for: RuleFor) -> dict[str, Any]:
    """Return the document as a dictionary."""
    server = _server(settings.public_url)
    spec = APISpec(
        TITLE,
        _version(),
        "3.1.0",
        info={
            "description": INTRODUCTION.format(place=server.rstrip("/")),
            "contact": {"name": "The itemsapi maintainers"},
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        servers=[{"url": server}],
    )
    found = list(routes(app, rule_for))
    operations = Operations(spec, f"{settings.public_url}/docs/problems")
    for route in found:
        spec.path(route.path, operations={route.method.lower(): operations.describe(route)})
    for tag in dict.fromkeys(route.tag for route in found):
        spec.tag({"name": tag, "description": _about(app, tag)})
    scopes = [s for page in app.blueprints.values() for s in getattr(page, "scopes", ())]
    for name, scheme in openapi.schemes([route.rule for route in found], scopes).items():
        spec.components.security_scheme(name, scheme)
    return dict(spec.to_dict())


def routes(app: Flask, rule_for: RuleFor) -> Iterator[Route]:
    """Yield every address and method but HEAD and OPTIONS, which follow the others."""
    taken: set[str] = set()
    for address in app.url_map.iter_rules():
        for method in METHODS:
            if method in (address.methods or ()):
                rule = rule_for(address.endpoint, method)
                yield _route(app, address, method, rule, taken)


def _route(app: Flask, address: Address, method: str, rule: Rule, taken: set[str]) -> Route:
    view = _view(app.view_functions[address.endpoint], method)
    page, _, name = address.endpoint.rpartition(".")
    candidates = (name, f"{page}_{name}", f"{page}_{name}_{method}", address.rule)
    operation_id = next(c for c in candidates if c.replace(".", "_") not in taken)
    operation_id = operation_id.replace(".", "_").lower()
    taken.add(operation_id)
    tag = page.rpartition(".")[2] or "other"
    otherwise = getattr(app.blueprints.get(page), "otherwise", {})
    return Route(address.rule, method, view, operation_id, tag, rule, otherwise)


def _view(view: Any, method: str) -> Callable[..., object]:  # noqa: ANN401 - Flask's view functions
    """Return the function itself; that of a `MethodView` is one of its methods."""
    kind = getattr(view, "view_class", None)
    found: Callable[..., object] = getattr(kind, method.lower(), view)
    return found


def _about(app: Flask, tag: str) -> str:
    """Return what a page is about: its description, or the first line of its module."""
    page = next((p for name, p in app.blueprints.items() if name.rpartition(".")[2] == tag), None)
    if page is None:
        return "Addresses that belong to no page."
    module = sys.modules.get(page.import_name)
    return getattr(page, "description", "") or f"{words(module, f'The page {tag}')[0]}."


def _version() -> str:
    try:
        return importlib.metadata.version("itemsapi")
    except importlib.metadata.PackageNotFoundError:  # run from a folder, not installed
        return "0"


def _server(public_url: str) -> str:
    """Return the address of the service; a loopback one means wherever the document came from."""
    address = urlsplit(public_url)
    host = address.hostname or ""
    here = host in {"127.0.0.1", "::1"} or host.rpartition(".")[2] == "localhost"  # RFC 6761 6.3
    return (address.path or "/") if here else public_url
