"""How passwords are stored and checked, without a database."""

from dataclasses import replace

import pytest
from argon2 import PasswordHasher, extract_parameters
from argon2.exceptions import VerificationError, VerifyMismatchError
from argon2.low_level import Type, error_to_str

from itemsapi.accounts import passwords as passwords_module
from itemsapi.accounts.hashing_queue import HashingQueue
from itemsapi.accounts.passwords import (
    MAX_CONCURRENT_HASHES,
    MAX_WAITING_HASHES,
    PasswordService,
    make_temporary_password,
)
from itemsapi.problems import Busy
from itemsapi.settings import Settings
from support.password_counter import count_verifications

WITHIN = 60.0  # seconds that anything here may take on a busy machine
SETTINGS = Settings(secret_key="t3st-only-0123456789-abcdefghijklmnopqrstuvwxyz")


@pytest.fixture
def passwords() -> PasswordService:
    """Passwords as by default."""
    return PasswordService(SETTINGS)


def test_they_are_stored_as_argon2id_as_owasp_has_it(passwords: PasswordService) -> None:
    """19 MiB, two passes, one lane (S-047)."""
    found = extract_parameters(passwords.hash("x"))
    assert found.type is Type.ID
    assert (found.memory_cost, found.time_cost, found.parallelism) == (19456, 2, 1)


def test_nothing_is_cut(passwords: PasswordService) -> None:
    """A 73rd byte counts, as bcrypt's does not (S-040)."""
    assert not passwords.matches("x" * 73, passwords.hash("x" * 72))


@pytest.mark.parametrize("other", ["Correct horse", "correct horse ", "correct  horse"])
def test_case_and_spaces_count(passwords: PasswordService, other: str) -> None:
    """Nothing is folded (S-040)."""
    assert not passwords.matches(other, passwords.hash("correct horse"))


def test_one_typed_on_another_keyboard_matches(passwords: PasswordService) -> None:
    """NFC makes both spellings of an accent one (RFC 8265 section 4.2)."""
    assert passwords.matches("\N{LATIN SMALL LETTER E WITH ACUTE}", passwords.hash("e\u0301"))


def test_no_password_matches_where_there_is_no_user(passwords: PasswordService) -> None:
    """The decoy opens nothing (S-184)."""
    assert not passwords.matches("", None)


@pytest.mark.parametrize("stored", ["", "x", "$argon2id$v=19$m=1,t=1,p=1$", "plain"])
def test_a_broken_hash_matches_nothing(passwords: PasswordService, stored: str) -> None:
    """A poisoned row fails closed (R-29)."""
    assert not passwords.matches(stored, stored)


def test_other_parameters_make_a_hash_outdated(passwords: PasswordService) -> None:
    """So that sign-in renews it (S-047)."""
    other = PasswordService(replace(SETTINGS, argon2_time=3))
    assert passwords.needs_rehash(other.hash("x"))
    assert not other.needs_rehash(other.hash("x"))


def test_one_time_passwords_have_128_bits() -> None:
    """32 hexadecimal digits, none twice."""
    made = {make_temporary_password() for _ in range(1000)}
    assert len(made) == 1000
    assert {len(password) for password in made} == {32}


@pytest.mark.parametrize("space", ["\u00a0", "\u3000", "\u2009", "\u202f", "\u1680", "\u205f"])
def test_a_space_of_another_kind_is_a_space(passwords: PasswordService, space: str) -> None:
    """Input methods write U+3000, some keyboards NBSP (RFC 8265 section 4.2.2)."""
    assert passwords.matches(f"correct{space}horse", passwords.hash("correct horse"))
    assert passwords.matches("correct horse", passwords.hash(f"correct{space}horse"))


@pytest.mark.parametrize("other", ["\u200b", "\t", "\u2028", "_"])
def test_what_is_no_space_is_none(passwords: PasswordService, other: str) -> None:
    """Category Zs alone is mapped (RFC 8265 section 4.2.2)."""
    assert not passwords.matches(f"correct{other}horse", passwords.hash("correct horse"))


def test_the_normal_form_is_counted(passwords: PasswordService) -> None:
    """256 letters that are written as 512 code points are 256 (S-040)."""
    assert passwords.matches("e\u0301" * 256, passwords.hash("\u00e9" * 256))
    assert not passwords.matches("x" * 257, passwords.hash("x" * 257))


@pytest.fixture
def full(passwords: PasswordService, monkeypatch: pytest.MonkeyPatch) -> PasswordService:
    """Passwords for which there is no place."""
    monkeypatch.setattr(passwords, "_queue", HashingQueue(max_running=0, max_waiting=0))
    return passwords


def test_nothing_is_begun_when_all_places_are_taken(full: PasswordService) -> None:
    """Not even a try is counted (S-048)."""
    with pytest.raises(Busy):
        full.require_capacity()


def test_neither_is_anything_checked_or_hashed(full: PasswordService) -> None:
    """A crowd is turned away at once (S-048, R-13)."""
    for job in (lambda: full.hash("x"), lambda: full.matches("x", None)):
        with pytest.raises(Busy):
            job()


