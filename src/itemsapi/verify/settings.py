"""The settings of a run: who signs in, what may be changed, what is public on purpose.

All of it can stand in `verify.toml`. The file is read strictly: an unknown key or a value of the
wrong type is an error that names the key, because a setting that is not read proves nothing.
"""

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from fnmatch import fnmatchcase
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin

from itemsapi.verify.failures import CannotVerify

Settings = TypeVar("Settings", bound="VerifySettings | Values | LoginRequest")


@dataclass(frozen=True, slots=True)
class Values:
    """Values for the request of one operation, where the document does not say enough."""

    path: dict[str, object] = field(default_factory=dict)
    query: dict[str, object] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    body: object = None


@dataclass(frozen=True, slots=True)
class LoginRequest:
    """How the service takes a password, and where its response has the tokens.

    `path` None: find the operation in the document. `scope` "" sends no scopes.
    """

    path: str | None = None
    format: str | None = None
    username: str | None = None
    password: str = "password"  # noqa: S105 - the name of a field
    scope: str = "scope"


@dataclass(frozen=True, slots=True)
class VerifySettings:
    """The settings of a run, with the names that they have in `verify.toml`.

    `public` and `shared` are labels (`GET /items/{id}`) or patterns of them (`GET /docs*`); `skip`
    is such a label or pattern and the reason, `scopes` one and what the operation needs where the
    document does not say it. `revocation_lag` is in seconds. The user gets
    `extra_scopes` beside those of the document; the other user gets no `cross_user_scopes`, with
    which one may reach everybody's objects.
    """

    login: str | None = None
    other: str | None = None
    token_command: str | None = None
    write: bool = False
    base_path: str | None = None
    logout: str | None = None
    revocation_lag: float = 1.0
    extra_scopes: list[str] = field(default_factory=list)
    cross_user_scopes: list[str] = field(default_factory=list)
    public: list[str] = field(default_factory=list)
    shared: list[str] = field(default_factory=list)
    skip: dict[str, str] = field(default_factory=dict)
    scopes: dict[str, list[str]] = field(default_factory=dict)
    login_request: LoginRequest = field(default_factory=LoginRequest)
    values: dict[str, Values] = field(default_factory=dict)

    def is_public(self, label: str) -> bool:
        """Whether an operation is public on purpose."""
        return matches(label, self.public)

    def is_shared(self, label: str) -> bool:
        """Whether other users may reach an object of this operation on purpose."""
        return matches(label, self.shared)

    def skip_reason(self, label: str) -> str | None:
        """Return why an operation is left out; None if it is not."""
        return next((why for name, why in self.skip.items() if matches(label, [name])), None)

    def scopes_for(self, label: str) -> list[str] | None:
        """Return the scopes that an operation needs; None if the settings do not say it."""
        return next((names for name, names in self.scopes.items() if matches(label, [name])), None)

    def values_for(self, label: str) -> Values:
        """Return the values given for an operation."""
        return self.values.get(label, Values())


def matches(label: str, patterns: list[str]) -> bool:
    """Whether a label is one of the patterns; `*` stands for any text."""
    return any(label == pattern or fnmatchcase(label, pattern) for pattern in patterns)


def read_settings(file: Path) -> VerifySettings:
    """Read `verify.toml`; raise `CannotVerify` with the key that is wrong."""
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise CannotVerify(f"{file}: {error.strerror}") from error
    except ValueError as error:
        raise CannotVerify(f"{file}: {error}") from error
    return parse_settings(content, str(file))


def parse_settings(content: Mapping[str, object], file: str = "verify.toml") -> VerifySettings:
    """Return the settings of a parsed file; raise `CannotVerify` with the key that is wrong."""
    plain = {name: value for name, value in content.items() if name != "values"}
    parsed: VerifySettings = _parse(VerifySettings, plain, file, "")
    values = content.get("values", {})
    if not isinstance(values, dict):
        raise CannotVerify(f'{file}: values must be tables such as [values."POST /items"]')
    return replace(
        parsed,
        values={
            label: _parse(Values, part, file, f"values.{label}.") for label, part in values.items()
        },
    )


def _parse(kind: type[Settings], content: object, file: str, prefix: str) -> Settings:
    if not isinstance(content, dict):
        raise CannotVerify(f"{file}: {prefix.rstrip('.')} must be a table")
    known = {item.name: item for item in fields(kind)}
    for name in content:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {close[0]}?" if close else ""
            raise CannotVerify(f"{file}: {prefix}{name} is not a setting{hint}")
    checked: dict[str, Any] = {
        name: _checked(value, known[name].type, file, prefix + name)
        for name, value in content.items()
    }
    return kind(**checked)


def _checked(value: object, wanted: object, file: str, name: str) -> object:
    if wanted is LoginRequest:
        return _parse(LoginRequest, value, file, f"{name}.")
    if not _fits(value, wanted):
        raise CannotVerify(f"{file}: {name} must be {_TYPE_NAMES[wanted]}")
    return value


def _fits(value: object, wanted: object) -> bool:
    if wanted is object:
        return True
    if isinstance(wanted, UnionType):
        return any(_fits(value, part) for part in get_args(wanted))
    if get_origin(wanted) is list:
        return isinstance(value, list) and all(isinstance(part, str) for part in value)
    if get_origin(wanted) is dict:
        return isinstance(value, dict) and all(
            _fits(part, get_args(wanted)[1]) for part in value.values()
        )
    if wanted is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0
    return isinstance(wanted, type) and isinstance(value, wanted)


_TYPE_NAMES: Mapping[object, str] = {
    str: "text",
    str | None: "text",
    bool: "true or false",
    float: "a number of seconds, 0 or more",
    list[str]: "a list of texts",
    dict[str, str]: "a table of texts",
    dict[str, list[str]]: "a table of lists of texts",
    dict[str, object]: "a table",
}
