"""The documentation: the OpenAPI document, its HTML view, and an explanation of every problem.

All files come from this service; the Content-Security-Policy forbids other hosts.
"""

import html
import inspect
import re
import secrets
from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from string import Template

from flask import Response, request, url_for

from itemsapi.gate.decorators import public
from itemsapi.problem_list import list_problems
from itemsapi.problems import Problem
from itemsapi.rest import Blueprint
from itemsapi.rest.etags import not_modified
from itemsapi.rest.openapi.document import current_document
from itemsapi.rest.static_files import Assets

STATIC = Path(__file__).parent / "static"
# The hashes allow ReDoc's two fixed inline styles; its other styles have the nonce.
DOCS_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'nonce-{nonce}' "
    "'sha256-QMIg+bpjm3JdElJ388KYke01izlUW0UoNOeKjpMxdgc=' "
    "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='; img-src 'self' data:; "
    "connect-src 'self'; worker-src blob:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
TEXT_POLICY = (
    "default-src 'none'; style-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

blueprint = Blueprint("docs", __name__, documented=False)
assets = Assets(STATIC / "redoc" / "redoc.js", STATIC / "docs.js", STATIC / "docs.css")


@blueprint.get("/openapi.json")
@public("the description of the API is no secret; ITEMSAPI_DOCS=off removes it")
def show_document() -> Response:
    """Show the OpenAPI document."""
    document = current_document()
    headers = {"ETag": document.etag, "Cache-Control": "no-cache"}
    if not_modified(request, document.etag):
        return Response(status=304, headers=headers)
    return Response(document.body, headers=headers, content_type="application/json")


@blueprint.get("/docs")
@public("the description of the API is no secret; ITEMSAPI_DOCS=off removes it")
def show_docs() -> Response:
    """Show the documentation as HTML."""
    nonce = secrets.token_urlsafe(16)
    spec = url_for(".show_document")
    files = {"start": "docs.js", "redoc": "redoc.js", "style": "docs.css"}
    urls = {variable: _asset_url(name) for variable, name in files.items()}
    title = html.escape(current_document().title)
    text = _template("docs.html").substitute(urls, title=title, spec=spec, nonce=nonce)
    return _html(text, DOCS_POLICY.format(nonce=nonce))


@blueprint.get("/docs/problems")
@public("it explains errors that any client can get")
def show_problems() -> Response:
    """Explain every problem that the `type` of an error response refers to."""
    kinds = list_problems()
    text = _template("problems.html").substitute(
        index="\n".join(_index(kinds)),
        problems="\n".join(map(_problem_section, kinds)),
        style=_asset_url("docs.css"),
    )
    return _html(text, TEXT_POLICY)


@blueprint.get("/docs/static/<name>")
@public("the scripts and styles of the documentation")
def show_docs_file(name: str) -> Response:
    """Return a script or style sheet of the documentation."""
    return assets.send(request, name)


def _asset_url(name: str) -> str:
    return url_for(".show_docs_file", name=name)


def _template(name: str) -> Template:
    return Template((STATIC / name).read_text("utf-8"))


def _html(text: str, policy: str) -> Response:
    headers = {"Content-Security-Policy": policy}
    return Response(text, headers=headers, content_type="text/html; charset=utf-8")


def _index(kinds: Iterable[type[Problem]]) -> Iterator[str]:
    """Yield a line of links for each status."""
    ordered = sorted(kinds, key=attrgetter("status", "code"))
    for status, group in groupby(ordered, key=attrgetter("status")):
        links = " ".join(f'<a href="#{kind.code}"><code>{kind.code}</code></a>' for kind in group)
        yield f"<dt>{status}</dt><dd>{links}</dd>"


def _problem_section(kind: type[Problem]) -> str:
    explanation = _to_html(inspect.getdoc(kind) or "").replace("\n\n", "</p>\n<p>")
    advice = f"<p>{_to_html(kind.advice)}</p>\n" if kind.advice else ""
    return (
        f'<section id="{kind.code}">\n<h2>{html.escape(kind.title)}</h2>\n'
        f'<p class="code"><code>{kind.code}</code>, status {kind.status}</p>\n'
        f"<p>{explanation}</p>\n{advice}</section>"
    )


def _to_html(text: str) -> str:
    """Escape text for HTML and turn backticks into `<code>`."""
    return re.sub("`([^`]+)`", r"<code>\1</code>", html.escape(text))
