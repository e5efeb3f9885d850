"""Settings for an application under test."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from itemsapi.settings import Settings

CHEAP_HASHING = {"argon2_memory": 64, "argon2_time": 1}  # KiB, passes


@dataclass(frozen=True, kw_only=True)
class TestingSettings(Settings):
    """Settings with cheap password hashing, which no environment variable can set."""

    __test__ = False  # not a class of tests, for pytest

    def __post_init__(self) -> None:
        """Check the settings as usual, then make the hashing cheap where the test says nothing.

        A copy by `dataclasses.replace` begins with the cheap values, which the check would reject.
        """
        usual = {name: getattr(Settings, name) for name in CHEAP_HASHING}
        unset = {
            name: cheap
            for name, cheap in CHEAP_HASHING.items()
            if getattr(self, name) in {cheap, usual[name]}
        }
        self._set({name: usual[name] for name in unset})
        super().__post_init__()
        self._set(unset)

    def _set(self, values: Mapping[str, int]) -> None:
        for name, value in values.items():
            object.__setattr__(self, name, value)


def testing_settings(folder: Path, **changes: Any) -> Settings:
    """Return development settings for a test, with a SQLite file in `folder`.

    The secret key is a new one, passwords are hashed cheaply, and requests are not limited.
    `changes` are fields of `Settings`. Raise `SettingsError` for a wrong one.
    """
    defaults: dict[str, Any] = {"secret_key": secrets.token_urlsafe(48), "rate_limit": None}
    return TestingSettings(data_dir=folder, **defaults | changes)


testing_settings.__test__ = False  # type: ignore[attr-defined]  # its name looks like a test's
