"""Which password hashes the sessions of a user belong to, without a database."""

import pytest

from itemsapi.accounts.user_state import MAX_DIGESTS, UserState, digest
from itemsapi.accounts.users import fold_username

OLD, NEW, OTHER = (digest(text) for text in ("old", "new", "other"))


def test_every_hash_is_known_before_the_first_sign_in() -> None:
    """There is no session yet."""
    assert UserState().knows_password("old")


@pytest.mark.parametrize(("stored", "is_known"), [("old", True), ("new", False), (None, False)])
def test_only_remembered_hashes_are_known(stored: str | None, is_known: bool) -> None:
    """A user whose password was removed has none."""
    assert UserState(password_digests=(OLD,)).knows_password(stored) is is_known


def test_a_user_without_a_password_has_a_digest_of_their_own() -> None:
    """Such as one who signs in elsewhere."""
    assert UserState(password_digests=(digest(None),)).knows_password(None)


@pytest.mark.parametrize(
    ("before", "replacement", "after"),
    [
        (None, None, (OLD,)),
        (None, "new", (OLD, NEW)),
        ((OLD,), None, (OLD,)),
        ((OLD,), "new", (OLD, NEW)),
        ((OLD, OTHER), None, (OLD, OTHER)),  # another sign-in is about to replace it
        ((OLD, OTHER), "new", (OLD, OTHER, NEW)),
        ((OTHER, OLD), None, (OLD,)),  # it was replaced
        ((OTHER,), None, (OLD,)),  # the application set another password
        ((OTHER,), "new", (OLD, NEW)),
    ],
)
def test_a_sign_in_remembers_its_hash_and_the_next_one(
    before: tuple[str, ...] | None, replacement: str | None, after: tuple[str, ...]
) -> None:
    """And those that other sign-ins at the same time are about to store."""
    state = UserState(password_digests=before)
    assert state.digests_after_sign_in("old", replacement) == after


def test_few_hashes_are_remembered() -> None:
    """However often a replacement fails; the current one and the newest stay."""
    state = UserState()
    for number in range(20):
        state = UserState(password_digests=state.digests_after_sign_in("old", f"new {number}"))
    digests = state.password_digests or ()
    assert (len(digests), digests[0], digests[-1]) == (MAX_DIGESTS, OLD, digest("new 19"))


@pytest.mark.parametrize(
    "spelling",
    ["GRACE", " grace ", "gr\u00e2ce", "gra\u0301ce", "\uff47race", "Gra\u00e7e", "gra\u00c7e"],
)
def test_spellings_that_a_collation_may_ignore_are_counted_as_one(spelling: str) -> None:
    """S-045: case, accents, width, and spaces at the end."""
    assert fold_username(spelling) == "grace"


def test_other_names_are_counted_apart() -> None:
    """Letters of any script."""
    names = ("grace", "grac", "\u0433\u0440\u0430\u0441", "stra\u00dfe", "\u5b57")
    assert len({fold_username(name) for name in names}) == len(names)
    assert fold_username("stra\u00dfe") == fold_username("STRASSE")
