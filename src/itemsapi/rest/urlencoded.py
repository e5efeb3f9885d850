"""Names and values as `a=1&b=2`: the query string and form bodies, read strictly.

A name may be repeated only where a list is wanted; bytes that are no UTF-8, NUL and more than 100
pairs are refused.
"""

from urllib.parse import parse_qsl

from itemsapi.problems import BadRequest

MAX_PAIRS = 100
MAX_BYTES = 8 * 1024  # of a query string


class Word(str):
    """A value that came as text, so that `5` may be read as a number where one is wanted.

    In JSON the string "5" is no number; the fields tell the two apart by this class.
    """

    __slots__ = ()


Pairs = dict[str, list[Word]]


def read(raw: bytes) -> Pairs:
    """Return the values of each name in their order, or raise `BadRequest`."""
    try:
        found = parse_qsl(
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
    for name, value in found:
        pairs.setdefault(name, []).append(Word(value))
    if any("\0" in text for text in (*pairs, *(v for vs in pairs.values() for v in vs))):
        raise BadRequest("A parameter contains the character NUL.")
    return pairs
