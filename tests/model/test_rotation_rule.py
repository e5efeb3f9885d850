"""The production rule of rotation keeps what the documents promise, in every state there is."""

from dataclasses import replace

import pytest

from model.honest import World
from model.properties import (
    CLAIRVOYANT,
    LOCKED_TABS,
    LOUD,
    MEETS_A_LOST_NOTE,
    NAMING_PROGRAM,
    NAMING_TABS,
    POLLING,
    PROGRAM,
    QUIET,
    TABS,
    both_holding,
    delayed,
    in_step,
    kept_out,
    kept_waiting,
    overlapping,
    signed_out,
    stuck,
    thief_holding,
    unnoticed,
    working_alone,
)
from model.rotation import PRODUCTION, WINDOW
from model.thieves import Thief

pytestmark = pytest.mark.slow  # what it finds is the same with each Python

THIEVES = {
    "quiet": QUIET,
    "loud": LOUD,
    "polling": POLLING,
    "clairvoyant": CLAIRVOYANT,
    "meets a lost note": MEETS_A_LOST_NOTE,
}


NOTED = [name for name, thief in THIEVES.items() if not thief.notes_lost]


def each(**worlds: list[World]) -> pytest.MarkDecorator:
    """Run a test in each world, which is named by its clients and their delays."""
    return pytest.mark.parametrize(
        "world",
        [
            pytest.param(one, id=f"{name}-{one.request}+{one.answer}")
            for name, alike in worlds.items()
            for one in alike
        ],
    )


within_the_window = each(
    program=[PROGRAM],
    locked_tabs=delayed(LOCKED_TABS, WINDOW),
    free_tabs=delayed(TABS, WINDOW),
    naming_program=[NAMING_PROGRAM],
    naming_tabs=[NAMING_TABS],
)
a_tick_beyond_it = each(
    program=[replace(PROGRAM, request=WINDOW + 1, answer=0)],
    locked_tabs=delayed(LOCKED_TABS, WINDOW + 1),
    free_tabs=delayed(TABS, WINDOW + 1),
)
thieves = pytest.mark.parametrize("thief", THIEVES.values(), ids=THIEVES)
attempts = pytest.mark.parametrize("attempts", [False, True], ids=["no ids", "attempt ids"])


@within_the_window
def test_no_honest_client_is_signed_out_within_the_window(world: World) -> None:
    """S-075: only requests of a program count; clients with attempt ids have no bound."""
    assert signed_out(PRODUCTION, [world]) == []


@a_tick_beyond_it
def test_a_client_may_be_signed_out_when_a_tick_is_added_to_the_window(world: World) -> None:
    """S-075: the bound is tight, however the delay is divided: the test above can fail."""
    assert signed_out(PRODUCTION, [world]) != []


@within_the_window
def test_every_client_makes_progress_when_its_requests_arrive(world: World) -> None:
    """S-075: it gets new tokens after the window, from every state of the session."""
    assert stuck(PRODUCTION, [world]) == []


def test_an_attempt_id_does_not_help_when_a_request_arrives_two_refreshes_later() -> None:
    """An id belongs to one refresh; the client refreshes again before the token expires."""
    restless = replace(NAMING_PROGRAM, rests=False)
    assert signed_out(PRODUCTION, [restless]) != []


@each(program=[PROGRAM], tabs=delayed(TABS, WINDOW))
def test_every_concurrent_request_with_the_same_token_gets_an_access_token(world: World) -> None:
    """S-062, R-11: no client waits, whether the winner has used its tokens or not."""
    assert kept_waiting(PRODUCTION, [world]) == []


def test_threads_that_store_the_presented_token_are_signed_out() -> None:
    """A library that fills in a missing refresh token overwrites the new one with the old one."""
    assert signed_out(PRODUCTION, [replace(LOCKED_TABS, fills_in=True)]) != []


@pytest.mark.parametrize("cure", [PROGRAM, NAMING_TABS], ids=["a lock", "attempt ids"])
def test_storing_the_presented_token_is_harmless_with(cure: World) -> None:
    """As above, with what the documentation advises."""
    assert signed_out(PRODUCTION, [replace(cure, fills_in=True)]) == []


@thieves
@attempts
def test_a_thief_has_one_access_token_at_most_beside_a_settled_victim(
    thief: Thief, attempts: bool
) -> None:
    """S-073: and only if it acts in the window."""
    assert overlapping(PRODUCTION, replace(thief, attempts=attempts)) == []


@thieves
@attempts
def test_thief_and_victim_cannot_both_go_on(thief: Thief, attempts: bool) -> None:
    """S-073: no cycle of refreshes and uses by both leads back to its start."""
    assert in_step(PRODUCTION, replace(thief, attempts=attempts)) == []


@pytest.mark.parametrize("name", NOTED)
def test_no_thief_works_for_long_while_the_victim_is_away(name: str) -> None:
    """S-073: it is detected when the victim returns, unless uses are never stored (S-074)."""
    assert working_alone(PRODUCTION, THIEVES[name]) == []


@pytest.mark.parametrize("name", NOTED)
def test_no_thief_works_forever_while_the_victim_has_to_retry(name: str) -> None:
    """S-061: a thief who rotates in each window is detected by the victim's next requests."""
    assert kept_out(PRODUCTION, THIEVES[name]) == []


@thieves
@attempts
def test_the_second_to_refresh_ends_the_session(thief: Thief, attempts: bool) -> None:
    """S-073: victim and thief never both have a refresh token that gets new tokens."""
    assert both_holding(PRODUCTION, replace(thief, attempts=attempts)) == []


@thieves
@attempts
def test_a_void_token_ends_the_session_when_it_is_presented_late(
    thief: Thief, attempts: bool
) -> None:
    """S-061: that of the victim, if the thief was faster, and any of the thief."""
    assert unnoticed(PRODUCTION, replace(thief, attempts=attempts)) == []


@thieves
@attempts
def test_no_copy_is_valid_when_the_victim_has_settled(thief: Thief, attempts: bool) -> None:
    """S-073: a copy can still heal only if the victim's use was not stored."""
    holding = thief_holding(PRODUCTION, replace(thief, attempts=attempts))
    assert bool(holding) == thief.notes_lost, holding
