"""An operator for tests that change users and roles without a request."""

from dataclasses import dataclass


@dataclass(frozen=True)
class FakeOperator:
    """An operator (`itemsapi.accounts.models.Operator`) with some scopes."""

    user_id: str | None
    scopes: frozenset[str]
