"""The memory of exhausted keys is bounded."""

from datetime import UTC, datetime

import pytest

from itemsapi import exhausted_keys
from itemsapi.exhausted_keys import ExhaustedKeys

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def test_the_key_that_was_read_longest_ago_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """A flood of names takes no more memory than that; the database decides about the others."""
    monkeypatch.setattr(exhausted_keys, "MAX_KEYS", 2)
    keys = ExhaustedKeys()
    for key in ("one", "two", "one", "three"):
        keys.remember(key, NOW, NOW)
    assert [keys.started_at(key, NOW) for key in ("one", "two", "three")] == [NOW, None, NOW]
    assert len(keys) == 2
