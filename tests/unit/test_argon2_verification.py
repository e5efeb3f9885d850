"""Verification of Argon2id hashes in memory that is kept, compared with the library's own."""

from threading import Thread

import pytest
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError
from hypothesis import given
from hypothesis import strategies as st

from itemsapi.accounts import argon2_verification
from itemsapi.accounts.argon2_verification import KeptMemory, verify

CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
MEMORY = KeptMemory()


@given(
    password=st.text(max_size=40),
    passes=st.integers(1, 3),
    memory=st.integers(16, 200),
    lanes=st.integers(1, 2),
    lengths=st.tuples(st.integers(4, 70), st.integers(8, 40)),
)
def test_a_hash_of_the_library_is_verified_when_its_parameters_are_any(
    password: str, passes: int, memory: int, lanes: int, lengths: tuple[int, int]
) -> None:
    """S-047: after hashes of other sizes in the same memory, too."""
    hasher = PasswordHasher(passes, memory, lanes, *lengths)
    verify(MEMORY, hasher.hash(password), password)


@given(password=st.text(max_size=40), other=st.text(max_size=40))
def test_only_the_same_password_matches(password: str, other: str) -> None:
    """S-040."""
    stored, matches = CHEAP.hash(password), True
    try:
        verify(MEMORY, stored, other)
    except VerifyMismatchError:
        matches = False
    assert matches == (password == other)


def test_a_test_vector_of_libargon2_is_verified() -> None:
    """256 KiB, two passes, one lane (S-047)."""
    stored = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4"
    verify(MEMORY, stored, "password")


@pytest.mark.parametrize(
    "stored",
    [
        "$argon2i$v=19$m=8,t=1,p=1$c29tZXNhbHQ$nf65EOgLrQMR",
        "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$nf65EOgLrQMR\n",
        "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$n",
        "$argon2id$m=8,t=1,p=1$c29tZXNhbHQ$nf65EOgLrQMR",
    ],
)
def test_another_format_is_refused(stored: str) -> None:
    """A corrupted row fails closed (R-29)."""
    with pytest.raises(InvalidHashError):
        verify(MEMORY, stored, "password")


@pytest.mark.parametrize("costs", ["m=1,t=1,p=1", "m=8,t=0,p=1", "m=8,t=1,p=0"])
def test_the_message_of_the_library_is_raised_when_it_fails(costs: str) -> None:
    """R-23: it tells a busy machine from a wrong hash."""
    with pytest.raises(VerificationError, match=r"(?i)too"):
        verify(MEMORY, f"$argon2id$v=19${costs}$c29tZXNhbHQ$nf65EOgLrQMR", "password")


def test_no_memory_is_an_error_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """R-23: and the block that was asked for last is not needed for the next hash."""
    memory, stored = KeptMemory(), CHEAP.hash("x")

    def refuse(_size: int) -> bytearray:
        raise MemoryError

    monkeypatch.setattr(argon2_verification, "bytearray", refuse, raising=False)
    with pytest.raises(VerificationError, match="Memory allocation error"):
        verify(memory, stored, "x")
    monkeypatch.undo()
    verify(memory, stored, "x")


def test_the_next_hash_uses_the_same_memory() -> None:
    """The system has to clear no new pages."""
    memory, stored = KeptMemory(), CHEAP.hash("x")
    verify(memory, stored, "x")
    (block,) = memory.idle
    verify(memory, stored, "x")
    assert [each is block for each in memory.idle] == [True]


def test_the_memory_contains_nothing_after_a_hash() -> None:
    """S-047: neither the password nor what was computed of it."""
    memory = KeptMemory()
    verify(memory, CHEAP.hash("x"), "x")
    assert list(memory.idle) == [bytes(8 * 1024)]


def test_a_larger_hash_replaces_the_memory() -> None:
    """And a smaller one uses the larger block."""
    memory, larger = KeptMemory(), PasswordHasher(1, 64, 1)
    for hasher in (CHEAP, larger, CHEAP):
        verify(memory, hasher.hash("x"), "x")
    assert [len(block) for block in memory.idle] == [64 * 1024]


def test_a_very_large_block_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """`MAX_KEPT_BYTES`: one old hash does not enlarge a process for ever."""
    monkeypatch.setattr(argon2_verification, "MAX_KEPT_BYTES", 8 * 1024 - 1)
    memory = KeptMemory()
    verify(memory, CHEAP.hash("x"), "x")
    assert not memory.idle


def test_hashes_at_the_same_time_have_memory_of_their_own() -> None:
    """And one block of it is kept."""
    memory, stored = KeptMemory(), PasswordHasher(2, 1024, 1).hash("x")
    threads = [Thread(target=verify, args=(memory, stored, "x")) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(memory.idle) == 1
