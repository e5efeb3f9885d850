"""How passwords are stored and checked, without a database."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from argon2 import extract_parameters
from argon2.exceptions import VerificationError
from argon2.low_level import Type, error_to_str

from itemsapi.accounts.passwords import AT_ONCE, WAITING, Passwords, one_time_password
from itemsapi.problems import Busy
from itemsapi.settings import Settings

WITHIN = 60.0  # seconds that anything here may take on a busy machine
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


class Crowd:
    """Threads that do a job at once; `found` tells what came of those that are through."""

    def __init__(self, size: int, job: Callable[[], object]) -> None:
        """Begin."""
        self.found: list[str] = []
        self.job, self.gate = job, threading.Barrier(size)
        self.threads = [threading.Thread(target=self.run) for _ in range(size)]
        for thread in self.threads:
            thread.start()

    def run(self) -> None:
        """Do it."""
        self.gate.wait()
        try:
            self.job()
            self.found.append("done")
        except Busy:
            self.found.append("busy")

    def through(self, count: int) -> list[str]:
        """Wait until so many are through."""
        ends = time.monotonic() + WITHIN
        while len(self.found) < count and time.monotonic() < ends:
            time.sleep(0.01)
        return list(self.found)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits for a turn waits long enough, however busy the machine is."""
    monkeypatch.setattr("itemsapi.accounts.passwords.PATIENCE", 2 * WITHIN)


@pytest.mark.usefixtures("patient")
def test_a_crowd_is_turned_away_at_once(passwords: Passwords) -> None:
    """One hash at work and two waiting; the rest would hold the server's threads (S-048, R-13).

    They are through while the one at work still is.
    """
    with passwords._place():  # noqa: SLF001 - a hash that takes as long as it is meant to
        crowd = Crowd(12, lambda: passwords.hash("x"))
        assert crowd.through(12 - WAITING) == ["busy"] * (12 - WAITING)
    assert crowd.through(12).count("done") == WAITING


def test_places_are_free_again_after_a_crowd(passwords: Passwords) -> None:
    """Nothing is lost when somebody is turned away."""
    Crowd(12, lambda: passwords.hash("x")).through(12)
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


def test_a_machine_without_memory_is_no_wrong_password(
    passwords: Passwords, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R-23: 503, and not 401, of which some would lock the owner out."""

    def exhausted(*_: object) -> bool:
        raise VerificationError(error_to_str(-22))

    monkeypatch.setattr("argon2.PasswordHasher.verify", exhausted, raising=True)
    stored = passwords.hash("x")
    with pytest.raises(Busy, match="Try again"):
        passwords.matches("x", stored)
