"""Rules that are wrong on purpose: each is the production rule with one thing changed.

They prove that the properties can fail. The first version of the rule, and the ideas that were
given up on the way to the present one, are among them.
"""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from itemsapi.tokens.rotation import PresentedToken, RotationOutcome, RotationState
from model.rotation import CURRENT, LATE, LIMITS, NOTHING, TICK, Row, Rule


class WindowShares(Rule):
    """The window hands out the same successor again: the first version."""

    def judge(self, session: RotationState, shown: PresentedToken) -> RotationOutcome:
        """Give what the winner of the race was given."""
        outcome = super().judge(session, shown)
        return RotationOutcome.REPEAT if outcome is RotationOutcome.ACCESS_ONLY else outcome


class HealingShares(Rule):
    """Healing hands out the same successor again: the first version."""

    def judge(self, session: RotationState, shown: PresentedToken) -> RotationOutcome:
        """Give the successor that nobody has seen."""
        outcome = super().judge(session, shown)
        return RotationOutcome.REPEAT if outcome is RotationOutcome.HEAL else outcome


class AnySupersededHeals(Rule):
    """Whatever a healing left behind may heal as well, not only the last generation seen."""

    def judge(self, session: RotationState, shown: PresentedToken) -> RotationOutcome:
        """Take it for the root."""
        outcome = super().judge(session, shown)
        if outcome is RotationOutcome.OLDER_REUSED and shown.gen > session.root_gen:
            return super().judge(session, replace(shown, gen=session.root_gen))
        return outcome


class HealsThoughSeen(Rule):
    """The root heals although the current generation is in use."""

    def judge(self, session: RotationState, shown: PresentedToken) -> RotationOutcome:
        """Let it heal."""
        outcome = super().judge(session, shown)
        return RotationOutcome.HEAL if outcome is RotationOutcome.PREDECESSOR_REUSED else outcome


class RootHasAccessForEver(Rule):
    """The root gets an access token after the window too, instead of ending the session."""

    def judge(self, session: RotationState, shown: PresentedToken) -> RotationOutcome:
        """Forgive it."""
        outcome = super().judge(session, shown)
        return (
            RotationOutcome.ACCESS_ONLY
            if outcome is RotationOutcome.PREDECESSOR_REUSED
            else outcome
        )


class OthersWaitForEver(Rule):
    """A generation before the root, or superseded, waits after the window too."""

    def judge(self, session: RotationState, shown: PresentedToken) -> RotationOutcome:
        """Never end the session for it."""
        outcome = super().judge(session, shown)
        return RotationOutcome.RETRY_LATER if outcome is RotationOutcome.OLDER_REUSED else outcome


class HealingRevokesNothing(Rule):
    """The access tokens of the generation that a healing leaves behind stay good."""

    supersedes = False


class RotationKeepsSeen(Rule):
    """The new generation counts as seen if the one before it was."""

    def moved(self, row: Row, outcome: RotationOutcome) -> Row:
        """Keep what was noted of the generation before."""
        after = super().moved(row, outcome)
        return after._replace(seen=row.seen) if outcome is RotationOutcome.ROTATE else after


class SeenSwallowsRoot(Rule):
    """Once the winner of a race has used its tokens, the losers get no access token."""

    def judge(self, session: RotationState, shown: PresentedToken) -> RotationOutcome:
        """Let them wait."""
        outcome = super().judge(session, shown)
        swallowed = outcome is RotationOutcome.ACCESS_ONLY and session.seen
        return RotationOutcome.RETRY_LATER if swallowed else outcome


class OthersEndInWindow(Rule):
    """A generation before the root ends the session at once, in the window too."""

    def judge(self, session: RotationState, shown: PresentedToken) -> RotationOutcome:
        """Do not wait."""
        outcome = super().judge(session, shown)
        return RotationOutcome.OLDER_REUSED if outcome is RotationOutcome.RETRY_LATER else outcome


class OthersHaveAccess(Rule):
    """In the window each predecessor gets an access token, not the root alone."""

    def judge(self, session: RotationState, shown: PresentedToken) -> RotationOutcome:
        """Let nobody wait."""
        outcome = super().judge(session, shown)
        return RotationOutcome.ACCESS_ONLY if outcome is RotationOutcome.RETRY_LATER else outcome


