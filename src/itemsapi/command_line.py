"""How an operator calls the commands of `itemsapi`, for messages that tell which one to run."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

# A server process does not know how its application is named on a command line.
_program = ContextVar("program", default="itemsapi [--app MODULE:APP]")


@contextmanager
def called_as(program: str) -> Iterator[None]:
    """Write commands in the block as this program is called: `itemsapi --app shop:app`."""
    token = _program.set(program)
    try:
        yield
    finally:
        _program.reset(token)


def command_line(words: str) -> str:
    """Return a command as the operator types it, in backticks: `itemsapi --app shop:app check`."""
    return f"`{_program.get()} {words}`"
