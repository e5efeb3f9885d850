"""`testing_settings`: cheap and isolated settings, otherwise those of a service."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from itemsapi.settings import Settings, SettingsError
from itemsapi.testing import testing_settings


def hashing(settings: Settings) -> tuple[int, int]:
    """Return the cost of a hash: memory in KiB, and passes."""
    return settings.argon2_memory, settings.argon2_time


def test_hashing_is_cheap(tmp_path: Path) -> None:
    """Otherwise hashes take most of the time of a suite."""
    assert hashing(testing_settings(tmp_path)) == (64, 1)


def test_hashing_stays_cheap_when_another_setting_is_replaced(tmp_path: Path) -> None:
    """Settings are frozen: a test changes a copy."""
    assert hashing(replace(testing_settings(tmp_path), docs=False)) == (64, 1)


def test_hashing_of_the_test_is_kept(tmp_path: Path) -> None:
    """For a test of hashes with other parameters; what it does not name is cheap."""
    assert hashing(testing_settings(tmp_path, argon2_time=3)) == (64, 3)


def test_a_copy_keeps_the_hashing_of_the_test(tmp_path: Path) -> None:
    """The other value is cheap before and after."""
    settings = replace(testing_settings(tmp_path), argon2_time=3)
    assert hashing(replace(settings, docs=False)) == (64, 3)


def test_a_service_cannot_have_cheap_hashing() -> None:
    """Neither by a variable nor in code (S-040)."""
    with pytest.raises(SettingsError, match="OWASP"):
        Settings.from_environment({"ITEMSAPI_ARGON2_MEMORY": "64", "ITEMSAPI_ARGON2_TIME": "1"})


@pytest.mark.parametrize("changes", [{"access_ttl": 5}, {"public_url": "nowhere"}])
def test_wrong_settings_are_rejected(tmp_path: Path, changes: dict[str, Any]) -> None:
    """The checks are those of the service."""
    with pytest.raises((SettingsError, TypeError)):
        testing_settings(tmp_path, **changes)


def test_each_test_has_its_own_database_and_secret(tmp_path: Path) -> None:
    """A token of one test is worth nothing in another."""
    one, other = testing_settings(tmp_path / "a"), testing_settings(tmp_path / "b")
    assert one.database_url != other.database_url
    assert one.secret_key != other.secret_key
