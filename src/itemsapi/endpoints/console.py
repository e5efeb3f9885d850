"""The web console, a single-page application, and the browser client that it uses."""

from pathlib import Path

from flask import Response, request

from itemsapi.gate.decorators import public
from itemsapi.rest import Blueprint
from itemsapi.rest.static_files import Assets
from itemsapi.services import services

FOLDER = Path(__file__).parent
CLIENT_FILE = "itemsapi-auth.min.js"  # made from itemsapi-auth.js by `npm run build`
CLIENT_MAP_FILE = f"{CLIENT_FILE}.map"
CLIENT_FOLDERS = (FOLDER / "static", FOLDER.parents[2] / "clients" / "js")  # installed, checkout
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
PUBLIC_REASON = (
    "the application itself holds no data; what it shows comes from the API, with a token"
)

blueprint = Blueprint("console", __name__, documented=False)
console = Assets(FOLDER / "console_static")
client = Assets(
    *(folder / name for folder in CLIENT_FOLDERS for name in (CLIENT_FILE, CLIENT_MAP_FILE))
)


@blueprint.get("/console")
@public(PUBLIC_REASON)
def show_console() -> Response:
    """Show the console."""
    # The password field shows the minimum length before a password is rejected.
    variables = {"password_min_length": str(services().issuer.settings.password_min_length)}
    return console.send(request, "index.html", policy=POLICY, variables=variables)


@blueprint.get("/console/<name>")
@public(PUBLIC_REASON)
def show_console_file(name: str) -> Response:
    """Return a script, a style sheet or an image of the console."""
    return console.send(request, name)


@blueprint.get("/client.js")
@public("any web page may use it to sign users in")
def show_client() -> Response:
    """Return the client for single-page applications, an ES module."""
    return _send_to_any_page(CLIENT_FILE)


@blueprint.get("/client.js.map")
@public("any web page may use the client, and its developers read the source")
def show_client_map() -> Response:
    """Return the source map of the client, with the readable source, for developer tools."""
    return _send_to_any_page(CLIENT_MAP_FILE)


def _send_to_any_page(name: str) -> Response:
    response = client.send(request, name)
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    return response
