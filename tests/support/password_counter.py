"""Count password verifications, to check that each login does the same work (S-113, S-184)."""

from typing import Any, Literal

import pytest
from argon2 import PasswordHasher, low_level

from itemsapi.accounts.passwords import hash_parameters_of


def count_verifications(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list to which each verification adds the parameters of its hash."""
    verified_parameters: list[str] = []
    verify, core = PasswordHasher.verify, low_level.core

    def counting_verify(self: PasswordHasher, password_hash: str, password: str) -> Literal[True]:
        verified_parameters.append(str(hash_parameters_of(password_hash)))
        return verify(self, password_hash, password)

    def counting_core(context: Any, kind: int) -> int:
        costs = f"m={context.m_cost},t={context.t_cost},p={context.lanes}"
        verified_parameters.append(f"$argon2id$v={context.version}${costs}")
        return core(context, kind)

    monkeypatch.setattr(PasswordHasher, "verify", counting_verify)  # foreign hashes
    monkeypatch.setattr(low_level, "core", counting_core)
    return verified_parameters
