"""Given: every setting with its value and where that comes from; secrets are not shown."""

import dataclasses
from collections.abc import Mapping
from datetime import timedelta

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from itemsapi.settings import PREFIX, SECRET_FILE, Settings

HIDDEN = "(hidden)"
ADDRESSES = {"database_url", "rate_limit_url"}  # their passwords alone are secret


def every_setting(settings: Settings, environ: Mapping[str, str]) -> list[dict[str, object]]:
    """List the settings by name, as rows of `setting`, `value`, `source`."""
    fields = sorted(dataclasses.fields(settings), key=lambda field: field.name)
    return [
        {
            "setting": PREFIX + field.name.upper(),
            "value": _shown(field, getattr(settings, field.name)),
            "source": _source(settings, field.name, environ),
        }
        for field in fields
    ]


def _shown(field: "dataclasses.Field[object]", value: object) -> str:
    if value is None or value == ():
        return ""
    if field.name in ADDRESSES:
        return _without_password(str(value))
    if not field.repr:
        return HIDDEN if value else ""
    if isinstance(value, timedelta):
        return f"{value.total_seconds():.0f}s"
    return ", ".join(value) if isinstance(value, tuple) else str(value)


def _without_password(address: str) -> str:
    """Return an address to be shown; nothing of one that cannot be taken apart."""
    try:
        return make_url(address).render_as_string(hide_password=True)
    except (ArgumentError, ValueError):
        return HIDDEN


def _source(settings: Settings, name: str, environ: Mapping[str, str]) -> str:
    if PREFIX + name.upper() in environ:
        return "environment"
    if name == "secret_key":
        return str(settings.secret_key_file or settings.data_dir / SECRET_FILE)
    return "default"
