"""The OpenAPI 3.1 document: built once from the address map, the schemas and the rules.

The rule of each operation is the very object that the gate enforces. Routes that did not come from
our `Blueprint` are in it too, with their rule and without schemas: nobody should find an address in
the access matrix that the document hides.
"""

import functools
import hashlib
import importlib.metadata
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import flask_smorest
import orjson
from flask import Flask, current_app

from itemsapi.settings import Settings

EXTENSION = "itemsapi-document"
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


def describe(app: Flask, api: flask_smorest.Api) -> None:
    """Have the document written when somebody first asks for it.

    Building it takes as long as the rest of the boot; a worker, a command or a test that nobody
    asks for it should not wait. `itemsapi serve` asks once before it serves, so that a fault stops
    the boot.
    """

    @functools.cache
    def document() -> Document:
        body = orjson.dumps(api.spec.to_dict())
        return Document(body, f'"{hashlib.sha256(body).hexdigest()[:32]}"')

    app.extensions[EXTENSION] = document


def spec_options(settings: Settings) -> dict[str, Any]:
    """Return what the document says about the service as a whole."""
    server = _server(settings.public_url)
    return {
        "title": TITLE,
        "version": _version(),
        "openapi_version": "3.1.0",
        "info": {
            "description": INTRODUCTION.format(place=server.rstrip("/")),
            "contact": {"name": "The itemsapi maintainers"},
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": server}],
    }


def document_of(app: Flask) -> Document:
    """Return the document of an application."""
    document = app.extensions[EXTENSION]()
    assert isinstance(document, Document)  # noqa: S101 - tells the type checker
    return document


def current_document() -> Document:
    """Return the document of the application at hand."""
    return document_of(current_app)


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
