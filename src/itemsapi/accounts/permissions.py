"""Reach: how far somebody may go, and who acts. Nobody gives more than they have (S-084)."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Permissions:
    """What roles give: `everything`, or these scopes, whether the application knows them or not."""

    everything: bool
    scopes: frozenset[str]

    def covers(self, other: "Permissions") -> bool:
        """Tell whether `other` goes no further than this."""
        return self.everything or (not other.everything and other.scopes <= self.scopes)


ALL_PERMISSIONS = Permissions(everything=True, scopes=frozenset())


class Operator(Protocol):
    """Who changes users or roles: the caller of a request, or the command line, which has no id."""

    @property
    def user_id(self) -> str | None:
        """The caller's user; None on the command line, which nothing in here stops."""

    @property
    def scopes(self) -> frozenset[str]:
        """The scopes of the caller's token, which may be narrowed."""


@dataclass(frozen=True, slots=True)
class _CommandLine:
    user_id: None = None
    scopes: frozenset[str] = frozenset()


COMMAND_LINE: Operator = _CommandLine()
