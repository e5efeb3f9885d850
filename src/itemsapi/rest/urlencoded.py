"""The strict reader of URL-encoded pairs such as `a=1&b=2`: query strings and form bodies.

It rejects bytes that are not UTF-8, NUL, and more than 100 pairs. Repeated names are returned; the
parser of `arguments` rejects them unless the field is a list.
"""

from urllib.parse import parse_qsl

from itemsapi.problems import BadRequest

MAX_PAIRS = 100
MAX_BYTES = 8 * 1024  # of a query string


class TextValue(str):
    """A string from a query or form, which `fields` may convert, for example `5` to a number.

    A string "5" in JSON is a plain `str` and is never converted to a number.
    """

    __slots__ = ()


Pairs = dict[str, list[TextValue]]


def read(raw: bytes) -> Pairs:
    """Return the values of each name in their order, or raise `BadRequest`."""
    try:
        parsed = parse_qsl(
            raw.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=MAX_PAIRS,
        )
    except UnicodeError:
        raise BadRequest("Parameters must be percent-encoded UTF-8.") from None
    except ValueError:
        raise BadRequest(f"There are more than {MAX_PAIRS} parameters.") from None
    pairs: Pairs = {}
    for name, value in parsed:
        pairs.setdefault(name, []).append(TextValue(value))
    if any("\0" in text for text in (*pairs, *(v for vs in pairs.values() for v in vs))):
        raise BadRequest("A parameter contains the character NUL.")
    return pairs
