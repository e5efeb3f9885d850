"""Count password verifications, to check that each login does the same work (S-113, S-184)."""

from typing import Literal

import pytest
from argon2 import PasswordHasher

from itemsapi.accounts.passwords import hash_parameters_of


def count_verifications(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list to which each verification adds the parameters of its hash."""
    verified_parameters: list[str] = []
    verify = PasswordHasher.verify

    def counting_verify(self: PasswordHasher, password_hash: str, password: str) -> Literal[True]:
        verified_parameters.append(str(hash_parameters_of(password_hash)))
        return verify(self, password_hash, password)

    monkeypatch.setattr(PasswordHasher, "verify", counting_verify)
    return verified_parameters
