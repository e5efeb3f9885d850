"""Pages from elsewhere: `module:blueprint`, as `ITEMSAPI_BLUEPRINTS` names them.

They are looked for where Python looks, and at last in the current directory: a console script does
not have it on its path. It stands last and only while a page is imported, so that what lies there
takes the place of nothing that is installed. Whoever may write there can still put a page there
that is named and not installed, so it must be the operator's alone; Python's own safe path
(`python -P`, `PYTHONSAFEPATH`) turns it off.
"""

import importlib
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import flask

from itemsapi.settings import SettingsError


def load_blueprints(names: Iterable[str]) -> list[flask.Blueprint]:
    """Import the named blueprints. Raises `SettingsError` with one line that names the entry."""
    with _current_directory():
        return [_load(name) for name in names]


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
    module, _, attribute = name.partition(":")
    try:
        page = getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError as error:
        where = "neither installed nor in the current directory"
        words = f"ITEMSAPI_BLUEPRINTS: cannot import {name!r}: {error}, {where}"
        raise SettingsError(words) from error
    except (ImportError, AttributeError, ValueError) as error:
        raise SettingsError(f"ITEMSAPI_BLUEPRINTS: cannot import {name!r}: {error}") from error
    if not isinstance(page, flask.Blueprint):
        raise SettingsError(
            f"ITEMSAPI_BLUEPRINTS: {name!r} is no blueprint; write module:blueprint"
        )
    return page
