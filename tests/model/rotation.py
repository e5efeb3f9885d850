"""The rotation rule in a model that is small enough for an exhaustive search.

*Classes.* A real session has more and more generations. But the rule only compares a generation
with `gen` and `root_gen` of the row, so that these classes are enough: `CURRENT`;
`ROOT`, the last one before it that was seen; `SUPERSEDED`, those between the two, after a
healing; `OLDER`, those before the root, which are `MARKED` at the first checkpoint after that
and `SETTLED` at the second. The classes are numbers in that order, and the row for the production
function `decide_outcome` has `CURRENT` and `ROOT` as `gen` and `root_gen`; without a healing since
the last rotation there are none between, and the root is `LOST_A_RACE`. When a session rotates or
heals, each existing token changes its class as in `Answer.classes`.

*Ticks.* Time advances in ticks of five seconds. The window is four ticks. All rows older than the
window are equivalent: `LATE` is the greatest age.

*Worlds.* `honest.py` has clients whose tokens are not copied, with requests and responses that are
late, lost, repeated and reordered; `thieves.py` has a victim, and a thief who acts at any time. A
world defines the next steps of a state; `search.py` visits every reachable state, nearest first, so
that a violation comes with the shortest path to it.

*Properties.* No honest client is signed out, is stuck, or waits instead of getting an access token.
The time in which victim and thief both use a session is bounded, they never both have a refresh
token that gets new tokens, a thief cannot work undetected for long while the victim is away, and a
token that gets nothing ends the session when it is presented late. `properties.py`
looks for violations; `test_rotation_rule.py` asserts that the production rule has none;
`mutants.py` has rules that are wrong on purpose, each of which must have one;
`test_rotation_rows.py` shows on rows of both databases that `rotate` and `judge` and this agree.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from itemsapi.issuer.refresh import NEW_TOKENS
from itemsapi.tokens import rotation
from itemsapi.tokens.rotation import (
    PresentedToken,
    RotationLimits,
    RotationOutcome,
    RotationState,
)

SETTLED, MARKED, OLDER, ROOT, SUPERSEDED, CURRENT = CLASSES = (1, 2, 3, 4, 5, 6)
NOTHING, UNISSUED = 0, 7
LOST_A_RACE = CURRENT - 1  # the number of the root where nothing was healed since the rotation
NAMES = ("nothing", "settled", "marked", "older", "root", "superseded", "current")
TICK = timedelta(seconds=5)
WINDOW = 4
LATE = WINDOW + 1
LIMITS = RotationLimits(max_idle=timedelta(days=14), grace=WINDOW * TICK, heal=True)
ROTATED_AT = datetime(2030, 1, 1, tzinfo=UTC)
MOVES = frozenset({RotationOutcome.ROTATE, RotationOutcome.HEAL})


class Row(NamedTuple):
    """A session's row: whether the current generation was seen; ticks since the row moved.

    `healed`: a healing moved it last, and not a rotation. `mark`: ticks since the checkpoint.
    """

    seen: bool
    age: int
    healed: bool = False
    mark: int = LATE

    def older(self) -> "Row":
        """Return the row a tick later."""
        return self._replace(age=min(self.age + 1, LATE), mark=min(self.mark + 1, LATE))


SIGNED_IN = Row(seen=True, age=LATE)


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A session row for `decide_outcome`."""

    gen: int
    root_gen: int
    seen: bool
    attempt: str | None
    rotated_at: datetime
    renewed_gen: int = 1
    settled_gen: int = NOTHING
    checkpoint_gen: int = NOTHING
    checkpoint_at: datetime = ROTATED_AT


class Answer(NamedTuple):
    """The result of presenting a token.

    `row` is the row afterwards, `classes` the new class of a token of each class. `refresh`: the
    response has a refresh token of the current generation. `access`: the class of the access token
    in the response, or `NOTHING`.
    """

    outcome: RotationOutcome
    word: str
    row: Row
    classes: tuple[int, ...]
    refresh: bool
    access: int
    moved: bool
    ended: bool


class Rule:
    """The production rule; a mutant overrides a part of it."""

    limits = LIMITS
    supersedes = True  # a healing revokes the access tokens of superseded generations

    def __init__(self) -> None:
        """Start with an empty cache: there are few different answers."""
        self._answers: dict[tuple[Row, int, bool], Answer] = {}

    def present(self, row: Row, presented: int, *, same: bool = False) -> Answer:
        """Present a token of a class; `same`: by the attempt that made the current generation."""
        key = (row, presented, same)
        if key not in self._answers:
            self._answers[key] = self._answer(row, presented, same=same)
        return self._answers[key]

    def _answer(self, row: Row, presented: int, *, same: bool) -> Answer:
        root = ROOT if row.healed else LOST_A_RACE
        session = SessionRow(CURRENT, root, row.seen, "maker", ROTATED_AT, settled_gen=MARKED)
        attempt = "maker" if same else "another"
        now = ROTATED_AT + row.age * TICK
        outcome = self.judge(
            session, PresentedToken(root if presented == ROOT else presented, attempt, now)
        )
        return Answer(
            outcome,
            outcome.name,
            self.moved(row, outcome),
            self.classes(row, outcome),
            outcome in NEW_TOKENS,
            self.access(outcome, presented),
            outcome in MOVES,
            outcome.ends_session,
        )

    def judge(self, session: RotationState, shown: PresentedToken) -> RotationOutcome:
        """Return the outcome of a token, by the production function."""
        return rotation.decide_outcome(session, shown, self.limits)

    def moved(self, row: Row, outcome: RotationOutcome) -> Row:
        """Return the row after an outcome."""
        if outcome not in MOVES:
            return row
        mark = 0 if row.mark > WINDOW else row.mark
        return Row(seen=False, age=0, healed=outcome is RotationOutcome.HEAL, mark=mark)

    def classes(self, row: Row, outcome: RotationOutcome) -> tuple[int, ...]:
        """Return the class that a token of each class has after an outcome."""
        due = row.mark > WINDOW  # what was marked is settled, and what is older now is marked
        marked, older = (SETTLED, MARKED) if due else (MARKED, OLDER)
        if outcome is RotationOutcome.ROTATE:
            return (NOTHING, SETTLED, marked, older, older, older, ROOT)
        if outcome is RotationOutcome.HEAL:
            return (NOTHING, SETTLED, marked, older, ROOT, SUPERSEDED, SUPERSEDED)
        return (NOTHING, *CLASSES)

    def access(self, outcome: RotationOutcome, shown: int) -> int:
        """Return the class of the access token in the response."""
        if outcome in NEW_TOKENS:
            return CURRENT
        return shown if outcome is RotationOutcome.ACCESS_ONLY else NOTHING

    def note(self, row: Row, used: int) -> Row:
        """Return the row after the use of an access token of a class."""
        return row._replace(seen=row.seen or used in {CURRENT, SUPERSEDED})

    def good(self, row: Row, token: int, *, same: bool = False) -> bool:
        """Return whether a token gets new tokens, now or later, if nothing else happens."""
        ages = range(row.age, LATE + 1)
        return any(self.present(row._replace(age=age), token, same=same).refresh for age in ages)


PRODUCTION = Rule()
