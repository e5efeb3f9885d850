"""The one strict JSON reader: RFC 8259 as I-JSON (RFC 7493), with bounds on everything.

Bodies are refused before anything is made of them, in time linear in their size: nesting, number
of values and names, digits, repeated names, lone surrogates, NUL, infinities, a byte order mark.
Whole numbers beyond 64 bits become floats; `fields.Integer` refuses them.
"""

import re
from collections.abc import Iterator

import orjson

from itemsapi.problems import BodyMalformed

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 32
MAX_NAMES = 1_000
MAX_VALUES = 10_000
MAX_DIGITS = 100

# Matches from a quote to its end or, unclosed, to the end of the body, without ever going back:
# the possessive quantifiers keep hostile backslashes linear.
_STRING = re.compile(rb'"[^"\\]*+(?:\\.?[^"\\]*+)*+"?', re.DOTALL)
_NUMBER = re.compile(rb"[0-9.eE+-]++")
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def read(body: bytes) -> object:
    """Return what `body` says, or raise `BodyMalformed` with one fixed sentence."""
    skeleton = _skeleton(body)
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise BodyMalformed(_why_not(body)) from None
    if any(len(number) > MAX_DIGITS for number in _NUMBER.findall(skeleton)):
        raise BodyMalformed(f"A number has more than {MAX_DIGITS} digits.")
    _check_names(value, skeleton, escaped_nul=b"\\u0000" in body)
    return value


def _skeleton(body: bytes) -> bytes:
    """Return the body without its strings, once its bounds are checked."""
    if body.count(b'"') > 4 * MAX_VALUES:  # bounds the work of the next line
        raise BodyMalformed(f"The body has more than {MAX_VALUES} values.")
    skeleton = _STRING.sub(b"", body)
    if skeleton.count(b":") > MAX_NAMES:
        raise BodyMalformed(f"The body has more than {MAX_NAMES} names.")
    brackets = skeleton.translate(None, _NO_BRACKETS)
    if skeleton.count(b",") > MAX_VALUES or len(brackets) > 2 * MAX_VALUES:
        raise BodyMalformed(f"The body has more than {MAX_VALUES} values.")
    if len(brackets) > 2 * MAX_DEPTH:  # with fewer, deeper nesting is not closed, so no JSON
        _check_depth(brackets)
    return skeleton


def _check_depth(brackets: bytes) -> None:
    depth = 0
    for bracket in brackets:
        depth += 1 if bracket in b"[{" else -1
        if depth > MAX_DEPTH:
            raise BodyMalformed(f"The body is nested deeper than {MAX_DEPTH} levels.")


def _check_names(value: object, skeleton: bytes, *, escaped_nul: bool) -> None:
    """Refuse repeated names, and NUL anywhere.

    A parsed object holds each name once, so a name is repeated exactly when the body has more
    colons outside of strings than the objects have names.
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
    """Yield `value` and everything in it, names too."""
    queue = [value]
    while queue:
        part = queue.pop()
        yield part
        if isinstance(part, dict):
            queue.extend(part.values())
            yield from part
        elif isinstance(part, list):
            queue.extend(part)


def _why_not(body: bytes) -> str:
    if not body.strip():
        return "The body is empty; send a JSON object."
    if body.startswith(b"\xef\xbb\xbf"):
        return "The body starts with a byte order mark; send UTF-8 without one."
    return "The body is not valid JSON in UTF-8 (no NaN, no infinity, no lone surrogates)."
