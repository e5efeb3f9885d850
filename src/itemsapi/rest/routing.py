"""Addresses: one spelling each, no redirects, and ids that are ids."""

from flask import Flask
from werkzeug.routing import BaseConverter

from itemsapi.rest.fields import ID_PATTERN


class IdConverter(BaseConverter):
    """`<id:item_id>`: a UUID in lower case, as a string; anything else is a 404."""

    regex = ID_PATTERN


def install(app: Flask) -> None:
    """Answer `/items` and `/items/` alike and never redirect: redirects leak or lose tokens."""
    app.url_map.converters["id"] = IdConverter
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False
