"""Import what an operator names `module:attribute`: the blueprints in `ITEMSAPI_BLUEPRINTS`.

Modules are imported from Python's path, and then from the current directory, which a console script
does not have on its path. The directory is last on the path, and only during the import, so its
files replace no installed module. A user who can write there can still add a module that is named
but not installed, so only the operator may have write access. Python's safe path (`python -P`,
`PYTHONSAFEPATH`) disables the current directory.
"""

import importlib
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from operator import attrgetter

import flask

from itemsapi.rest.blueprint import DecoratorMisplaced
from itemsapi.settings import SettingsError


def load_blueprints(names: Iterable[str]) -> list[flask.Blueprint]:
    """Import the named blueprints, or raise `SettingsError` with one line that names the entry."""
    return [_load(name) for name in names]


def import_object(name: str, *, source: str) -> object:
    """Import `module:attribute`. Raise `SettingsError`, one line that begins with `source`."""
    module, _, attribute = name.partition(":")
    if not (module and attribute):
        raise SettingsError(f"{source}: {name!r} names no object; write it as MODULE:NAME")
    try:
        with _current_directory():
            return attrgetter(attribute)(importlib.import_module(module))
    except ModuleNotFoundError as error:
        reason = f"{error}, neither installed nor in the current directory"
        raise SettingsError(f"{source}: cannot import {name!r}: {reason}") from error
    except (ImportError, AttributeError, ValueError, DecoratorMisplaced) as error:
        raise SettingsError(f"{source}: cannot import {name!r}: {error}") from error


@contextmanager
def _current_directory() -> Iterator[None]:
    if sys.flags.safe_path or "" in sys.path:
        yield
        return
    sys.path.append("")
    try:
        yield
    finally:
        sys.path.remove("")


def _load(name: str) -> flask.Blueprint:
    blueprint = import_object(name, source="ITEMSAPI_BLUEPRINTS")
    if not isinstance(blueprint, flask.Blueprint):
        raise SettingsError(
            f"ITEMSAPI_BLUEPRINTS: {name!r} is not a blueprint; write module:blueprint"
        )
    return blueprint
