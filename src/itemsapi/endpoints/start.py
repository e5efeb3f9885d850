"""The start page of the service, `/`: where its pages and its description are.

A browser gets a page, a program JSON. It belongs to `create_app`: an application with `AuthLayer`
has a start page of its own, and a blueprint of the service may have one too.
"""

import base64
import hashlib
import html
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from string import Template

from flask import Flask, Response, current_app, jsonify, request, url_for

from itemsapi.gate.decorators import public
from itemsapi.rest import Blueprint, Schema, fields

HTML = "text/html"
JSON = "application/json"

blueprint = Blueprint("start", __name__)


@dataclass(frozen=True, slots=True)
class Link:
    """A link to a page or file; its `endpoint` is registered only if it is turned on."""

    name: str
    endpoint: str
    title: str
    description: str


LINKS = (
    Link("console", "console.show_console", "Console", "Sign in, and work in the browser."),
    Link("docs", "docs.show_docs", "API documentation", "Read about every operation."),
    Link("explorer", "explorer.show_explorer", "Explorer", "Sign in, and send requests."),
    Link("problems", "docs.show_problems", "Problems", "Look up the code of an error."),
    Link("openapi", "docs.show_document", "openapi.json", "The description for programs."),
    Link(
        "oauth_metadata",
        "wellknown.metadata",
        "OAuth metadata",
        "Where programs get tokens and keys.",
    ),
)


class Start(Schema):
    """The paths of the service's pages and files; one that is turned off is missing."""

    console = fields.String()
    docs = fields.String()
    explorer = fields.String()
    problems = fields.String()
    openapi = fields.String()
    oauth_metadata = fields.String(required=True)


@blueprint.get("/")
@public("it only shows where things are")
@blueprint.response(200, Start())
def show_start() -> Response:
    """Show where the pages and files of the service are: HTML for a browser, JSON otherwise."""
    if request.accept_mimetypes.best_match([JSON, HTML]) == HTML:
        response = _page()
    else:
        response = jsonify({link.name: path for link, path in _links()})
    response.vary.add("Accept")
    return response


def has_start_page(app: Flask) -> bool:
    """Return whether the application has a view for `GET /`."""
    routes = (route for route in app.url_map.iter_rules() if route.rule == "/")
    return any("GET" in (route.methods or ()) for route in routes)


def _links() -> Iterator[tuple[Link, str]]:
    """Yield what this service has, each with its path."""
    for link in LINKS:
        endpoint = f"itemsapi.{link.endpoint}"
        if endpoint in current_app.view_functions:
            yield link, url_for(endpoint)


def _page() -> Response:
    links = "\n".join(
        f'<li><a href="{html.escape(path)}">{link.title}</a> {link.description}</li>'
        for link, path in _links()
    )
    template = Path(__file__).with_name("static") / "start.html"
    text = Template(template.read_text("utf-8")).substitute(links=links)
    style = text.partition("<style>")[2].partition("</style>")[0].encode()
    digest = base64.b64encode(hashlib.sha256(style).digest()).decode("ascii")
    policy = (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    headers = {"Content-Security-Policy": policy}
    return Response(text, headers=headers, content_type=f"{HTML}; charset=utf-8")
