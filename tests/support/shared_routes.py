"""Routes whose URL builders are compiled once per process, not once per application.

Compiling them takes four fifths of the time to build an application, and most tests build one.
"""

from collections.abc import Callable
from typing import Any

from werkzeug.routing import Rule

_compiled: dict[tuple[object, ...], Callable[..., tuple[str, str]]] = {}


class CompiledOnce(Rule):
    """A rule that reuses the URL builder of an equal rule."""

    def _compile_builder(self, append_unknown: bool = True) -> Any:  # noqa: FBT002 - Werkzeug's
        if self.defaults:
            return super()._compile_builder(append_unknown)
        key = (self.rule, *self._trace, append_unknown)
        if key not in _compiled:
            _compiled[key] = super()._compile_builder(append_unknown)
        return _compiled[key]
