"""Reach: how far somebody may go, and who acts. Nobody gives more than they have (S-084)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reach:
    """What roles give: `everything`, or these scopes, whether the application knows them or not."""

    everything: bool
    scopes: frozenset[str]

    def covers(self, other: "Reach") -> bool:
        """Tell whether `other` goes no further than this."""
        return self.everything or (not other.everything and other.scopes <= self.scopes)


EVERYTHING = Reach(everything=True, scopes=frozenset())


@dataclass(frozen=True, slots=True)
class Actor:
    """Who changes something: a user with the scopes of their token, or, without id, the operator.

    The operator sits at the command line of the host and is stopped by nothing in here.
    """

    user_id: str | None
    scopes: frozenset[str]


OPERATOR = Actor(None, frozenset())
