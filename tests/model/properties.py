"""The properties of a rule.

Each property is a function that searches for a violation and returns the shortest path to one as a
list of steps; the list is empty if the property is true in every state.
"""

from collections.abc import Iterable
from dataclasses import replace
from functools import cache, partial

from itemsapi.tokens.rotation import RotationOutcome
from model.honest import Client, World, refused, stays_out
from model.rotation import WINDOW, Rule
from model.search import Search, rounds
from model.thieves import ALONE, BOUND, EVER, LIFE, THIEF_USES, TICK, Theft, Thief

PROGRAM = World(request=WINDOW, answer=2 * WINDOW, abandons=True)
TABS = World(request=0, answer=0)  # without a lock, with reloads; the last Set-Cookie wins
LOCKED_TABS = replace(TABS, rests=True)
LONG = WINDOW + 2  # a delay well beyond the window
NAMING_PROGRAM = World(request=LONG, answer=LONG, abandons=True, rests=True, attempts=True)
NAMING_TABS = World(request=LONG, answer=LONG, rests=True, attempts=True)

QUIET = Thief(windows=False, uses=False)
LOUD = Thief(windows=False)
POLLING = Thief(polls=True)
CLAIRVOYANT = Thief()
MEETS_A_LOST_NOTE = Thief(notes_lost=True)


def delayed(world: World, total: int) -> list[World]:
    """Divide a total delay between request and response in every way."""
    return [replace(world, request=part, answer=total - part) for part in range(total + 1)]


def lives(world: World, rule: Rule) -> Search[Client]:
    """Search the states of an honest client."""
    return Search(Client(), replace(world, rule=rule).steps)


@cache  # four properties use it
def thefts(thief: Thief) -> Search[Theft]:
    """Search the states of a session that has a thief."""
    return Search(Theft(), thief.steps)


def signed_out(rule: Rule, worlds: Iterable[World]) -> list[str]:
    """Look for an honest client that is signed out (S-075)."""
    return _first(lives(world, rule).way_to(refused) for world in worlds)


def stuck(rule: Rule, worlds: Iterable[World]) -> list[str]:
    """Look for a client that gets no new tokens, though its requests now arrive (S-075)."""
    return _first(lives(world, rule).way_to(partial(stays_out, rule)) for world in worlds)


def kept_waiting(rule: Rule, worlds: Iterable[World]) -> list[str]:
    """Look for a client that loses a race for one token and is asked to wait (S-062)."""
    return signed_out(rule, (replace(world, rests=True, prompt=True) for world in worlds))


def overlapping(rule: Rule, thief: Thief) -> list[str]:
    """Look for a thief who uses the session beside a settled victim for too long (S-073).

    A thief who acts in no window may do so until all processes know of the healing. One who acts at
    the end of a window has one access token, for its whole lifetime.
    """
    longest = WINDOW + LIFE if thief.windows else BOUND
    ruled = replace(thief, rule=rule)
    return thefts(ruled).way_to(lambda theft: "too long" if theft.both > longest else "")


def in_step(rule: Rule, thief: Thief) -> list[str]:
    """Look for a cycle in which both go on forever (S-073); its steps are in no order."""
    ruled = replace(thief, rule=rule)
    return _first(sorted(steps) for steps in rounds(thefts(ruled)) if steps >= EVER)


def working_alone(rule: Rule, thief: Thief) -> list[str]:
    """Look for a thief who works undetected forever while the victim is away.

    The steps of the cycle are in no order. In each of its states the victim could go on.
    """
    ruled = replace(thief, rule=rule, alone=True)
    return _first(sorted(steps) for steps in rounds(thefts(ruled)) if steps >= ALONE)


def kept_out(rule: Rule, thief: Thief) -> list[str]:
    """Look for a thief who works forever while the victim retries and has to wait.

    The steps of the cycle are in no order.
    """
    ruled = replace(thief, rule=rule)
    return _first(
        sorted(steps)
        for steps in rounds(thefts(ruled))
        if steps >= {THIEF_USES, TICK} and any(map(_is_wait_of_victim, steps))
    )


def _is_wait_of_victim(step: str) -> bool:
    retry = f"-> {RotationOutcome.RETRY_LATER.name}"
    return step.startswith("victim presents") and retry in step


def both_holding(rule: Rule, thief: Thief) -> list[str]:
    """Look for valid refresh tokens of both: the second to refresh must end the session."""
    ruled = replace(thief, rule=rule)
    return thefts(ruled).way_to(ruled.shared)


def thief_holding(rule: Rule, thief: Thief) -> list[str]:
    """Look for a copy that still gets new tokens when the victim has settled."""
    ruled = replace(thief, rule=rule)
    return thefts(ruled).way_to(ruled.kept)


def unnoticed(rule: Rule, thief: Thief) -> list[str]:
    """Look for a useless token that does not end the session after the window (S-061)."""
    ruled = replace(thief, rule=rule)
    return thefts(ruled).way_to(ruled.unnoticed)


def _first(ways: Iterable[list[str]]) -> list[str]:
    """Return the first path that is not empty."""
    return next((way for way in ways if way), [])
