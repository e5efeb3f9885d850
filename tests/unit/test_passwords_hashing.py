"""How passwords are hashed and verified, without a database."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace

import pytest
from argon2 import PasswordHasher, extract_parameters
from argon2.exceptions import HashingError, VerificationError, VerifyMismatchError
from argon2.low_level import Type, error_to_str

from itemsapi.accounts import passwords as passwords_module
from itemsapi.accounts.hashing_queue import HashingQueue
from itemsapi.accounts.passwords import PasswordService
from itemsapi.problems import Busy
from itemsapi.settings import Settings
from support.log_records import LogRecords
from support.password_counter import count_verifications

WITHIN = 60.0  # seconds that anything here may take on a busy machine
SETTINGS = Settings(secret_key="t3st-only-0123456789-abcdefghijklmnopqrstuvwxyz")


@pytest.fixture
def passwords() -> PasswordService:
    """The password service with default settings."""
    return PasswordService(SETTINGS)


def test_passwords_are_hashed_with_argon2id_and_owasp_parameters(
    passwords: PasswordService,
) -> None:
    """19 MiB, two passes, one lane (S-047)."""
    found = extract_parameters(passwords.hash("x"))
    assert found.type is Type.ID
    assert (found.memory_cost, found.time_cost, found.parallelism) == (19456, 2, 1)


def test_long_passwords_are_not_truncated(passwords: PasswordService) -> None:
    """The 73rd byte counts, unlike with bcrypt (S-040)."""
    assert not passwords.matches("x" * 73, passwords.hash("x" * 72))


@pytest.mark.parametrize("other", ["Correct horse", "correct horse ", "correct  horse"])
def test_case_and_spaces_are_significant(passwords: PasswordService, other: str) -> None:
    """Nothing is folded (S-040)."""
    assert not passwords.matches(other, passwords.hash("correct horse"))


def test_a_password_matches_in_another_unicode_form(passwords: PasswordService) -> None:
    """NFC unifies both forms of an accent (RFC 8265 section 4.2)."""
    assert passwords.matches("\N{LATIN SMALL LETTER E WITH ACUTE}", passwords.hash("e\u0301"))


def test_no_password_matches_an_unknown_user(passwords: PasswordService) -> None:
    """Nor does it match the decoy (S-184)."""
    assert not passwords.matches("", None)


@pytest.mark.parametrize("stored", ["", "x", "$argon2id$v=19$m=1,t=1,p=1$", "plain"])
def test_a_malformed_hash_matches_no_password(passwords: PasswordService, stored: str) -> None:
    """A corrupted row fails closed (R-29)."""
    assert not passwords.matches(stored, stored)


def test_a_hash_with_other_parameters_needs_a_rehash(passwords: PasswordService) -> None:
    """The next sign-in replaces it (S-047)."""
    other = PasswordService(replace(SETTINGS, argon2_time=3))
    assert passwords.needs_rehash(other.hash("x"), "x")
    assert not other.needs_rehash(other.hash("x"), "x")


@pytest.mark.parametrize("space", ["\u00a0", "\u3000", "\u2009", "\u202f", "\u1680", "\u205f"])
def test_every_kind_of_space_matches_a_space(passwords: PasswordService, space: str) -> None:
    """Input methods write U+3000, some keyboards NBSP (RFC 8265 section 4.2.2)."""
    assert passwords.matches(f"correct{space}horse", passwords.hash("correct horse"))
    assert passwords.matches("correct horse", passwords.hash(f"correct{space}horse"))


@pytest.mark.parametrize("other", ["\u200b", "\t", "\u2028", "_"])
def test_other_characters_do_not_match_a_space(passwords: PasswordService, other: str) -> None:
    """Only category Zs is mapped (RFC 8265 section 4.2.2)."""
    assert not passwords.matches(f"correct{other}horse", passwords.hash("correct horse"))


def test_the_length_is_that_of_the_normal_form(passwords: PasswordService) -> None:
    """256 letters written as 512 code points are 256 (S-040)."""
    assert passwords.matches("e\u0301" * 256, passwords.hash("\u00e9" * 256))
    assert not passwords.matches("x" * 257, passwords.hash("x" * 257))


@pytest.fixture
def passwords_when_full(
    passwords: PasswordService, monkeypatch: pytest.MonkeyPatch
) -> PasswordService:
    """The password service with a full queue."""
    monkeypatch.setattr(passwords, "_queue", HashingQueue(max_running=0, max_waiting=0))
    return passwords


def test_require_capacity_raises_busy_when_the_queue_is_full(
    passwords_when_full: PasswordService,
) -> None:
    """No attempt is counted (S-048)."""
    with pytest.raises(Busy):
        passwords_when_full.require_capacity()


def test_hash_and_matches_raise_busy_when_the_queue_is_full(
    passwords_when_full: PasswordService,
) -> None:
    """At once (S-048, R-13)."""
    for job in (
        lambda: passwords_when_full.hash("x"),
        lambda: passwords_when_full.matches("x", None),
    ):
        with pytest.raises(Busy):
            job()


def test_one_hash_runs_and_two_wait(passwords: PasswordService) -> None:
    """`MAX_CONCURRENT_HASHES`, `MAX_WAITING_HASHES`: more would block all threads (S-048, R-13)."""
    queue = passwords._queue  # noqa: SLF001 - its behaviour is tested in test_hashing_queue.py
    assert (queue._max_running, queue._max_waiting) == (1, 2)  # noqa: SLF001


def test_hash_raises_busy_when_no_slot_becomes_free(
    passwords: PasswordService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a limited time."""
    monkeypatch.setattr("itemsapi.accounts.passwords.HASH_WAIT_SECONDS", 0.01)
    monkeypatch.setattr(passwords, "_queue", HashingQueue(max_running=0, max_waiting=1))
    with pytest.raises(Busy):
        passwords.hash("x")
    passwords.require_capacity()


