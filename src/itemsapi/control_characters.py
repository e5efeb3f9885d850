"""Control characters: what a terminal or a viewer of logs obeys instead of showing it (S-115).

C0 and C1 controls and DEL (ECMA-48), separators of lines and paragraphs, and what turns the
direction of writing (Unicode UAX #9): an override shows one name as another.
"""

import re
from typing import Final

# As both Python and JSON Schema (ECMA-262) write it.
_CLASS: Final = (
    r"\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069"
)
ONE_LINE: Final = f"^[^{_CLASS}]*$"
LINES: Final = rf"^([^{_CLASS}]|[\t\n\r])*$"  # a description may have lines

_IN_A_LINE = re.compile(f"[{_CLASS}]")
_IN_LINES = re.compile(rf"(?![\t\n\r])[{_CLASS}]")
_UNSHOWN = re.compile(rf"[{_CLASS}\ud800-\udfff]")  # half of a surrogate pair cannot be written


def held(text: str, *, lines: bool = False) -> bool:
    """Tell whether a text holds control characters; with `lines` it may have lines and tabs."""
    return (_IN_LINES if lines else _IN_A_LINE).search(text) is not None


def escaped(text: str) -> str:
    r"""Return a text in one line with its control characters to be seen: `\u001b`, `\u202e`."""
    return _UNSHOWN.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
