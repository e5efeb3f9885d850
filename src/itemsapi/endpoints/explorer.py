"""The explorer: try the operations of this service from a browser, with Swagger UI."""

from pathlib import Path

from flask import Response, request

from itemsapi.gate.decorators import public
from itemsapi.rest import Blueprint
from itemsapi.rest.static_files import Assets

STATIC = Path(__file__).parent / "static"
FILES = (
    STATIC / "explorer.html",
    STATIC / "explorer.js",
    STATIC / "explorer.css",
    STATIC / "swagger" / "swagger-ui.js",
    STATIC / "swagger" / "swagger-ui.css",
)
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
PUBLIC_REASON = "it shows the public document; the gate checks every request that it sends"

blueprint = Blueprint("explorer", __name__, documented=False)
assets = Assets(*FILES)


@blueprint.get("/docs/explore")
@public(PUBLIC_REASON)
def show_explorer() -> Response:
    """Show the explorer."""
    return assets.send(request, "explorer.html", policy=POLICY)


@blueprint.get("/docs/explore/<name>")
@public(PUBLIC_REASON)
def show_explorer_file(name: str) -> Response:
    """Return a script or style sheet of the explorer."""
    return assets.send(request, name)
