"""A thief with copies of a victim's refresh tokens, who acts at any time.

No state follows the end of the session: the copy was detected, and no token is valid any more.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from itemsapi.tokens.rotation import RotationOutcome
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

LIFE = LATE + 2  # of an access token in ticks, longer than the window
BOUND = 1  # ticks until every process knows that a generation was revoked
NEVER_SETTLED, SETTLED, REFRESHED = range(3)


class Theft(NamedTuple):
    """A session, its victim and its thief.

    `stored`: the class of the victim's refresh token. `access`: the victim has an access token of
    the current generation. `served`: it has one of the root alone. `made`: the attempt that the
    victim is at made the current generation. `copies`: the classes of the thief's refresh tokens.
    `fresh`, `left` and `stale`: ticks that the thief's access tokens stay valid: of the current
    generation, of a superseded one, and the latest of the others. `phase`: the victim has settled
    (has used the token of a refresh); one of both refreshed after that. `both`: ticks since then in
    which both could use the session. `due`: a tick has just passed.
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
EVER = frozenset({VICTIM_REFRESHES, VICTIM_USES, THIEF_USES, TICK})  # both go on, and time passes
ALONE = frozenset({THIEF_USES, UNNOTICED_TICK})  # the thief goes on undetected


@dataclass(frozen=True)
class Thief:
    """What a thief does, and what goes wrong for the victim.

    `windows`: presents a superseded copy in the window. `uses`: uses access tokens, which the
    service stores. `polls`: acts once a tick, and does not know what the victim does meanwhile.
    `notes_lost`: storing a use may fail. `attempts`: the victim's requests carry the id of
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
        """Yield the possible next steps."""
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
        """Yield the classes of the access tokens that the thief uses."""
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

    def _noted(self, step: str, theft: Theft, used: int) -> Iterator[Step]:
        """Use an access token of a class; the service stores that, or fails to."""
        yield step, theft._replace(row=self.rule.note(theft.row, used))
        if self.notes_lost:
            yield step, theft

    def _victim_refreshes(self, theft: Theft) -> Iterator[Step]:
        """Present the victim's token; the response arrives or is lost."""
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
        yield f"victim presents {NAMES[theft.stored]} -> {answer.word}, without new tokens", after

    def _thief_refreshes(self, theft: Theft, copy: int) -> Iterator[Step]:
        """Present one of the thief's copies; the response arrives."""
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
        yield f"thief presents {NAMES[copy]} -> {answer.word}", after

    def _moved(self, theft: Theft, answer: Answer, *, made: bool) -> Theft:
        """Apply a change of the row: tokens change classes, superseded ones are revoked."""
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
        """Advance a tick, and count it if both could use the session."""
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
        """Return whether the victim's refresh token still gets new tokens."""
        return self.rule.good(theft.row, theft.stored, same=theft.made)

    def thief_goes_on(self, theft: Theft) -> bool:
        """Return whether one of the thief's refresh tokens still gets new tokens."""
        return any(self.rule.good(theft.row, copy) for copy in theft.copies)

    def unnoticed(self, theft: Theft) -> str:
        """Return a text if a token presented after the window gets nothing and ends nothing."""
        late = theft.row._replace(age=LATE)
        for token in sorted(theft.copies | {theft.stored}):
            answer = self.rule.present(late, token)
            if not (answer.refresh or answer.ended):
                return f"{NAMES[token]} is presented after the window: {answer.word}"
        return ""

    def shared(self, theft: Theft) -> str:
        """Return a text if both can go on after the victim settled and one of them refreshed."""
        if theft.phase == REFRESHED and self.thief_goes_on(theft) and self.victim_goes_on(theft):
            return "both have a refresh token that gets new tokens"
        return ""

    def kept(self, theft: Theft) -> str:
        """Return a text if the thief can go on after the victim settled."""
        if theft.phase != NEVER_SETTLED and self.thief_goes_on(theft):
            return "the thief has a refresh token that gets new tokens"
        return ""
