"""How the commands are called for the application that serves the current request.

A server process knows its application as an object. The commands need the name of a variable in a
module. An application that is in no variable, as one that a factory made, has no certain name.
"""

import shlex
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import ModuleType

from flask import Flask, current_app, has_request_context

PROGRAM = "itemsapi.program"  # the extension
ITEMS_API = "itemsapi"  # the import name of the application of `create_app`


def program_of_request() -> str | None:
    """Return the program with the application of the current request; None if neither is known."""
    if not has_request_context():
        return None
    extensions = current_app.extensions
    if PROGRAM not in extensions:
        extensions[PROGRAM] = _find_program(current_app._get_current_object())  # type: ignore[attr-defined]  # noqa: SLF001 - how Werkzeug tells to get it
    program: str | None = extensions[PROGRAM]
    return program


def _find_program(app: Flask) -> str | None:
    for module, variable in _variables(app):
        if name := _importable_name(module):
            return f"itemsapi --app {shlex.quote(f'{name}:{variable}')}"
    return "itemsapi" if app.import_name == ITEMS_API else None


def _variables(app: Flask) -> Iterator[tuple[str, str]]:
    """Yield module and name of the variables that are the application, its own module first."""
    for name in dict.fromkeys([app.import_name, "__main__", *sys.modules]):
        if name.partition(".")[0] == ITEMS_API:
            continue
        for variable, value in list(_names(sys.modules.get(name)).items()):
            if value is app:
                yield name, variable


def _names(module: object) -> dict[str, object]:
    """Return the names in a module. Do not ask it for them: a lazy module would be imported."""
    if not issubclass(type(module), ModuleType):
        return {}
    names: dict[str, object] = object.__getattribute__(module, "__dict__")
    return names


def _importable_name(module: str) -> str | None:
    """Return the name of a module for another process: that of `__main__`, or its file."""
    if module != "__main__":
        return module
    main = _names(sys.modules[module])
    if (spec := main.get("__spec__")) is not None:
        return str(getattr(spec, "name", "")) or None
    file = Path(str(main.get("__file__") or ""))
    if file.suffix != ".py" or not file.stem.isidentifier():
        return None  # such as the standard input
    with suppress(OSError):  # the current directory may be gone
        return file.stem if file.resolve().parent == Path.cwd() else str(file)
    return None
