"""The types of settings that code gives: `Settings(secret_key=...)`, without a parser."""

import dataclasses
import functools
from collections.abc import Hashable
from types import UnionType
from typing import Any, Literal, Union, cast, get_args, get_origin, get_type_hints

from itemsapi.settings_error import setting_error


def require_types(settings: object) -> None:
    """Raise `TypeError` for a value of another type than its field has.

    Raise `SettingsError` for a value that is none of the choices: `profile="prod"` would be no
    production.
    """
    for name, (types, choices) in _expected(cast("Hashable", type(settings))).items():
        value = getattr(settings, name)
        if not isinstance(value, types):
            wanted = " or ".join(each.__name__.replace("NoneType", "None") for each in types)
            found = type(value).__name__
            raise TypeError(f"Settings: {name}= is of the type {found}; give it as {wanted}")
        if choices and value not in choices:
            raise setting_error(name, f"must be one of {', '.join(choices)}")


@functools.cache
def _expected(kind: type) -> dict[str, tuple[tuple[type, ...], tuple[Any, ...]]]:
    """Return the types and the choices of each field; no choices if any value may be."""
    hints = get_type_hints(kind)
    return {
        field.name: (_types(hints[field.name]), _choices(hints[field.name]))
        for field in dataclasses.fields(kind)
    }


def _types(hint: Any) -> tuple[type, ...]:  # noqa: ANN401 - an annotation
    """Return the classes of the values that an annotation permits."""
    origin = get_origin(hint)
    if origin is Literal:
        return tuple({type(choice) for choice in get_args(hint)})
    if origin in {Union, UnionType}:
        return tuple(each for part in get_args(hint) for each in _types(part))
    return (origin or hint,)


def _choices(hint: Any) -> tuple[Any, ...]:  # noqa: ANN401 - an annotation
    return get_args(hint) if get_origin(hint) is Literal else ()
