"""How an operator calls the commands of `itemsapi`, for messages that tell which one to run."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

UNKNOWN_PROGRAM = "itemsapi [--app MODULE:APP]"

_program: ContextVar[str | None] = ContextVar("program", default=None)
_fallback: list[Callable[[], str | None]] = []


@contextmanager
def called_as(program: str) -> Iterator[None]:
    """Write commands in the block as this program is called: `itemsapi --app shop:app`."""
    token = _program.set(program)
    try:
        yield
    finally:
        _program.reset(token)


def set_fallback(find: Callable[[], str | None]) -> None:
    """Ask `find` how the program is called where no command runs: this module knows no Flask."""
    _fallback[:] = [find]


def command_line(words: str) -> str:
    """Return a command as the operator types it, in backticks: `itemsapi --app shop:app check`."""
    program = _program.get() or next(filter(None, (find() for find in _fallback)), UNKNOWN_PROGRAM)
    return f"`{program} {words}`"
