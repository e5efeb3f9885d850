"""Schema fields: marshmallow's names with strict types.

An integer is not a string, a float or a boolean; a decimal is a string such as "12.50"; a time is
RFC 3339 with an offset. Values of a query or form arrive as text (`TextValue`) and are
converted to the type of the field; JSON values are never converted.
"""

# ruff: noqa: ANN401 - marshmallow passes values and options untyped
# ruff: noqa: RUF012 - it declares messages as plain class attributes

import re
from datetime import UTC, datetime
from decimal import Decimal as Number
from typing import Any

import flask_smorest.fields
from marshmallow import fields

from itemsapi.clock import rfc3339
from itemsapi.control_characters import (
    MULTILINE_PATTERN,
    SINGLE_LINE_PATTERN,
    has_control_characters,
)
from itemsapi.rest.request import TextValue

Dict = fields.Dict
Enum = fields.Enum
List = fields.List
Nested = fields.Nested
String = fields.String
Url = fields.Url

MAX_SAFE_INTEGER = 2**53 - 1  # larger integers are rounded in some languages (RFC 7493 section 2.2)

_INTEGER = re.compile(r"-?[0-9]{1,16}", re.ASCII)
_TIMESTAMP = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)", re.ASCII | re.IGNORECASE
)
ID_PATTERN = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"


class Integer(fields.Integer):
    """An integer: 3 in JSON, `3` in a query; not 3.0, "3" or true."""

    def _deserialize(self, value: object, *_: object, **__: object) -> int:
        if isinstance(value, TextValue) and _INTEGER.fullmatch(value):
            value = int(value)
        if type(value) is not int or abs(value) > MAX_SAFE_INTEGER:
            raise self.make_error("invalid", input=value)
        return value


class Boolean(fields.Boolean):
    """A boolean: true or false in JSON, `true` or `false` in a query; not 1, "yes" or "on"."""

    def _deserialize(self, value: object, *_: object, **__: object) -> bool:
        if isinstance(value, TextValue):
            value = {"true": True, "false": False}.get(value)
        if not isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return value


class Decimal(fields.Field[Number]):
    """A decimal number as a string, `"12.50"`, because JSON numbers may be rounded.

    It has at most `digits` digits before the point and at most `places` after it. Output always has
    `places` digits after the point.
    """

    default_error_messages = {"invalid": 'Not a decimal number such as "12.50".'}

    def __init__(
        self, *, digits: int = 10, places: int = 2, signed: bool = False, **kwargs: Any
    ) -> None:
        """Accept numbers of this size; negative numbers only if `signed`."""
        super().__init__(**kwargs)
        sign = "-?" if signed else ""
        self.places = places
        self.pattern = rf"^{sign}(0|[1-9][0-9]{{0,{digits - 1}}})(\.[0-9]{{1,{places}}})?$"
        self._compiled = re.compile(self.pattern.strip("^$"), re.ASCII)

    def _deserialize(self, value: object, *_: object, **__: object) -> Number:
        if not isinstance(value, str) or not self._compiled.fullmatch(value):
            raise self.make_error("invalid", input=value)
        return Number(value)

    def _serialize(self, value: Any, *_: object, **__: object) -> str | None:
        return None if value is None else f"{Number(value):.{self.places}f}"


class DateTime(fields.Field[datetime]):
    """A time in RFC 3339 format with an offset; converted to UTC, `2026-01-31T12:00:00Z`."""

    default_error_messages = {
        "invalid": "Not a time such as 2026-01-31T12:00:00Z (RFC 3339, with an offset)."
    }

    def _deserialize(self, value: object, *_: object, **__: object) -> datetime:
        if not isinstance(value, str) or not _TIMESTAMP.fullmatch(value):
            raise self.make_error("invalid", input=value)
        try:
            return datetime.fromisoformat(value.upper()).astimezone(UTC)
        except (ValueError, OverflowError):
            raise self.make_error("invalid", input=value) from None

    def _serialize(self, value: Any, *_: object, **__: object) -> str | None:
        return None if value is None else rfc3339(value)


class Line(fields.String):
    """One line of text without control characters, which could hide parts of it (S-115)."""

    default_error_messages = {"controls": "Control characters are not allowed."}
    pattern = SINGLE_LINE_PATTERN
    lines = False

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str:
        text: str = super()._deserialize(value, *args, **kwargs)
        if has_control_characters(text, multiline=self.lines):
            raise self.make_error("controls")
        return text


class Lines(Line):
    """Text that may contain line breaks and tabs, but no other control characters."""

    pattern = MULTILINE_PATTERN
    lines = True


class Id(fields.String):
    """The id of a stored object: a UUID in lower case."""

    default_error_messages = {"invalid_id": "Not a valid id."}
    pattern = f"^{ID_PATTERN}$"
    _compiled = re.compile(ID_PATTERN, re.ASCII)

    def _deserialize(self, value: object, *_: object, **__: object) -> str:
        if not isinstance(value, str) or not self._compiled.fullmatch(value):
            raise self.make_error("invalid_id", input=value)
        return str(value)


class Upload(flask_smorest.fields.Upload):  # type: ignore[misc]  # Flask-Smorest has no types
    """A file of a multipart body (`location="files"`), a `werkzeug.datastructures.FileStorage`."""
