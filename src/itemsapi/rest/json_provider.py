"""Fast JSON out: orjson, with decimals as strings and times in UTC."""

# ruff: noqa: ANN401 - the signatures are Flask's

from decimal import Decimal
from typing import Any

import orjson
from flask import Response
from flask.json.provider import JSONProvider

_OPTIONS = orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z


def dumps(value: object) -> bytes:
    """Return `value` as JSON; UUIDs, times and dataclasses are known, decimals become strings."""
    return orjson.dumps(value, default=_other, option=_OPTIONS)


def _other(value: object) -> object:
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError(f"{type(value).__name__} is not JSON")


class JsonProvider(JSONProvider):
    """What `flask.jsonify` and a view that returns a dict use."""

    def dumps(self, obj: Any, **kwargs: Any) -> str:
        """Return `obj` as JSON text."""
        del kwargs  # indentation and the like do not matter to programs
        return dumps(obj).decode()

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        """Return what the text says; request bodies take `rest.strict_json` instead."""
        del kwargs
        return orjson.loads(s)

    def response(self, *args: Any, **kwargs: Any) -> Response:
        """Return `jsonify`'s answer."""
        return Response(
            dumps(self._prepare_response_obj(args, kwargs)), mimetype="application/json"
        )
