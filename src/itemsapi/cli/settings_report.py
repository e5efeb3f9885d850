"""Every setting with its value and source; secrets are not shown."""

import dataclasses
from collections.abc import Mapping, Sequence

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from itemsapi.secret_key import is_kept_in, kept_secrets
from itemsapi.settings import ENV_PREFIX, Settings
from itemsapi.settings_parsing import format_value, parse_hops, parse_rate

HIDDEN = "(hidden)"
URL_SETTINGS = {"database_url", "rate_limit_url"}  # only their passwords are secret
SECRET_SETTINGS = ("secret_key", "secret_key_previous")  # in the order of `kept_secrets`
DEFAULT = "default"  # the source of a setting that nobody set
_NONE_TEXTS = {parse_rate: "off", parse_hops: "none"}

Row = dict[str, object]


def settings_rows(settings: Settings, environ: Mapping[str, str]) -> list[Row]:
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


def rows_of_set(rows: Sequence[Row]) -> list[Row]:
    """Return the rows of settings that are not left at their defaults."""
    return [row for row in rows if row["source"] != DEFAULT]


def _display_value(field: "dataclasses.Field[object]", value: object) -> str:
    """Return a value as one sets it, without a secret."""
    if field.name in URL_SETTINGS:
        return _without_password(str(value))
    if not field.repr:
        return HIDDEN if value else ""
    if value is None:
        return _NONE_TEXTS.get(field.metadata["parse"], "")
    return format_value(value)


def _without_password(url: str) -> str:
    """Return a URL without its password; hide the whole URL if it cannot be parsed."""
    try:
        return make_url(url).render_as_string(hide_password=True)
    except (ArgumentError, ValueError):
        return HIDDEN


def _source(settings: Settings, name: str, environ: Mapping[str, str]) -> str:
    if ENV_PREFIX + name.upper() in environ:
        return "environment"
    if name in SECRET_SETTINGS and (file := _file(settings, name)):
        return file
    is_default = getattr(settings, name) == getattr(Settings(data_dir=settings.data_dir), name)
    return DEFAULT if is_default else "application"


def _file(settings: Settings, name: str) -> str | None:
    """Return the file that a secret was read from; None if it is in none."""
    files = dict(zip(SECRET_SETTINGS, kept_secrets(settings), strict=False))
    file, secret = files.get(name, (settings.secret_file, ""))
    return str(file) if secret and is_kept_in(file, secret) else None