@pytest.fixture
def verified(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The parameters of all verified hashes."""
    return count_verifications(monkeypatch)


def parameters(passes: int) -> str:
    """Return the parameters of a hash with this number of passes."""
    return f"$argon2id$v=19$m=19456,t={passes},p=1"


def test_an_unknown_user_costs_one_verification(
    passwords: PasswordService, verified: list[str]
) -> None:
    """S-184: as much as a known user."""
    passwords.matches("x", None)
    assert verified == [parameters(2)]


def test_a_decoy_is_verified_completely(passwords: PasswordService) -> None:
    """S-184: it is not rejected for its format."""
    (decoy,) = passwords._decoys.values()  # noqa: SLF001 - there is nothing else to look at
    with pytest.raises(VerifyMismatchError):
        PasswordHasher().verify(decoy, "x")


def test_every_parameter_set_in_use_is_verified(verified: list[str]) -> None:
    """S-113: for old, new and unknown users alike."""
    new, old = PasswordService(replace(SETTINGS, argon2_time=3)), PasswordService(SETTINGS)
    new.refresh_parameters(lambda: [parameters(2), "$argon2i$v=19$m=1,t=1,p=1", "rubbish"])
    for stored in (old.hash("x"), new.hash("x"), None):
        new.matches("x", stored)
    assert [sorted(verified[at : at + 2]) for at in (0, 2, 4)] == [
        [parameters(2), parameters(3)]
    ] * 3
    assert len(verified) == 6


def test_parameters_seen_in_a_verification_are_used_from_then_on(verified: list[str]) -> None:
    """S-113: another process may have stored the hash."""
    new, other = PasswordService(SETTINGS), PasswordService(replace(SETTINGS, argon2_time=3))
    assert new.matches("x", other.hash("x"))
    verified.clear()
    new.matches("x", None)
    assert sorted(verified) == [parameters(2), parameters(3)]


def test_at_most_four_parameter_sets_are_verified(verified: list[str]) -> None:
    """The work of a sign-in is limited (S-048); users with a fifth set can still sign in."""
    passwords, other = PasswordService(SETTINGS), PasswordService(replace(SETTINGS, argon2_time=9))
    passwords.refresh_parameters(lambda: [parameters(passes) for passes in range(2, 8)])
    passwords.matches("x", None)
    assert sorted(verified) == [parameters(passes) for passes in (2, 3, 4, 5)]
    assert passwords.matches("x", other.hash("x"))


@pytest.mark.parametrize(("kinds", "warnings"), [(4, 0), (5, 1)])
def test_the_log_warns_when_more_kinds_are_in_use_than_are_verified(
    log_records: LogRecords, kinds: int, warnings: int
) -> None:
    """S-113: the time of a wrong password may tell then who is a user."""
    in_use = [parameters(passes) for passes in range(2, 2 + kinds)]
    PasswordService(SETTINGS).refresh_parameters(lambda: in_use)
    assert sum("many_kinds" in line for line in log_records.lines()) == warnings


def test_parameters_are_loaded_once_an_hour(passwords: PasswordService) -> None:
    """Not at every sign-in."""
    looks: list[str] = []

    def look() -> list[str]:
        looks.append("a look")
        return []

    for _ in range(3):
        passwords.refresh_parameters(look)
    assert looks == ["a look"]


def test_parameters_seen_while_loading_are_kept(verified: list[str]) -> None:
    """S-113: the query may have started before they were stored."""
    new, other = PasswordService(SETTINGS), PasswordService(replace(SETTINGS, argon2_time=3))
    stored = other.hash("x")

    def look() -> list[str]:
        new.matches("x", stored)
        return [parameters(4)]

    new.refresh_parameters(look)
    verified.clear()
    new.matches("x", None)
    assert sorted(verified) == [parameters(2), parameters(3), parameters(4)]


def test_parameters_are_dropped_when_no_hash_has_them(
    verified: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """When neither a sign-in nor the query finds them for an hour."""
    new, other = PasswordService(SETTINGS), PasswordService(replace(SETTINGS, argon2_time=3))
    monkeypatch.setattr(passwords_module, "PARAMETERS_RELOAD_SECONDS", 0.0)
    new.matches("x", other.hash("x"))
    for _ in range(2):
        new.refresh_parameters(list)
    verified.clear()
    new.matches("x", None)
    assert verified == [parameters(2)]


def test_the_slower_of_two_concurrent_loads_is_ignored(
    passwords: PasswordService, verified: list[str]
) -> None:
    """It would drop parameters seen in between."""

    def look() -> list[str]:
        passwords.refresh_parameters(lambda: [parameters(4)])
        return [parameters(5)]

    passwords.refresh_parameters(look)
    passwords.matches("x", None)
    assert sorted(verified) == [parameters(2), parameters(4)]


def test_matches_raises_busy_when_the_machine_has_no_memory(
    passwords: PasswordService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R-23: 503, not 401, which could lock the user out."""

    def exhausted(*_: object) -> bool:
        raise VerificationError(error_to_str(-22))

    monkeypatch.setattr("argon2.PasswordHasher.verify", exhausted, raising=True)
    stored = passwords.hash("x")
    with pytest.raises(Busy, match="Try again"):
        passwords.matches("x", stored)


@pytest.fixture
def cheap() -> PasswordService:
    """The password service with the cheapest parameters."""
    cheap = replace(SETTINGS)
    for name, value in (("argon2_memory", 8), ("argon2_time", 1)):
        object.__setattr__(cheap, name, value)
    return PasswordService(cheap)


@pytest.mark.parametrize(("seconds", "loads"), [(3599, 1), (3601, 2)])
def test_parameters_are_loaded_again_after_an_hour(
    cheap: PasswordService, monkeypatch: pytest.MonkeyPatch, seconds: float, loads: int
) -> None:
    """`PARAMETERS_RELOAD_SECONDS`: not earlier, the query reads thousands of rows (S-113)."""
    looks: list[str] = []

    def look() -> list[str]:
        looks.append("a look")
        return []

    for now in (1000.0, 1000.0 + seconds):
        clock = SimpleNamespace(monotonic=lambda now=now: now)
        monkeypatch.setattr(passwords_module, "time", clock)
        cheap.refresh_parameters(look)
    assert len(looks) == loads


def test_a_hash_waits_two_seconds_for_a_slot(
    cheap: PasswordService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`HASH_WAIT_SECONDS`, as the guide says (S-199)."""
    timeouts: list[float] = []

    queue = HashingQueue(max_running=1, max_waiting=0)

    @contextmanager
    def slot(client: str, timeout: float) -> Iterator[None]:
        timeouts.append(timeout)
        with HashingQueue.slot(queue, client, timeout):
            yield

    monkeypatch.setattr(queue, "slot", slot)
    monkeypatch.setattr(cheap, "_queue", queue)
    assert cheap.matches("x", cheap.hash("x"))
    assert timeouts == [2.0, 2.0]


@pytest.mark.parametrize("code", [-22, -33])
def test_hash_raises_busy_when_the_machine_has_no_memory_or_thread(
    cheap: PasswordService, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """`EXHAUSTION_ERRORS`: the client may try again (R-23)."""

    def exhausted(*_: object) -> str:
        raise HashingError(error_to_str(code))

    monkeypatch.setattr("argon2.PasswordHasher.hash", exhausted)
    with pytest.raises(Busy, match="Try again"):
        cheap.hash("x")


def test_hash_raises_any_other_error(
    cheap: PasswordService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is a fault of the program, not a busy machine."""

    def wrong(*_: object) -> str:
        raise HashingError(error_to_str(-14))

    monkeypatch.setattr("argon2.PasswordHasher.hash", wrong)
    with pytest.raises(HashingError):
        cheap.hash("x")


def test_a_hash_with_the_current_parameters_costs_one_verification(
    cheap: PasswordService, verified: list[str]
) -> None:
    """As for an unknown user, right or wrong (S-184)."""
    stored = cheap.hash("x")
    assert [cheap.matches(password, stored) for password in ("x", "y")] == [True, False]
    assert verified == ["$argon2id$v=19$m=8,t=1,p=1"] * 2


def test_a_too_long_password_costs_as_much_and_matches_nothing(
    cheap: PasswordService, verified: list[str]
) -> None:
    """Not even a hash of the empty one (S-040, S-184)."""
    assert not cheap.matches("x" * 257, cheap.hash(""))
    assert verified == ["$argon2id$v=19$m=8,t=1,p=1"]


def test_parameters_beyond_the_fourth_are_verified_only_with_their_own_hash(
    verified: list[str],
) -> None:
    """`MAX_PARAMETER_SETS`: the work of every other sign-in is limited (S-048)."""
    passwords = PasswordService(SETTINGS)
    passwords.refresh_parameters(lambda: [parameters(passes) for passes in (3, 4)])
    for passes in (5, 6):
        hashes = PasswordService(replace(SETTINGS, argon2_time=passes))
        assert passwords.matches("x", hashes.hash("x"))
    verified.clear()
    passwords.matches("x", None)
    assert sorted(verified) == [parameters(passes) for passes in (2, 3, 4, 5)]
