"""JSON: a strict reader for requests, and fast output with orjson for responses.

In responses decimals are strings and times are in UTC.
"""

# ruff: noqa: ANN401 - the signatures are Flask's

import dataclasses
import json
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import orjson
from flask import Response
from flask.json.provider import JSONProvider

from itemsapi.problems import BodyMalformed

# The strict JSON reader: RFC 8259 restricted to I-JSON (RFC 7493), with limits.
#
# It rejects, in time linear in the size of the body: too deep nesting, too many values, names or
# digits, repeated names, lone surrogates, NUL, infinities, and a byte order mark. Nesting and the
# numbers of values and names are checked before parsing.

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 32
MAX_NAMES = 1_000
MAX_VALUES = 10_000
MAX_DIGITS = 100
MAX_FAST_DIGITS = 18  # orjson rounds integers beyond 64 bits to floats

# Matches a string, or an unclosed string up to the end of the body. The possessive quantifiers
# never backtrack, so hostile backslashes take linear time.
_STRING = re.compile(rb'"[^"\\]*+(?:\\.?[^"\\]*+)*+"?', re.DOTALL)
_NUMBER = re.compile(rb"[0-9.eE+-]++")
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def read(body: bytes) -> object:
    """Return the value of the JSON text `body`, or raise `BodyMalformed` with a fixed sentence."""
    skeleton = _skeleton(body)
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise BodyMalformed(_syntax_error(body)) from None
    longest = max(map(len, _NUMBER.findall(skeleton)), default=0)
    if longest > MAX_DIGITS:
        raise BodyMalformed(f"A number has more than {MAX_DIGITS} digits.")
    if longest > MAX_FAST_DIGITS:
        value = json.loads(body)
    _check_names(value, skeleton, escaped_nul=b"\\u0000" in body)
    return value


def _skeleton(body: bytes) -> bytes:
    """Check the limits and return the body without its strings."""
    if body.count(b'"') > 4 * MAX_VALUES:  # limits the work of the next line
        raise BodyMalformed(f"The body has more than {MAX_VALUES} values.")
    skeleton = _STRING.sub(b"", body)
    if skeleton.count(b":") > MAX_NAMES:
        raise BodyMalformed(f"The body has more than {MAX_NAMES} names.")
    brackets = skeleton.translate(None, _NO_BRACKETS)
    if skeleton.count(b",") > MAX_VALUES or len(brackets) > 2 * MAX_VALUES:
        raise BodyMalformed(f"The body has more than {MAX_VALUES} values.")
    if len(brackets) > 2 * MAX_DEPTH:  # with fewer brackets, deeper nesting cannot be closed
        _check_depth(brackets)
    return skeleton


def _check_depth(brackets: bytes) -> None:
    depth = 0
    for bracket in brackets:
        depth += 1 if bracket in b"[{" else -1
        if depth > MAX_DEPTH:
            raise BodyMalformed(f"The body is nested deeper than {MAX_DEPTH} levels.")


def _check_names(value: object, skeleton: bytes, *, escaped_nul: bool) -> None:
    """Raise `BodyMalformed` if a name is repeated in an object, or if a string contains NUL.

    A parsed object contains each name once. So a name was repeated if the body has more colons
    outside of strings than all parsed objects have names.
    """
    names = 0
    for part in _parts(value):
        if isinstance(part, dict):
            names += len(part)
        elif escaped_nul and isinstance(part, str) and "\0" in part:
            raise BodyMalformed("The body contains the character NUL.")
    if names != skeleton.count(b":"):
        raise BodyMalformed("A name is repeated within an object.")


def _parts(value: object) -> Iterator[object]:
    """Yield `value` and all nested values and names."""
    queue = [value]
    while queue:
        part = queue.pop()
        yield part
        if isinstance(part, dict):
            queue.extend(part.values())
            yield from part
        elif isinstance(part, list):
            queue.extend(part)


def _syntax_error(body: bytes) -> str:
    if not body.strip():
        return "The body is empty; send a JSON object."
    if body.startswith(b"\xef\xbb\xbf"):
        return "The body starts with a byte order mark; send UTF-8 without one."
    return "The body is not valid JSON in UTF-8 (no NaN, no infinity, no lone surrogates)."


_OPTIONS = orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z
_BITS = 63  # orjson writes integers that fit into 64 bits, with their sign


def dumps(value: object, *, sort_keys: bool = False) -> bytes:
    """Return `value` as JSON; UUIDs, times and dataclasses are supported, decimals are strings."""
    options = _OPTIONS | orjson.OPT_SORT_KEYS if sort_keys else _OPTIONS
    try:
        return orjson.dumps(value, default=_dump_decimal, option=options)
    except orjson.JSONEncodeError:  # perhaps because of a large integer or a key that is no string
        options |= orjson.OPT_NON_STR_KEYS
        return orjson.dumps(_for_orjson(value), default=_dump_decimal, option=options)


def _dump_decimal(value: object) -> object:
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError(f"{type(value).__name__} is not JSON")


def _for_orjson(value: object) -> object:
    """Return `value` with its large integers, and the numbers among its keys, as text."""
    if isinstance(value, dict):
        return {_key(key): _for_orjson(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_for_orjson(each) for each in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in dataclasses.fields(value)]
        return {name: _for_orjson(getattr(value, name)) for name in names if name[0] != "_"}
    if isinstance(value, int) and value.bit_length() > _BITS:
        return orjson.Fragment(str(value))
    return value


def _key(key: object) -> object:
    """Return a key that orjson writes as Flask does; it writes UUIDs and times itself."""
    is_text = type(key) in {str, int, Decimal}
    return str(key) if is_text else key


class JsonProvider(JSONProvider):
    """The JSON provider of `flask.jsonify` and of views that return a dict."""

    def dumps(self, obj: Any, **kwargs: Any) -> str:
        """Return `obj` as JSON text."""
        del kwargs  # programs do not need indentation or sorted keys
        return dumps(obj).decode()

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        """Parse JSON text; the request class parses request bodies, strictly."""
        del kwargs
        return orjson.loads(s)

    def response(self, *args: Any, **kwargs: Any) -> Response:
        """Return the response of `jsonify`."""
        return Response(
            dumps(self._prepare_response_obj(args, kwargs)), mimetype="application/json"
        )
