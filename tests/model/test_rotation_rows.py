"""The rule as one UPDATE agrees with the rule as a table and with the model, on real rows."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields, replace
from datetime import timedelta
from functools import cache
from itertools import product

from sqlalchemy import insert
from sqlalchemy.orm import Session

from itemsapi.accounts.models import User
from itemsapi.db import Database
from itemsapi.tokens.rotation import (
    PresentedToken,
    RotationLimits,
    RotationOutcome,
    RotationState,
    decide_outcome,
    rotate,
)
from itemsapi.tokens.sessions import AuthSession
from model.rotation import (
    CURRENT,
    LIMITS,
    LOST_A_RACE,
    MOVES,
    OLDER,
    ROOT,
    ROTATED_AT,
    SUPERSEDED,
    UNISSUED,
    Row,
    Rule,
    SessionRow,
)

RULE = Rule()
AGES = [timedelta(seconds=age) for age in (-1, 0, 20, 20.001, 3600)]  # the window is 20 s long
GRACES = (timedelta(), LIMITS.grace)
ATTEMPTS = (  # the attempt of the current generation, and that of the presented token
    (None, None),
    ("one", "one"),
    ("one", "two"),
    ("one", None),
    (None, "two"),
)
YES_AND_NO = (True, False)

COLUMNS = [column.name for column in fields(SessionRow)]
FRESHLY_MARKED = Row(seen=True, age=0, mark=0)

Result = tuple[RotationOutcome, SessionRow]


@dataclass(frozen=True)
class Case:
    """A row, and the token that is presented."""

    row: SessionRow
    shown: PresentedToken
    limits: RotationLimits

    def wanted(self) -> Result:
        """Return the outcome by the table, and the row after it by the model."""
        outcome = decide_outcome(self.row, self.shown, self.limits)
        if outcome not in MOVES:
            return outcome, self.row
        seen = RULE.moved(Row(self.row.seen, age=0), outcome).seen
        shown = self.shown
        row = self.row
        settled, checkpoint = row.settled_gen, (row.checkpoint_gen, row.checkpoint_at)
        if row.checkpoint_at < shown.now - self.limits.grace:
            settled, checkpoint = row.checkpoint_gen, (shown.gen, shown.now)
        made = (row.gen + 1, shown.gen, seen, shown.attempt, shown.now)
        return outcome, SessionRow(*made, row.renewed_gen, settled, *checkpoint)


@cache
def cases() -> list[Case]:
    """List each row together with each way to present something to it."""
    return [
        Case(
            SessionRow(gen, root, seen, made_by, ROTATED_AT, renewed, settled, checkpoint),
            PresentedToken(shown, attempt, ROTATED_AT + age),
            replace(LIMITS, heal=heal, grace=grace),
        )
        for gen in range(2, 6)
        for root, shown in product(range(gen), range(1, gen + 2))
        for age, seen, (made_by, attempt) in product(AGES, YES_AND_NO, ATTEMPTS)
        for heal, grace in product(YES_AND_NO, GRACES)
        for renewed, settled, checkpoint in _before(root, forgiving=heal and bool(grace))
    ]


def _before(root: int, *, forgiving: bool) -> set[tuple[int, int, int]]:
    """Say when a session may have been renewed, and which generations were settled and marked."""
    plain = (1, 0, 0)
    return {plain, (max(root, 1), 0, 0), (1, max(root - 1, 0), root)} if forgiving else {plain}


def class_of(gen: int, row: RotationState) -> int:
    """Return the class that a generation has in a row."""
    if gen >= row.gen:
        return CURRENT if gen == row.gen else UNISSUED
    if gen == row.root_gen:
        return ROOT
    return OLDER if gen < row.root_gen else SUPERSEDED


def model_of(case: Case) -> tuple[SessionRow, PresentedToken]:
    """Return the row and the token as the model has them."""
    root = ROOT if case.row.gen > case.row.root_gen + 1 else LOST_A_RACE
    shown = class_of(case.shown.gen, case.row)
    row = replace(case.row, gen=CURRENT, root_gen=root)
    return row, replace(case.shown, gen=root if shown == ROOT else shown)


def test_the_classes_of_generations_agree_with_each_row() -> None:
    """The row of the model stands for every row: `judge` looks at nothing but the class."""
    strange = [
        case
        for case in cases()
        if decide_outcome(case.row, case.shown, case.limits)
        != decide_outcome(*model_of(case), case.limits)
        if (case.row.renewed_gen, case.row.settled_gen) == (1, 0)
    ]
    assert strange == []


def test_a_token_has_the_class_of_the_model_after_the_row_changed() -> None:
    """Generations turn into classes before the move or after it, it comes to the same."""
    strange = [
        (case, gen)
        for case in cases()
        for outcome, after in [case.wanted()]
        for gen in range(1, case.row.gen + 1)
        if class_of(gen, after) != RULE.classes(FRESHLY_MARKED, outcome)[class_of(gen, case.row)]
    ]
    assert strange == []


def test_the_update_agrees_with_the_table_for_each_row(database: Database) -> None:
    """S-061, S-062: the outcome and the row after it, one row for each of 13600 cases."""
    with database.transaction() as tx:
        write_rows(tx)
        strange = [(case, got) for case, got in rotated(tx) if got != case.wanted()]
    assert strange == []


def rotated(tx: Session) -> Iterator[tuple[Case, Result]]:
    """Present to each row what its case says; yield the outcome and the row as it is then."""
    for place, case in enumerate(cases()):
        done = rotate(tx, str(place), case.shown, case.limits)
        row = done.session
        assert row is not None
        after = SessionRow(**{name: getattr(row, name) for name in COLUMNS})
        yield case, (done.outcome, after)


def write_rows(tx: Session) -> None:
    """Write a user, and a session for each case."""
    times = {"created_at": ROTATED_AT, "updated_at": ROTATED_AT}
    tx.add(User(id="ada", username="ada", password_hash="-", **times))
    tx.flush()
    given = {
        "user_id": "ada",
        "epoch": 0,
        "delivery": "body",
        "amr": "pwd",
        "auth_time": 0,
        "device": "",
        "address": "",
        "created_at": ROTATED_AT,
        "used_before": ROTATED_AT,
        "expires_at": ROTATED_AT + timedelta(days=90),
    }
    rows = [asdict(case.row) | given | {"id": str(n)} for n, case in enumerate(cases())]
    tx.execute(insert(AuthSession.core()), rows)
