"""The console: a single-page application on our own client, and that client for others."""

from pathlib import Path

from flask import Response, request

from itemsapi.gate.decorators import public
from itemsapi.rest import Blueprint
from itemsapi.rest.static_files import Assets
from itemsapi.services import services

HERE = Path(__file__).parent
CLIENT = "itemsapi-auth.js"
CLIENT_PLACES = (HERE / "static" / CLIENT, HERE.parents[2] / "clients" / "js" / CLIENT)
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
WHY = "the application itself holds no data; what it shows, it asks the API for, with a token"

blueprint = Blueprint("console", __name__)
console = Assets((HERE / "console_static").iterdir())
client = Assets(path for path in CLIENT_PLACES if path.is_file())


@blueprint.get("/console")
@public(WHY)
@blueprint.response(200, {"type": "string"}, content_type="text/html")
def show_console() -> Response:
    """Show the console."""
    # What a password must be is said at its field before one is refused.
    words = {"password_min_length": str(services().issuer.settings.password_min_length)}
    return console.send(request, "index.html", policy=POLICY, words=words)


@blueprint.get("/console/<name>")
@public(WHY)
@blueprint.response(200, {"type": "string"}, content_type="text/javascript")
def show_console_file(name: str) -> Response:
    """Give a script, a style or a picture of the console."""
    return console.send(request, name)


@blueprint.get("/client.js")
@public("any page may sign users in with it")
@blueprint.response(200, {"type": "string"}, content_type="text/javascript")
def show_client() -> Response:
    """Give the client for single-page applications, an ES module."""
    answer = client.send(request, CLIENT)
    answer.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    return answer
