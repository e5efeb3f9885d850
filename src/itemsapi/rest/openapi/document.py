"""The OpenAPI 3.1 document, built once from the URL map, the schemas and the access rules.

The rule of each operation is the same object that the gate enforces. Routes of other blueprints are
documented too, with their rule and without schemas, so the document contains every route of the
access matrix, except pages and files for people (`Blueprint(documented=False)`).
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

DOCUMENT = "itemsapi.document"  # in `app.extensions`
TITLE = "itemsapi"
INTRODUCTION = """\
**Sign in.** `POST {prefix}/auth/login` with a user name and a password returns an access token
and a refresh token. Send the access token in the header `Authorization: Bearer ...` of other
requests.

**Refresh.** The access token is valid for minutes (`expires_in`, in seconds).
`POST {prefix}/auth/refresh` exchanges the refresh token for a new refresh token and a new access
token. Store the new refresh token before you use the access token.

{refresh}
**Scopes** define what a token may do. An operation needs all the scopes that it lists. To get fewer
scopes than your user may have, send `scope` at sign-in or refresh.

**Sign out.** `POST {prefix}/auth/logout` ends the session and revokes its tokens.
`{prefix}/auth/sessions` lists your other sessions and can end them.

{pages}\
**Errors** {errors} are `application/problem+json` (RFC 9457). Programs test `code`. 401 means that
the token is missing or invalid, 403 that it may not do this, and 503 that you may retry.
"""
# The rules of docs/adr/0003, by the settings `refresh_heal` and `refresh_grace`.
REPEATABLE = """\
- Send a random `Idempotency-Key` of 22 to 128 characters, a new one for each refresh. If no
  response arrives, repeat the request with the same key and the same token: the response contains
  the same new refresh token, until that token is exchanged itself.
- Without such a key, a repeated request gets a new refresh token too{later}, unless somebody used
  the tokens of the lost response.
"""
NOT_REPEATABLE = """\
- A refresh token is exchanged once. If no response arrives, sign in again.
"""
IN_WINDOW = """\
- A response without `refresh_token` is a success: another thread or tab refreshed first and has the
  new token. Keep the token that you have, or use the new one.
"""
ALWAYS = """\
- After a 503, wait as long as `Retry-After` says, then retry with the newest token.
- If a refresh token is used again {copied}, it was copied: the session ends (401
  `refresh_reused`), and you must sign in again. Threads and processes that share a session must
  refresh under a lock.
"""
ERRORS_OF_A_HOST = "of these operations, and refusals of all,"
WHOLE = """
Every response has the header `X-Request-Id`, which identifies the request in the log.

**Changes** to versioned resources need `If-Match` with the ETag that you read.

**Lists** return `next_cursor`; send it as `cursor` to get the next page. A page has at most 1 MiB,
and a search ends after a limited number of items. So a page may have fewer than `limit` items, or
none, although more follow: continue until `next_cursor` is null.
"""
PAGES = """\
**Pages.** [Each code is explained]({place}{prefix}/docs/problems), and the
[explorer]({place}{prefix}/docs/explore) signs you in and sends real requests.

"""


@dataclass(frozen=True, slots=True)
class Document:
    """The serialized document, its strong ETag, and its title."""

    body: bytes
    etag: str
    title: str


def describe(app: Flask, api: flask_smorest.Api) -> None:
    """Register the document, which is built when it is first requested.

    Building it takes as long as the rest of the startup, and most workers, commands and tests never
    need it. `itemsapi serve` builds it once before it serves, so an error stops the start.
    """

    @functools.cache
    def document() -> Document:
        """Build and serialize the document once."""
        content = api.spec.to_dict()
        body = orjson.dumps(content)
        etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        return Document(body, etag, content["info"]["title"])

    app.extensions[DOCUMENT] = document


def spec_options(
    settings: Settings, prefix: str = "", *, has_pages: bool, host: Flask | None = None
) -> dict[str, Any]:
    """Return the options of the document: title, version, description and server.

    `prefix` is that of the paths of the layer. `has_pages`: the application serves those of the
    part `docs`, to which the description then links. `host` is the application, if it is one of
    somebody else: title and version are its own, and nothing is said of its responses.
    """
    server = _server(settings.public_url)
    paths = {"place": server.rstrip("/"), "prefix": prefix}
    pages = PAGES.format(**paths) if has_pages else ""
    refresh = _rules_of_refresh(settings)
    text = functools.partial(INTRODUCTION.format, **paths, refresh=refresh, pages=pages)
    common = {"openapi_version": "3.1.0", "servers": [{"url": server}]}
    if host is not None:
        return common | {
            "title": host.config.get("API_TITLE", host.name),
            "version": host.config.get("API_VERSION", "1"),
            "info": {"description": text(errors=ERRORS_OF_A_HOST)},
        }
    return common | {
        "title": TITLE,
        "version": _version(),
        "info": {
            "description": f"A JSON API.\n\n{text(errors='of all operations')}{WHOLE}",
            "contact": {"name": "The itemsapi maintainers"},
            "license": {"name": "MIT", "identifier": "MIT"},
        },
    }


def document_of(app: Flask) -> Document:
    """Return the document of an application."""
    document = app.extensions[DOCUMENT]()
    assert isinstance(document, Document)  # noqa: S101 - tells the type checker
    return document


def current_document() -> Document:
    """Return the document of the current application."""
    return document_of(current_app)


def _rules_of_refresh(settings: Settings) -> str:
    """Return what a client must know of lost responses and races, by the settings."""
    window = round(settings.refresh_grace.total_seconds())
    later = f", but in the first {window} seconds only an access token" if window else ""
    copied = f"more than {window} seconds later" if window else "later"
    if settings.refresh_heal:
        copied = "after its replacement was used"
    first = REPEATABLE.format(later=later) if settings.refresh_heal else NOT_REPEATABLE
    return f"{first}{IN_WINDOW if window else ''}{ALWAYS.format(copied=copied)}"


def _version() -> str:
    try:
        return importlib.metadata.version("itemsapi")
    except importlib.metadata.PackageNotFoundError:  # run from a folder, not installed
        return "0"


def _server(public_url: str) -> str:
    """Return the URL of the service; if it is a loopback address, only its path.

    A relative URL refers to the host that the document was loaded from.
    """
    url = urlsplit(public_url)
    host = url.hostname or ""
    is_loopback = (
        host in {"127.0.0.1", "::1"} or host.rpartition(".")[2] == "localhost"  # RFC 6761 6.3
    )
    return (url.path or "/") if is_loopback else public_url
