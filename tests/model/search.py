"""Breadth-first search of the states of a world."""

from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Generic, TypeVar

State = TypeVar("State", bound=Hashable)
Steps = Callable[[State], Iterable[tuple[str, State]]]


class Search(Generic[State]):
    """The reachable states of a world, nearest first; they are computed on demand."""

    def __init__(self, start: State, steps: Steps[State]) -> None:
        """Start at a state."""
        self.steps = steps
        self._came_from: dict[State, State | None] = {start: None}
        self._met = [start]
        self._expanded = 0

    def __iter__(self) -> Iterator[State]:
        """Yield each state; states are computed only as far as the caller iterates."""
        for place, state in enumerate(self._met):  # it grows during the loop
            yield state
            if place == self._expanded:
                self._expanded += 1
                self._expand(state)

    def _expand(self, state: State) -> None:
        """Add the next states that are new."""
        for _, after in self.steps(state):
            if after not in self._came_from:
                self._came_from[after] = state
                self._met.append(after)

    def way_to(self, wrong: Callable[[State], str]) -> list[str]:
        """Return the steps to the nearest state for which `wrong` returns a text, and the text."""
        for state in self:
            if complaint := wrong(state):
                return [*self._way(state), complaint]
        return []

    def _way(self, state: State) -> list[str]:
        """Return the steps that lead to a state."""
        way: list[str] = []
        while (before := self._came_from[state]) is not None:
            way.insert(0, next(step for step, after in self.steps(before) if after == state))
            state = before
        return way


def rounds(search: Search[State]) -> Iterator[set[str]]:
    """Yield, for each strongly connected set of states, the steps that stay in it.

    Every infinite path ends in such a set. Kosaraju's algorithm.
    """
    arrows = {state: list(search.steps(state)) for state in search}
    back: dict[State, list[State]] = {state: [] for state in arrows}
    for state, out in arrows.items():
        for _, after in out:
            back[after].append(state)
    home = _homes(_finished(arrows), back)
    stay: dict[State, set[str]] = {}
    for state, out in arrows.items():
        kept = {step for step, after in out if home[after] is home[state]}
        stay.setdefault(home[state], set()).update(kept)
    yield from stay.values()


def _finished(arrows: dict[State, list[tuple[str, State]]]) -> list[State]:
    """Return the states in the order in which a depth-first search finishes them."""
    done: list[State] = []
    met: set[State] = set()
    stack = [(state, False) for state in arrows]
    while stack:
        state, left = stack.pop()
        if left:
            done.append(state)
        elif state not in met:
            met.add(state)
            stack.append((state, True))
            stack.extend((after, False) for _, after in arrows[state] if after not in met)
    return done


def _homes(done: list[State], back: dict[State, list[State]]) -> dict[State, State]:
    """Map each state to the representative of its strongly connected set."""
    home: dict[State, State] = {}
    for first in reversed(done):
        stack = [first]
        while stack:
            state = stack.pop()
            if state not in home:
                home[state] = first
                stack.extend(back[state])
    return home
