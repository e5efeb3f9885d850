"""A rule that is wrong in one thing breaks a property that the production rule keeps."""

from collections.abc import Callable
from functools import partial

import pytest

from model import mutants
from model.properties import (
    CLAIRVOYANT,
    LOCKED_TABS,
    LOUD,
    MEETS_A_LOST_NOTE,
    NAMING_PROGRAM,
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
from model.rotation import WINDOW, Rule

pytestmark = pytest.mark.slow  # what it finds is the same with each Python

Property = Callable[[Rule], list[str]]

PROGRAM_STAYS = partial(signed_out, worlds=[PROGRAM])
TABS_STAY = partial(signed_out, worlds=delayed(TABS, WINDOW))
NAMING_PROGRAM_STAYS = partial(signed_out, worlds=[NAMING_PROGRAM])
NOBODY_IS_STUCK = partial(stuck, worlds=[PROGRAM])
LOSERS_GET_ACCESS = partial(kept_waiting, worlds=delayed(LOCKED_TABS, WINDOW))

CAUGHT_BY: dict[type[Rule], Property] = {
    mutants.WindowShares: partial(in_step, thief=LOUD),
    mutants.HealingShares: partial(both_holding, thief=QUIET),
    mutants.AnySupersededHeals: partial(in_step, thief=MEETS_A_LOST_NOTE),
    mutants.HealsThoughSeen: partial(thief_holding, thief=QUIET),
    mutants.RootHasAccessForEver: partial(overlapping, thief=CLAIRVOYANT),
    mutants.OthersWaitForEver: partial(unnoticed, thief=QUIET),
    mutants.HealingRevokesNothing: partial(overlapping, thief=QUIET),
    mutants.RotationKeepsSeen: PROGRAM_STAYS,
    mutants.SeenSwallowsRoot: LOSERS_GET_ACCESS,
    mutants.OthersEndInWindow: TABS_STAY,
    mutants.OthersHaveAccess: partial(overlapping, thief=CLAIRVOYANT),
    mutants.HealingWindowGivesAccess: partial(working_alone, thief=CLAIRVOYANT),
    mutants.NothingSettles: partial(kept_out, thief=LOUD),
    mutants.HitExtendsWindow: NOBODY_IS_STUCK,
    mutants.HealingOpensNoWindow: TABS_STAY,
    mutants.AgainForAnyAttempt: partial(both_holding, thief=CLAIRVOYANT),
    mutants.AgainLeftOut: NAMING_PROGRAM_STAYS,
    mutants.AgainOnlyUnseen: NAMING_PROGRAM_STAYS,
    mutants.HealingMovesRoot: PROGRAM_STAYS,
    mutants.NoHealing: PROGRAM_STAYS,
    mutants.NoWindow: TABS_STAY,
    mutants.WindowATickShort: PROGRAM_STAYS,
    mutants.WindowAccessIsCurrent: PROGRAM_STAYS,
    mutants.SupersededUseIsNotNoted: partial(working_alone, thief=LOUD),
    mutants.AnyUseIsNoted: PROGRAM_STAYS,
}


def test_a_mutant_lets_a_thief_heal_in_every_window_beside_the_victim() -> None:
    """S-073: found by attack: 16 hours of it, and no event, while healing opened that window."""
    mutant = mutants.HealingWindowGivesAccess()
    assert in_step(mutant, CLAIRVOYANT) != []


@pytest.mark.parametrize("mutant", CAUGHT_BY, ids=lambda mutant: mutant.__name__)
def test_each_mutant_violates_a_property(mutant: type[Rule]) -> None:
    """The same property, asked of the production rule, holds: see test_rotation_rule.py."""
    assert CAUGHT_BY[mutant](mutant()) != []


def test_every_mutant_is_tested() -> None:
    """None is written and then forgotten."""
    assert set(CAUGHT_BY) == set(Rule.__subclasses__())
