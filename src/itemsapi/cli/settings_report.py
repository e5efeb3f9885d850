"""Every setting with its value and source; secrets are not shown."""

import dataclasses
import secrets
from collections.abc import Mapping
from datetime import timedelta

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from itemsapi.secret_key import is_kept_in
from itemsapi.settings import ENV_PREFIX, Settings

HIDDEN = "(hidden)"
PLACEHOLDER = "a placeholder that signs and encrypts nothing"  # of a secret key not made yet
URL_SETTINGS = {"database_url", "rate_limit_url"}  # only their passwords are secret


def settings_rows(settings: Settings, environ: Mapping[str, str]) -> list[dict[str, object]]:
    """Return all settings, sorted by name, as rows of `setting`, `value` and `source`."""
    fields = sorted(dataclasses.fields(settings), key=lambda field: field.name)
    return [
        {
            "setting": ENV_PREFIX + field.name.upper(),
            "value": _display_value(field, getattr(settings, field.name)),
            "source": _source(settings, field.name, environ),
        }
        for field in fields
    ]


def _display_value(field: "dataclasses.Field[object]", value: object) -> str:
    if value is None or value == ():
        return ""
    if field.name in URL_SETTINGS:
        return _without_password(str(value))
    if not field.repr:
        return HIDDEN if value else ""
    if isinstance(value, timedelta):
        return f"{value.total_seconds():.0f}s"
    return ", ".join(value) if isinstance(value, tuple) else str(value)


def _without_password(url: str) -> str:
    """Return a URL without its password; hide the whole URL if it cannot be parsed."""
    try:
        return make_url(url).render_as_string(hide_password=True)
    except (ArgumentError, ValueError):
        return HIDDEN


def is_placeholder(secret: str) -> bool:
    """Return whether a secret stands for a key that is not made yet."""
    return secrets.compare_digest(secret.encode(), PLACEHOLDER.encode())


def _source(settings: Settings, name: str, environ: Mapping[str, str]) -> str:
    if ENV_PREFIX + name.upper() in environ:
        return "environment"
    secret, file = settings.secret_key, settings.secret_file
    if name == "secret_key" and (is_placeholder(secret) or is_kept_in(file, secret)):
        return str(file)
    is_default = getattr(settings, name) == getattr(Settings(data_dir=settings.data_dir), name)
    return "default" if is_default else "application"