class HealingWindowGivesAccess(Rule):
    """The root gets an access token in the window after a healing as well."""

    def judge(self, session: RotationState, shown: PresentedToken) -> RotationOutcome:
        """Let the root not wait."""
        outcome = super().judge(session, shown)
        waits = outcome is RotationOutcome.RETRY_LATER and shown.gen == session.root_gen
        return RotationOutcome.ACCESS_ONLY if waits else outcome


class NothingSettles(Rule):
    """Each rotation opens the window for all that is older, however long ago it was replaced."""

    def judge(self, session: RotationState, shown: PresentedToken) -> RotationOutcome:
        """Look at the last rotation alone."""
        return super().judge(Unsettled(session), shown)


@dataclass(frozen=True)
class Unsettled:
    """A row in which no generation is settled."""

    row: RotationState
    settled_gen: int = NOTHING

    def __getattr__(self, name: str) -> Any:
        """Return what the row says."""
        return getattr(self.row, name)


class HitExtendsWindow(Rule):
    """The window is counted from the last hit."""

    def moved(self, row: Row, outcome: RotationOutcome) -> Row:
        """Begin the window anew."""
        hit = outcome in {RotationOutcome.ACCESS_ONLY, RotationOutcome.RETRY_LATER}
        return row._replace(age=0) if hit else super().moved(row, outcome)


class HealingOpensNoWindow(Rule):
    """The window is counted from the last rotation, whatever was healed since."""

    def moved(self, row: Row, outcome: RotationOutcome) -> Row:
        """Leave the window shut."""
        after = super().moved(row, outcome)
        return after._replace(age=LATE) if outcome is RotationOutcome.HEAL else after


class AgainForAnyAttempt(Rule):
    """The successor is handed out again whatever the id of the attempt is."""

    def judge(self, session: RotationState, shown: PresentedToken) -> RotationOutcome:
        """Take each attempt for the one that made the current generation."""
        return super().judge(session, replace(shown, attempt=session.attempt))


class AgainLeftOut(Rule):
    """The id of an attempt is not looked at."""

    def judge(self, session: RotationState, shown: PresentedToken) -> RotationOutcome:
        """Take each attempt for another."""
        return super().judge(session, replace(shown, attempt=None))


class AgainOnlyUnseen(Rule):
    """The same attempt gets the same successor only until somebody has used that."""

    def judge(self, session: RotationState, shown: PresentedToken) -> RotationOutcome:
        """Take it for another attempt from then on."""
        kept = None if session.seen else shown.attempt
        return super().judge(session, replace(shown, attempt=kept))


class HealingMovesRoot(Rule):
    """After a healing the root is what the healing left behind."""

    def classes(self, row: Row, outcome: RotationOutcome) -> tuple[int, ...]:
        """Move the root as a rotation does."""
        healed = outcome is RotationOutcome.HEAL
        return super().classes(row, RotationOutcome.ROTATE if healed else outcome)


class NoHealing(Rule):
    """No lost answer heals: `REFRESH_HEAL=off`."""

    limits = replace(LIMITS, heal=False)


class NoWindow(Rule):
    """No race is forgiven, and a lost answer heals at once: `REFRESH_GRACE=0`."""

    limits = replace(LIMITS, grace=timedelta())


class WindowATickShort(Rule):
    """The window ends a tick too early."""

    limits = replace(LIMITS, grace=LIMITS.grace - TICK)


class WindowAccessIsCurrent(Rule):
    """The access token that the window hands out is of the current generation."""

    def access(self, outcome: RotationOutcome, shown: int) -> int:
        """Give an access token of the current generation in each case."""
        return CURRENT if super().access(outcome, shown) else NOTHING


class SupersededUseIsNotNoted(Rule):
    """Only the use of the current generation is noted, not of one that was just superseded."""

    def note(self, row: Row, used: int) -> Row:
        """Note the use of the current generation alone."""
        return super().note(row, used) if used == CURRENT else row


class AnyUseIsNoted(Rule):
    """The use of an older access token counts as the use of the current generation."""

    def note(self, row: Row, used: int) -> Row:
        """Note it, whatever generation it is of."""
        return row._replace(seen=bool(used))
