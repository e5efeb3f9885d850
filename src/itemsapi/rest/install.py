"""Install the HTTP layer in a Flask application."""

from flask import Flask, Response, request
from werkzeug.routing import BaseConverter

from itemsapi.observability.metrics import count_request
from itemsapi.rest import error_handlers
from itemsapi.rest.cors import Cors
from itemsapi.rest.fields import ID_PATTERN
from itemsapi.rest.json_provider import JsonProvider
from itemsapi.rest.middleware import Middleware
from itemsapi.rest.proxies import Proxies
from itemsapi.rest.request import Request
from itemsapi.rest.strict_json import MAX_BYTES
from itemsapi.settings import Settings


class IdConverter(BaseConverter):
    """`<id:item_id>`: a UUID in lower case, as a string; anything else is a 404."""

    regex = ID_PATTERN


def install(app: Flask, settings: Settings) -> None:
    """Set the request class, JSON provider, error handlers, middleware and URL matching.

    Call this function before any route is registered and before the gate is installed.
    """
    base = f"{settings.public_url}/docs/problems"
    https = settings.public_url.startswith("https:")
    app.request_class = Request
    app.json = JsonProvider(app)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BYTES
    _install_routing(app)
    error_handlers.install(app, base)
    app.after_request(_count)

    proxies = Proxies(settings.public_url, settings.trusted_proxies or 0)
    cors = Cors(
        settings.allowed_origins, allow=settings.allow_headers, expose=settings.expose_headers
    )
    app.wsgi_app = Middleware(app.wsgi_app, base, proxies, cors, tls=https)  # type: ignore[method-assign]  # Flask's documented way


def _count(response: Response) -> Response:
    count_request(request.method, request.endpoint, response.status_code)
    return response


def _install_routing(app: Flask) -> None:
    """Match `/items` and `/items/` alike and never redirect: redirects leak or lose tokens."""
    app.url_map.converters["id"] = IdConverter
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False
