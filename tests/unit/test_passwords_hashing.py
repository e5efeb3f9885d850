"""How passwords are stored and checked, without a database."""

import threading
from collections.abc import Callable
from dataclasses import replace

import pytest
from argon2 import extract_parameters
from argon2.low_level import Type

from itemsapi.accounts.passwords import AT_ONCE, WAITING, Passwords, one_time_password
from itemsapi.problems import Busy
from itemsapi.settings import Settings

SETTINGS = Settings(secret_key="t3st-only-0123456789-abcdefghijklmnopqrstuvwxyz")


@pytest.fixture(scope="module")
def passwords() -> Passwords:
    """Passwords as by default."""
    return Passwords(SETTINGS)


def test_they_are_stored_as_argon2id_as_owasp_has_it(passwords: Passwords) -> None:
    """19 MiB, two passes, one lane (S-047)."""
    found = extract_parameters(passwords.hash("x"))
    assert found.type is Type.ID
    assert (found.memory_cost, found.time_cost, found.parallelism) == (19456, 2, 1)


def test_nothing_is_cut(passwords: Passwords) -> None:
    """A 73rd byte counts, as bcrypt's does not (S-040)."""
    assert not passwords.matches("x" * 73, passwords.hash("x" * 72))


@pytest.mark.parametrize("other", ["Correct horse", "correct horse ", "correct  horse"])
def test_case_and_spaces_count(passwords: Passwords, other: str) -> None:
    """Nothing is folded (S-040)."""
    assert not passwords.matches(other, passwords.hash("correct horse"))


def test_one_typed_on_another_keyboard_matches(passwords: Passwords) -> None:
    """NFC makes both spellings of an accent one (RFC 8265 section 4.2)."""
    assert passwords.matches("\N{LATIN SMALL LETTER E WITH ACUTE}", passwords.hash("e\u0301"))


def test_no_password_matches_where_there_is_no_user(passwords: Passwords) -> None:
    """The decoy opens nothing (S-184)."""
    assert not passwords.matches("", None)


@pytest.mark.parametrize("stored", ["", "x", "$argon2id$v=19$m=1,t=1,p=1$", "plain"])
def test_a_broken_hash_matches_nothing(passwords: Passwords, stored: str) -> None:
    """A poisoned row fails closed (R-29)."""
    assert not passwords.matches(stored, stored)


def test_other_parameters_make_a_hash_outdated(passwords: Passwords) -> None:
    """So that sign-in renews it (S-047)."""
    other = Passwords(replace(SETTINGS, argon2_time=3))
    assert passwords.outdated(other.hash("x"))
    assert not other.outdated(other.hash("x"))


def test_one_time_passwords_have_128_bits() -> None:
    """32 hexadecimal digits, none twice."""
    made = {one_time_password() for _ in range(1000)}
    assert len(made) == 1000
    assert {len(password) for password in made} == {32}


def crowd(size: int, job: Callable[[], object]) -> list[str]:
    """Run a job in so many threads at once; return what came of each."""
    gate, found = threading.Barrier(size), []

    def run() -> None:
        gate.wait()
        try:
            job()
            found.append("done")
        except Busy:
            found.append("busy")

    threads = [threading.Thread(target=run) for _ in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def test_a_crowd_is_turned_away_at_once() -> None:
    """One hash at work and two waiting; the rest would hold the server's threads (S-048, R-13)."""
    slow = Passwords(replace(SETTINGS, argon2_time=20))
    outcome = crowd(12, lambda: slow.hash("x"))
    assert outcome.count("done") >= 3
    assert outcome[0] == "busy"


def test_places_are_free_again_after_a_crowd(passwords: Passwords) -> None:
    """Nothing is lost when somebody is turned away."""
    crowd(12, lambda: passwords.hash("x"))
    passwords.refuse_if_full()
    assert passwords.hash("x")


@pytest.fixture
def full() -> Passwords:
    """Passwords of which as many are being checked as may be."""
    passwords = Passwords(SETTINGS)
    for _ in range(AT_ONCE + WAITING):
        passwords._places.acquire()  # noqa: SLF001 - a crowd that stays
    return passwords


def test_nothing_is_begun_when_all_places_are_taken(full: Passwords) -> None:
    """Not even a try is counted (S-048)."""
    with pytest.raises(Busy):
        full.refuse_if_full()


def test_nobody_waits_for_ever(passwords: Passwords, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whose turn does not come gives their place back."""
    monkeypatch.setattr("itemsapi.accounts.passwords.PATIENCE", 0.01)
    with passwords._turn, pytest.raises(Busy):  # noqa: SLF001 - a hash that takes its time
        passwords.hash("x")
    assert passwords.hash("x")
