"""Preconditions: which version of a resource a change may be applied to."""

from dataclasses import dataclass

from itemsapi.problems import PreconditionFailed


@dataclass(frozen=True, slots=True)
class Precondition:
    """The versions that a change may be applied to: those `allowed` and not `forbidden`.

    `allowed=None` allows any version, `forbidden=None` forbids all. `advice` is the error message
    for a version that is not allowed.
    """

    allowed: frozenset[int] | None = None
    forbidden: frozenset[int] | None = frozenset()
    advice: str | None = None

    def check(self, version: int) -> None:
        """Raise `PreconditionFailed` unless this version may change (RFC 9110 section 13.2.2)."""
        if self.allowed is not None and version not in self.allowed:
            raise PreconditionFailed(self.advice)
        if self.forbidden is None or version in self.forbidden:
            raise PreconditionFailed


ExpectedVersion = Precondition | int | None  # a number is that version, None is any


def check_version(expected: ExpectedVersion, version: int) -> None:
    """Raise `PreconditionFailed` unless the stored version is an expected one."""
    if isinstance(expected, int):
        expected = Precondition(frozenset({expected}))
    if expected is not None:
        expected.check(version)
