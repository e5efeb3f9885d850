"""The errors that an operator can fix, which a command shows as one line, without a traceback."""

from typing import ClassVar


class OperatorError(Exception):
    """Something outside the code is wrong; the message says what, and what to do next."""

    list_heading: ClassVar[str] = ""  # of an error whose message has a line for each of its faults
