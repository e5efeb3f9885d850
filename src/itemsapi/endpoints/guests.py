"""Pages from elsewhere: `module:blueprint`, as `ITEMSAPI_PAGES` names them."""

import importlib
from collections.abc import Iterable

import flask

from itemsapi.settings import SettingsError


def load_pages(names: Iterable[str]) -> list[flask.Blueprint]:
    """Import the named blueprints. Raises `SettingsError` with one line that names the entry."""
    return [_load(name) for name in names]


def _load(name: str) -> flask.Blueprint:
    module, _, attribute = name.partition(":")
    try:
        page = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise SettingsError(f"ITEMSAPI_PAGES: cannot import {name!r}: {error}") from error
    if not isinstance(page, flask.Blueprint):
        raise SettingsError(f"ITEMSAPI_PAGES: {name!r} is no blueprint; write module:blueprint")
    return page
