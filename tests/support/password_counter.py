"""Counts passwords that are verified: equal work for all is a promise (S-113, S-184)."""

from typing import Literal

import pytest
from argon2 import PasswordHasher

from itemsapi.accounts.passwords import hash_parameters_of


def count_verifications(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list to which each verification adds the parameters of its hash."""
    done: list[str] = []
    verify = PasswordHasher.verify

    def noted(self: PasswordHasher, stored: str, password: str) -> Literal[True]:
        done.append(str(hash_parameters_of(stored)))
        return verify(self, stored, password)

    monkeypatch.setattr(PasswordHasher, "verify", noted)
    return done
