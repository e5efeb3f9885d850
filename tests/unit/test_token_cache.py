"""The cache of verified tokens: what it keeps, and what it forgets."""

import pytest

from itemsapi.gate import token_cache
from itemsapi.gate.token_cache import TokenCache


class Keys:
    """The version of the keys."""

    version = 1

    def __call__(self) -> int:
        """Return it."""
        return self.version


@pytest.fixture
def keys() -> Keys:
    """Return keys of version 1."""
    return Keys()


@pytest.fixture
def cache(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> TokenCache[str]:
    """Return an empty cache for four tokens."""
    monkeypatch.setattr(token_cache, "MAX_TOKENS", 4)
    return TokenCache(keys)


def remember(cache: TokenCache[str], *tokens: str) -> None:
    """Use tokens one after the other, as a gate does."""
    for token in tokens:
        entry, version = cache.get(token)
        if entry is None:
            cache.add(token, token.upper(), version)


def test_a_token_is_remembered(cache: TokenCache[str]) -> None:
    """Its signature is not verified again."""
    remember(cache, "a")
    assert cache.get("a")[0] == "A"


def test_all_tokens_are_forgotten_when_the_keys_change(cache: TokenCache[str], keys: Keys) -> None:
    """The key of a token may have been withdrawn."""
    remember(cache, "a")
    keys.version = 2
    assert cache.get("a")[0] is None


def test_a_token_is_not_remembered_when_the_keys_change_meanwhile(
    cache: TokenCache[str], keys: Keys
) -> None:
    """It was verified with keys that are gone now."""
    _, version = cache.get("a")
    keys.version = 2
    cache.get("b")
    cache.add("a", "A", version)
    assert cache.get("a")[0] is None


def test_tokens_in_use_stay_when_many_others_come(cache: TokenCache[str]) -> None:
    """Those of one request each are forgotten instead."""
    for number in range(20):
        remember(cache, "in use", f"once {number}")
    assert (cache.get("in use")[0], cache.get("once 0")[0]) == ("IN USE", None)


def test_memory_is_bounded_when_tokens_never_come_again(cache: TokenCache[str]) -> None:
    """At most as many are remembered as configured."""
    remember(cache, *(f"once {number}" for number in range(20)))
    assert not any(cache.get(f"once {number}")[0] for number in range(16))


def test_a_forgotten_token_is_verified_again(cache: TokenCache[str]) -> None:
    """It expired, or its session ended."""
    remember(cache, "a")
    cache.forget("a")
    assert cache.get("a")[0] is None


def test_a_token_is_forgotten_when_it_was_remembered_long_ago(cache: TokenCache[str]) -> None:
    """It is among the old ones, and its last use remembered it anew."""
    remember(cache, "a", "b", "c", "a")
    cache.forget("a")
    assert cache.get("a")[0] is None
