"""Fast JSON output with orjson: decimals as strings, times in UTC."""

# ruff: noqa: ANN401 - the signatures are Flask's

from decimal import Decimal
from typing import Any

import orjson
from flask import Response
from flask.json.provider import JSONProvider

_OPTIONS = orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z


def dumps(value: object) -> bytes:
    """Return `value` as JSON; UUIDs, times and dataclasses are supported, decimals are strings."""
    return orjson.dumps(value, default=_dump_decimal, option=_OPTIONS)


def _dump_decimal(value: object) -> object:
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError(f"{type(value).__name__} is not JSON")


class JsonProvider(JSONProvider):
    """The JSON provider of `flask.jsonify` and of views that return a dict."""

    def dumps(self, obj: Any, **kwargs: Any) -> str:
        """Return `obj` as JSON text."""
        del kwargs  # programs do not need indentation or sorted keys
        return dumps(obj).decode()

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        """Parse JSON text; request bodies are parsed by `rest.strict_json` instead."""
        del kwargs
        return orjson.loads(s)

    def response(self, *args: Any, **kwargs: Any) -> Response:
        """Return the response of `jsonify`."""
        return Response(
            dumps(self._prepare_response_obj(args, kwargs)), mimetype="application/json"
        )
