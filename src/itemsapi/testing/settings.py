"""Settings for an application under test."""

import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from itemsapi.settings import Settings

CHEAP_ARGON2_MEMORY = 64  # KiB
CHEAP_ARGON2_TIME = 1
_OF_AN_OPERATOR = (Settings.argon2_memory, Settings.argon2_time)
_OF_A_TEST = (CHEAP_ARGON2_MEMORY, CHEAP_ARGON2_TIME)


@dataclass(frozen=True, kw_only=True)
class TestingSettings(Settings):
    """Settings with cheap password hashing, which no environment variable can set."""

    __test__ = False  # not a class of tests, for pytest

    def __post_init__(self) -> None:
        """Check the settings as usual, then make the hashing cheap unless a test chose its own."""
        is_cheap = (self.argon2_memory, self.argon2_time) in {_OF_AN_OPERATOR, _OF_A_TEST}
        if is_cheap:
            self._set_hashing(*_OF_AN_OPERATOR)
        super().__post_init__()
        if is_cheap:
            self._set_hashing(*_OF_A_TEST)

    def _set_hashing(self, memory: int, time: int) -> None:
        object.__setattr__(self, "argon2_memory", memory)
        object.__setattr__(self, "argon2_time", time)


def testing_settings(folder: Path, **changes: Any) -> Settings:
    """Return development settings for a test, with a SQLite file in `folder`.

    The secret key is a new one, passwords are hashed cheaply, and requests are not limited.
    `changes` are fields of `Settings`. Raise `SettingsError` for a wrong one.
    """
    defaults: dict[str, Any] = {"secret_key": secrets.token_urlsafe(48), "rate_limit": None}
    return TestingSettings(data_dir=folder, **defaults | changes)


testing_settings.__test__ = False  # type: ignore[attr-defined]  # its name looks like a test's
