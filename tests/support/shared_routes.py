"""Routes whose URL builders are compiled once a process, not once an application.

Four fifths of the time to build an application go there, and most tests build one.
"""

from collections.abc import Callable
from typing import Any

from werkzeug.routing import Rule

_compiled: dict[tuple[object, ...], Callable[..., tuple[str, str]]] = {}


class CompiledOnce(Rule):
    """A rule that takes the builder of an equal one; what it builds URLs of is its own."""

    def _compile_builder(self, append_unknown: bool = True) -> Any:  # noqa: FBT002 - Werkzeug's
        if self.defaults:
            return super()._compile_builder(append_unknown)
        key = (self.rule, *self._trace, append_unknown)
        if key not in _compiled:
            _compiled[key] = super()._compile_builder(append_unknown)
        return _compiled[key]
