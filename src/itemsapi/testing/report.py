"""The report of `assert_every_rule_is_enforced`: what was attacked, and what got through."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

MAX_ROWS = 100  # of failures in the text: a broken gate fails thousands of attacks


@dataclass(frozen=True, slots=True)
class Failure:
    """One attack that was not refused as it should be, or a caller who was refused wrongly."""

    route: str
    attack: str
    outcome: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EnforcementReport:
    """What was attacked.

    `guarded`: the routes that need a caller, as `GET /orders`; each was attacked. `attacks`: how
    many requests that were. `admitted`: how many of the routes let in every right credential that
    was tried. `not_tried`: guarded routes with a credential that the kit cannot make, as
    `POST /hook by bank`; they were attacked, and it was not tried whether that one gets in.
    `public`: the routes that need nothing, with the reason of each. `checked_by_view`: the routes
    whose credential is a refresh token, which the view checks; they were not attacked.
    """

    guarded: tuple[str, ...]
    attacks: int
    admitted: int
    not_tried: tuple[str, ...]
    public: Mapping[str, str]
    checked_by_view: tuple[str, ...]
    failures: tuple[Failure, ...]

    def __str__(self) -> str:
        """Return the counts, and a table of the failures."""
        counts = (
            f"{len(self.guarded)} guarded routes, {self.attacks} attacks, {self.admitted} callers "
            f"admitted, {len(self.public)} public routes, {len(self.failures)} failures"
        )
        rows = [(f.route, f.attack, f.outcome) for f in self.failures[:MAX_ROWS]]
        table = _table([("route", "attack", "outcome"), *rows]) if rows else []
        rest = len(self.failures) - len(rows)
        return "\n".join([counts, *table, *([f"... and {rest} more"] if rest else [])])


class RulesNotEnforced(AssertionError):
    """Attacks were not refused, or callers were; `report` has all of them."""

    def __init__(self, report: EnforcementReport) -> None:
        """Show the counts and the failures."""
        super().__init__(f"Rules are not enforced. {report}")
        self.report = report


def _table(rows: Sequence[tuple[str, str, str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