def test_one_hash_is_at_work_and_two_wait() -> None:
    """More would hold the server's threads (S-048, R-13)."""
    assert (MAX_CONCURRENT_HASHES, MAX_WAITING_HASHES) == (1, 2)


def test_nobody_waits_for_ever(passwords: PasswordService, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whose turn does not come is turned away."""
    monkeypatch.setattr("itemsapi.accounts.passwords.HASH_WAIT_SECONDS", 0.01)
    monkeypatch.setattr(passwords, "_queue", HashingQueue(max_running=0, max_waiting=1))
    with pytest.raises(Busy):
        passwords.hash("x")
    passwords.require_capacity()


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is verified, by its parameters."""
    return count_verifications(monkeypatch)


def today(passes: int) -> str:
    """Return what a password begins with that was hashed with so many passes."""
    return f"$argon2id$v=19$m=19456,t={passes},p=1"


def test_an_unknown_user_costs_a_hash(passwords: PasswordService, work: list[str]) -> None:
    """S-184: as much as a known one."""
    passwords.matches("x", None)
    assert work == [today(2)]


def test_a_decoy_does_the_work(passwords: PasswordService) -> None:
    """S-184: what no password matches is computed to the end, not refused for its form."""
    (decoy,) = passwords._decoys.values()  # noqa: SLF001 - there is nothing else to look at
    with pytest.raises(VerifyMismatchError):
        PasswordHasher().verify(decoy, "x")


def test_each_set_of_parameters_in_use_is_worked_through(work: list[str]) -> None:
    """S-113: for old, new and unknown users alike."""
    new, old = PasswordService(replace(SETTINGS, argon2_time=3)), PasswordService(SETTINGS)
    new.refresh_parameters(lambda: [today(2), "$argon2i$v=19$m=1,t=1,p=1", "rubbish"])
    for stored in (old.hash("x"), new.hash("x"), None):
        new.matches("x", stored)
    assert [sorted(work[at : at + 2]) for at in (0, 2, 4)] == [[today(2), today(3)]] * 3
    assert len(work) == 6


def test_parameters_that_are_met_first_in_a_sign_in_count_from_then_on(work: list[str]) -> None:
    """S-113: another process may have stored them meanwhile."""
    new, other = PasswordService(SETTINGS), PasswordService(replace(SETTINGS, argon2_time=3))
    assert new.matches("x", other.hash("x"))
    work.clear()
    new.matches("x", None)
    assert sorted(work) == [today(2), today(3)]


def test_four_sets_of_parameters_at_most_are_worked_through(work: list[str]) -> None:
    """A sign-in's work is bounded (S-048); who is beyond them still gets in."""
    passwords, other = PasswordService(SETTINGS), PasswordService(replace(SETTINGS, argon2_time=9))
    passwords.refresh_parameters(lambda: [today(passes) for passes in range(2, 8)])
    passwords.matches("x", None)
    assert sorted(work) == [today(passes) for passes in (2, 3, 4, 5)]
    assert passwords.matches("x", other.hash("x"))


def test_parameters_are_looked_for_once_an_hour(passwords: PasswordService) -> None:
    """Not at every sign-in."""
    looks: list[str] = []

    def look() -> list[str]:
        looks.append("a look")
        return []

    for _ in range(3):
        passwords.refresh_parameters(look)
    assert looks == ["a look"]


def test_parameters_that_are_met_during_a_look_are_not_forgotten(work: list[str]) -> None:
    """S-113: what the look does not tell, or was not there yet when it began."""
    new, other = PasswordService(SETTINGS), PasswordService(replace(SETTINGS, argon2_time=3))
    stored = other.hash("x")

    def look() -> list[str]:
        new.matches("x", stored)
        return [today(4)]

    new.refresh_parameters(look)
    work.clear()
    new.matches("x", None)
    assert sorted(work) == [today(2), today(3), today(4)]


def test_parameters_go_once_nothing_is_stored_with_them(
    work: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After an hour in which no sign-in met them and a look that did not find them."""
    new, other = PasswordService(SETTINGS), PasswordService(replace(SETTINGS, argon2_time=3))
    monkeypatch.setattr(passwords_module, "PARAMETERS_RELOAD_SECONDS", 0.0)
    new.matches("x", other.hash("x"))
    for _ in range(2):
        new.refresh_parameters(list)
    work.clear()
    new.matches("x", None)
    assert work == [today(2)]


def test_of_two_that_look_at_once_one_is_heard(passwords: PasswordService, work: list[str]) -> None:
    """The other saw no more, and would forget what was met in between."""

    def look() -> list[str]:
        passwords.refresh_parameters(lambda: [today(4)])
        return [today(5)]

    passwords.refresh_parameters(look)
    passwords.matches("x", None)
    assert sorted(work) == [today(2), today(4)]


def test_a_machine_without_memory_is_no_wrong_password(
    passwords: PasswordService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R-23: 503, and not 401, of which some would lock the owner out."""

    def exhausted(*_: object) -> bool:
        raise VerificationError(error_to_str(-22))

    monkeypatch.setattr("argon2.PasswordHasher.verify", exhausted, raising=True)
    stored = passwords.hash("x")
    with pytest.raises(Busy, match="Try again"):
        passwords.matches("x", stored)
