"""Fields of schemas: marshmallow's names with strict types.

A whole number is no text, no float and no truth; a decimal is a string such as "12.50"; a moment is
RFC 3339 with its offset. Values of a query or form come as text (`Word`) and are read as what the
field wants; in JSON nothing is converted.
"""

# ruff: noqa: ANN401 - marshmallow hands values and options on untyped
# ruff: noqa: RUF012 - it declares messages as plain class attributes

import re
from datetime import UTC, datetime
from decimal import Decimal as Number
from typing import Any

from marshmallow import fields

from itemsapi.control_characters import (
    MULTILINE_PATTERN,
    SINGLE_LINE_PATTERN,
    has_control_characters,
)
from itemsapi.rest.urlencoded import Word

Dict = fields.Dict
Enum = fields.Enum
List = fields.List
Nested = fields.Nested
String = fields.String
Url = fields.Url

GREATEST = 2**53 - 1  # beyond, programs in other languages round (RFC 7493 section 2.2)

_WHOLE = re.compile(r"-?[0-9]{1,16}", re.ASCII)
_MOMENT = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)", re.ASCII | re.IGNORECASE
)
ID_PATTERN = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"


class Integer(fields.Integer):
    """A whole number: 3, and in a query `3`; not 3.0, "3" or true."""

    def _deserialize(self, value: object, *_: object, **__: object) -> int:
        if isinstance(value, Word) and _WHOLE.fullmatch(value):
            value = int(value)
        if type(value) is not int or abs(value) > GREATEST:
            raise self.make_error("invalid", input=value)
        return value


class Boolean(fields.Boolean):
    """True or false, and in a query `true` or `false`; not 1, "yes" or "on"."""

    def _deserialize(self, value: object, *_: object, **__: object) -> bool:
        if isinstance(value, Word):
            value = {"true": True, "false": False}.get(value)
        if not isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return value


class Decimal(fields.Field[Number]):
    """A decimal number as a string, `"12.50"`: what JSON numbers cannot hold exactly.

    At most `digits` digits before the point and exactly up to `places` after it; written with all
    of its places.
    """

    default_error_messages = {"invalid": 'Not a decimal number such as "12.50".'}

    def __init__(
        self, *, digits: int = 10, places: int = 2, signed: bool = False, **kwargs: Any
    ) -> None:
        """Take numbers of this size; negative ones only if `signed`."""
        super().__init__(**kwargs)
        sign = "-?" if signed else ""
        self.places = places
        self.pattern = rf"^{sign}(0|[1-9][0-9]{{0,{digits - 1}}})(\.[0-9]{{1,{places}}})?$"
        self._shape = re.compile(self.pattern.strip("^$"), re.ASCII)

    def _deserialize(self, value: object, *_: object, **__: object) -> Number:
        if not isinstance(value, str) or not self._shape.fullmatch(value):
            raise self.make_error("invalid", input=value)
        return Number(value)

    def _serialize(self, value: Any, *_: object, **__: object) -> str | None:
        return None if value is None else f"{Number(value):.{self.places}f}"


class DateTime(fields.Field[datetime]):
    """A moment, RFC 3339 with its offset; kept and written in UTC, `2026-01-31T12:00:00Z`."""

    default_error_messages = {
        "invalid": "Not a moment such as 2026-01-31T12:00:00Z (RFC 3339, with an offset)."
    }

    def _deserialize(self, value: object, *_: object, **__: object) -> datetime:
        if not isinstance(value, str) or not _MOMENT.fullmatch(value):
            raise self.make_error("invalid", input=value)
        try:
            return datetime.fromisoformat(value.upper()).astimezone(UTC)
        except (ValueError, OverflowError):
            raise self.make_error("invalid", input=value) from None

    def _serialize(self, value: Any, *_: object, **__: object) -> str | None:
        return None if value is None else rfc3339(value)


class Line(fields.String):
    """A text of one line without control characters: whoever shows it shows all of it (S-115)."""

    default_error_messages = {"controls": "No control characters are taken."}
    pattern = SINGLE_LINE_PATTERN
    lines = False

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str:
        text: str = super()._deserialize(value, *args, **kwargs)
        if has_control_characters(text, multiline=self.lines):
            raise self.make_error("controls")
        return text


class Lines(Line):
    """A text that may have lines and tabs, and no other control characters."""

    pattern = MULTILINE_PATTERN
    lines = True


class Id(fields.String):
    """The id of something stored: a UUID in lower case."""

    default_error_messages = {"invalid_id": "Not an id."}
    pattern = f"^{ID_PATTERN}$"
    _shape = re.compile(ID_PATTERN, re.ASCII)

    def _deserialize(self, value: object, *_: object, **__: object) -> str:
        if not isinstance(value, str) or not self._shape.fullmatch(value):
            raise self.make_error("invalid_id", input=value)
        return str(value)


def rfc3339(moment: datetime) -> str:
    """Write a moment in UTC with the letter Z; one without an offset is taken to be UTC."""
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    return moment.isoformat()[: -len("+00:00")] + "Z"
