"""A thief with copies of a victim's refresh tokens, who acts at any time.

No state follows on the end of the session: the copy was noticed, and no token is good any more.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from itemsapi.tokens.sessions import RotationOutcome
from model.rotation import (
    CURRENT,
    LATE,
    NAMES,
    NOTHING,
    PRODUCTION,
    ROOT,
    SIGNED_IN,
    SUPERSEDED,
    WINDOW,
    Answer,
    Row,
    Rule,
)

LIFE = LATE + 2  # ticks that an access token lives, longer than the window
BOUND = 1  # ticks until every process knows that a generation was taken back
NEVER_SETTLED, SETTLED, REFRESHED = range(3)


class Theft(NamedTuple):
    """A session, its victim and its thief.

    `stored`: the class of the victim's refresh token. `access`: the victim has an access token of
    the current generation. `served`: it has one of the root alone. `made`: the attempt that the
    victim is at made the current generation. `copies`: the classes of the refresh tokens that the
    thief has. `fresh`, `left` and `stale`: ticks that the thief's access tokens are still good,
    that of the current generation, that of a superseded one, and the best of the others.
    `phase`: the victim has settled (has used what a refresh gave); somebody refreshed after that.
    `both`: ticks since then in which both could use the session. `due`: a tick has just gone by.
    """

    row: Row = SIGNED_IN
    stored: int = CURRENT
    access: bool = False
    served: bool = False
    made: bool = False
    copies: frozenset[int] = frozenset({CURRENT})
    fresh: int = 0
    left: int = 0
    stale: int = 0
    phase: int = NEVER_SETTLED
    both: int = 0
    due: bool = False


Step = tuple[str, Theft]
VICTIM_REFRESHES, VICTIM_USES = "victim gets an access token", "victim uses its token"
THIEF_USES, TICK = "thief uses a token", "tick"
UNNOTICED_TICK = "tick, and the victim could go on"
EVER = frozenset({VICTIM_REFRESHES, VICTIM_USES, THIEF_USES, TICK})  # both go on, and time as well
ALONE = frozenset({THIEF_USES, UNNOTICED_TICK})  # the thief goes on, and nobody is to find out


@dataclass(frozen=True)
class Thief:
    """What a thief does, and what happens to go wrong for the victim.

    `windows`: shows a superseded copy while the window is open. `uses`: uses access tokens, which
    the service notes. `polls`: acts once a tick, and does not know what the victim does in between.
    `notes_lost`: the note of a use may be lost. `attempts`: the victim's requests carry the id of
    their attempt, which the thief does not know. `alone`: the victim is away.
    """

    windows: bool = True
    uses: bool = True
    polls: bool = False
    notes_lost: bool = False
    attempts: bool = False
    alone: bool = False
    rule: Rule = field(default=PRODUCTION, repr=False)

    def steps(self, theft: Theft) -> Iterator[Step]:
        """Say what may come next."""
        if not self.alone:
            yield from self._victim_refreshes(theft)
            yield from self._victim_uses(theft)
        if theft.due or not self.polls:
            for copy in sorted(theft.copies):
                yield from self._thief_refreshes(theft, copy)
        for used in self._usable(theft):
            yield from self._noted(THIEF_USES, theft._replace(due=False), used)
        unnoticed = self.alone and self.victim_goes_on(theft)
        yield UNNOTICED_TICK if unnoticed else TICK, self._tick(theft)

    def _usable(self, theft: Theft) -> Iterator[int]:
        """Say of which classes the thief has access tokens that it uses."""
        if self.uses and theft.fresh:
            yield CURRENT
        if self.uses and theft.left:
            yield SUPERSEDED
        if self.uses and theft.stale:
            yield ROOT

    def _victim_uses(self, theft: Theft) -> Iterator[Step]:
        """Let the victim use an access token, of the current generation or of the root."""
        if theft.access:
            used = theft._replace(phase=max(theft.phase, SETTLED), due=False)
            yield from self._noted(VICTIM_USES, used, CURRENT)
        if theft.served:
            yield from self._noted(VICTIM_USES, theft._replace(due=False), ROOT)

    def _noted(self, said: str, theft: Theft, used: int) -> Iterator[Step]:
        """Use an access token of a class; the service notes it, or fails to."""
        yield said, theft._replace(row=self.rule.note(theft.row, used))
        if self.notes_lost:
            yield said, theft

    def _victim_refreshes(self, theft: Theft) -> Iterator[Step]:
        """Show the victim's token; the answer arrives or is lost."""
        answer = self.rule.present(theft.row, theft.stored, same=theft.made)
        if answer.ended:
            return
        after = self._moved(theft, answer, made=self.attempts)
        if answer.refresh:
            new = after._replace(stored=CURRENT, access=True, served=False, made=False)
            yield VICTIM_REFRESHES, new
        elif answer.access == CURRENT:
            yield VICTIM_REFRESHES, after._replace(access=True)
        elif answer.access != NOTHING:
            yield VICTIM_REFRESHES, after._replace(served=True)
        yield f"victim shows {NAMES[theft.stored]} -> {answer.word}, without new tokens", after

    def _thief_refreshes(self, theft: Theft, copy: int) -> Iterator[Step]:
        """Show one of the thief's copies; the answer arrives."""
        answer = self.rule.present(theft.row, copy)
        if answer.ended or not (self.windows or copy == CURRENT or theft.row.age > WINDOW):
            return
        after = self._moved(theft, answer, made=False)
        if answer.refresh:
            after = after._replace(copies=after.copies | {CURRENT})
        if answer.access == CURRENT:
            after = after._replace(fresh=LIFE)
        elif answer.access != NOTHING:
            after = after._replace(stale=LIFE)
        yield f"thief shows {NAMES[copy]} -> {answer.word}", after

    def _moved(self, theft: Theft, answer: Answer, *, made: bool) -> Theft:
        """Let the row move, if it does: tokens change their classes, superseded ones die."""
        after = theft._replace(row=answer.row, due=False)
        if answer.refresh and theft.phase == SETTLED:
            after = after._replace(phase=REFRESHED)
        if not answer.moved:
            return after
        healed = answer.outcome is RotationOutcome.HEAL
        left = min(theft.fresh, BOUND) if self.rule.supersedes else theft.fresh
        return after._replace(
            left=max(theft.left, left) if healed else 0,
            stale=theft.stale if healed else max(theft.stale, theft.left, theft.fresh),
            stored=answer.classes[theft.stored],
            access=False,
            made=made,
            copies=frozenset(answer.classes[copy] for copy in theft.copies),
            fresh=0,
        )

    def _tick(self, theft: Theft) -> Theft:
        """Let time go by, and count it while both could use the session."""
        after = theft._replace(
            row=theft.row.older(),
            fresh=max(theft.fresh - 1, 0),
            left=max(theft.left - 1, 0),
            stale=max(theft.stale - 1, 0),
            due=self.polls,
        )
        able = theft.fresh or theft.left or theft.stale
        if theft.phase == NEVER_SETTLED or not able or not self.victim_goes_on(theft):
            return after._replace(both=0)
        return after._replace(both=min(theft.both + 1, 2 * LIFE))

    def victim_goes_on(self, theft: Theft) -> bool:
        """Tell whether the victim's refresh token is good for something."""
        return self.rule.good(theft.row, theft.stored, same=theft.made)

    def thief_goes_on(self, theft: Theft) -> bool:
        """Tell whether one of the thief's refresh tokens is good for something."""
        return any(self.rule.good(theft.row, copy) for copy in theft.copies)

    def unnoticed(self, theft: Theft) -> str:
        """Say which token, shown after the window, neither is good nor ends the session."""
        late = theft.row._replace(age=LATE)
        for held in sorted(theft.copies | {theft.stored}):
            answer = self.rule.present(late, held)
            if not (answer.refresh or answer.ended):
                return f"{NAMES[held]} is shown after the window: {answer.word}"
        return ""

    def shared(self, theft: Theft) -> str:
        """Say whether both can go on when the victim has settled and one of them has refreshed."""
        if theft.phase == REFRESHED and self.thief_goes_on(theft) and self.victim_goes_on(theft):
            return "both hold a refresh token that is good for something"
        return ""

    def kept(self, theft: Theft) -> str:
        """Say whether the thief can go on when the victim has settled."""
        if theft.phase != NEVER_SETTLED and self.thief_goes_on(theft):
            return "the thief holds a refresh token that is good for something"
        return ""
