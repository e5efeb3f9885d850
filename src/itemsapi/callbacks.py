"""Callbacks: functions of an application that are called later, and what they have to take."""

import inspect


def require_one_argument(function: object, what: str, advice: str) -> None:
    """Raise `TypeError` unless a function can be called with one argument by position.

    `what` names it, and `advice` says what it has to take. A function of C code may have no
    signature; it is accepted.
    """
    if not callable(function):
        raise TypeError(f"{what} is {function!r}, no function; give one that takes {advice}")
    try:
        signature = inspect.signature(function)
    except ValueError:
        return
    try:
        signature.bind("")
    except TypeError:
        name = getattr(function, "__name__", repr(function))
        raise TypeError(f"{what} {name}{signature} has to take {advice}") from None
