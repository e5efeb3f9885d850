"""Permissions of operators. Nobody can give more than they have (S-084)."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Permissions:
    """The permissions of roles: `everything`, or these scopes, known to the application or not."""

    everything: bool
    scopes: frozenset[str]

    def covers(self, other: "Permissions") -> bool:
        """Return whether these permissions include all of `other`."""
        return self.everything or (not other.everything and other.scopes <= self.scopes)


ALL_PERMISSIONS = Permissions(everything=True, scopes=frozenset())


class Operator(Protocol):
    """The caller of a request that changes users or roles, or the command line, which has no id."""

    @property
    def user_id(self) -> str | None:
        """The id of the caller's user; None on the command line, which has all permissions."""

    @property
    def scopes(self) -> frozenset[str]:
        """The scopes of the caller's token, which may be narrowed."""


@dataclass(frozen=True, slots=True)
class _CommandLine:
    user_id: None = None
    scopes: frozenset[str] = frozenset()


COMMAND_LINE: Operator = _CommandLine()
