"""Which version a change was made against: what must hold of the one that is stored."""

from dataclasses import dataclass

from itemsapi.problems import PreconditionFailed


@dataclass(frozen=True, slots=True)
class Precondition:
    """The versions that a change may meet: `among` these, and not `unless` it is one of those.

    `among=None` is any, `unless=None` is all there are. `advice` says what to do instead.
    """

    among: frozenset[int] | None = None
    unless: frozenset[int] | None = frozenset()
    advice: str | None = None

    def demand(self, version: int) -> None:
        """Raise `PreconditionFailed` unless this version may be changed (RFC 9110 13.2.2)."""
        if self.among is not None and version not in self.among:
            raise PreconditionFailed(self.advice)
        if self.unless is None or version in self.unless:
            raise PreconditionFailed


Expected = Precondition | int | None  # a number is that version alone, None is whichever there is


def check_version(expected: Expected, version: int) -> None:
    """Raise `PreconditionFailed` unless the stored version is one that was expected."""
    if isinstance(expected, int):
        expected = Precondition(frozenset({expected}))
    if expected is not None:
        expected.demand(version)
