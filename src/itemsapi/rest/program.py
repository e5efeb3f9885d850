"""How the commands are called for the application that serves the current request.

A server process knows its application as an object. The commands need its name: that of a variable
in a module, or of a factory that Flask finds by itself.
"""

import inspect
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from flask import Flask, current_app, has_request_context

PROGRAM = "itemsapi.program"  # the extension
ITEMS_API = "itemsapi"  # the import name of the application of `create_app`
FACTORIES = ("create_app", "make_app")  # `flask --app MODULE` calls them


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
    path = next(_paths_of_variables(app), None) or _path_of_factory(app)
    if path is None:
        return "itemsapi" if app.import_name == ITEMS_API else None
    return f"itemsapi --app {shlex.quote(path)}"


def _paths_of_variables(app: Flask) -> Iterator[str]:
    """Yield `MODULE:NAME` of the variables that are the application, its own module first."""
    for name in dict.fromkeys([app.import_name, "__main__", *sys.modules]):
        if name.partition(".")[0] == ITEMS_API:
            continue
        module = sys.modules.get(name)
        for variable, value in list(getattr(module, "__dict__", {}).items()):
            if value is app:
                yield f"{_importable_name(name)}:{variable}"


def _path_of_factory(app: Flask) -> str | None:
    """Return the module of the application if Flask can call a factory in it."""
    module = sys.modules.get(app.import_name)
    factories = (getattr(module, name, None) for name in FACTORIES)
    found = app.import_name != ITEMS_API and any(map(_needs_no_argument, factories))
    return _importable_name(app.import_name) if found else None


def _needs_no_argument(factory: object) -> bool:
    if not inspect.isfunction(factory):
        return False
    parameters = inspect.signature(factory).parameters.values()
    optional = {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}
    return all(one.default is not one.empty or one.kind in optional for one in parameters)


def _importable_name(name: str) -> str:
    """Return the name of a module for another process: that of `__main__`, or its file."""
    module = sys.modules[name]
    if name != "__main__":
        return name
    if module.__spec__ is not None:
        return module.__spec__.name
    return _relative_to_here(module)


def _relative_to_here(module: ModuleType) -> str:
    file = Path(module.__file__ or "")
    return file.stem if file.resolve().parent == Path.cwd() else str(file)
