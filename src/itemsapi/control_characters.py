"""Control characters: those that a terminal or log viewer executes instead of showing (S-115).

They are C0 and C1 controls and DEL (ECMA-48), line and paragraph separators, and bidirectional
controls (Unicode UAX #9): an override makes one name look like another.
"""

import re
from typing import Final

# In a notation of both Python and JSON Schema (ECMA-262).
_CONTROL_CHARACTERS: Final = (
    r"\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069"
)
SINGLE_LINE_PATTERN: Final = f"^[^{_CONTROL_CHARACTERS}]*$"
MULTILINE_PATTERN: Final = (
    rf"^([^{_CONTROL_CHARACTERS}]|[\t\n\r])*$"  # tabs and line breaks are allowed
)

_IN_SINGLE_LINE = re.compile(f"[{_CONTROL_CHARACTERS}]")
_IN_MULTILINE = re.compile(rf"(?![\t\n\r])[{_CONTROL_CHARACTERS}]")
_UNPRINTABLE = re.compile(
    rf"[{_CONTROL_CHARACTERS}\ud800-\udfff]"
)  # a lone surrogate cannot be encoded


def has_control_characters(text: str, *, multiline: bool = False) -> bool:
    """Return whether a text has control characters; `multiline` allows tabs and line breaks."""
    return (_IN_MULTILINE if multiline else _IN_SINGLE_LINE).search(text) is not None


def escape_control_characters(text: str) -> str:
    r"""Return a text in one line with its control characters escaped: `\u001b`, `\u202e`."""
    return _UNPRINTABLE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
