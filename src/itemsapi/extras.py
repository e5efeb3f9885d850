"""Dependencies that not everybody needs: the extras of the package.

They are imported where they are used, at the time of use. If one is missing, the error says what
needs it and how to install it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from itemsapi.settings import SettingsError

Extra = Literal["hashes", "metrics", "postgres", "redis", "server", "verify"]


class ExtraMissing(SettingsError):
    """An extra is not installed; the message says how to install it."""


@contextmanager
def extra(name: Extra, needed_by: str) -> Iterator[None]:
    """Import modules of an extra in the block. Raise `ExtraMissing` if one is not installed."""
    try:
        yield
    except ModuleNotFoundError as error:
        module = (error.name or "").partition(".")[0]
        if module == __package__:
            raise  # a fault of our own
        raise ExtraMissing(missing(name, needed_by, module)) from error


def missing(name: Extra, needed_by: str, module: str) -> str:
    """Return the line that says which extra to install, because a module of it is missing."""
    return f"{needed_by} needs the package {module}; install itemsapi with its extra `{name}`"
