"""The converter of ids in routes."""

from werkzeug.routing import BaseConverter

from itemsapi.rest.fields import ID_PATTERN


class IdConverter(BaseConverter):
    """`<id:item_id>`: a UUID in lower case, as a string; anything else is a 404."""

    regex = ID_PATTERN
