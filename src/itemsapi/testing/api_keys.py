"""API keys to attack with: valid ones with any scopes, and such as the gate must refuse.

They are rows in the database of the application, of three users that are created for them: one with
all scopes, one with none, and one who is disabled.
"""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from flask import Flask

from itemsapi.accounts.models import ADMIN_ROLE, COMMAND_LINE
from itemsapi.clock import new_id
from itemsapi.gate.rules import Rule
from itemsapi.services import services_of
from itemsapi.testing.application import create_user
from itemsapi.testing.attack import LACKS_SCOPE, MISSING, Attack, bearer_attack
from itemsapi.tokens.api_keys import (
    CHECKSUM_LENGTH,
    PREFIX,
    SHOWN_LENGTH,
    ApiKey,
    hash_api_key,
    make_api_key,
)
from itemsapi.tokens.scopes import format_scopes

DAY = timedelta(days=1)


class ApiKeyForger:
    """Makes API keys for one application whose users are those of the layer."""

    def __init__(self, app: Flask) -> None:
        """Create the users, and the keys that every route must refuse."""
        self._app, self._services = app, services_of(app)
        self._owner = self._user(ADMIN_ROLE)
        self._without_scopes = self._user()
        self.valid = self.key(self._known)
        self._broken = self._make_broken()

    def key(self, scopes: frozenset[str], user_id: str | None = None, **columns: Any) -> str:
        """Return a new key with these scopes, of the user with all scopes by default.

        `columns` are other values of its row.
        """
        key, now = make_api_key(), self._services.clock()
        row: dict[str, Any] = {"created_at": now, "expires_at": now + DAY, **columns}
        with self._services.database.transaction() as tx:
            tx.add(
                ApiKey(
                    id=new_id(),
                    user_id=user_id or self._owner,
                    name="testing",
                    scopes=format_scopes(scopes),
                    hash=hash_api_key(key),
                    shown=key[:SHOWN_LENGTH],
                    **row,
                )
            )
        return key

    def attacks(self, rule: Rule) -> Iterator[Attack]:
        """Yield what a rule that accepts API keys must refuse."""
        yield Attack("API key in X-API-Key", MISSING, {"X-API-Key": self.valid})
        yield Attack("API key in the query", MISSING, query={"api_key": self.valid})
        for name, key in self._broken.items():
            yield bearer_attack(f"API key, {name}", key)
        if rule.scope_names:
            key = self.key(self._known, self._without_scopes)
            yield bearer_attack("API key, its user lost all scopes", key, LACKS_SCOPE)
        for scope in sorted(rule.scope_names):
            yield bearer_attack(
                f"API key without {scope}", self.key(self._known - {scope}), LACKS_SCOPE
            )

    def _make_broken(self) -> dict[str, str]:
        """Return keys with one defect each; one of them has the right form and checksum."""
        now, secret = self._services.clock(), self.valid[: -CHECKSUM_LENGTH - 1]
        return {
            "empty": PREFIX,
            "cut": self.valid[:-1],
            "longer": f"{self.valid}0",
            "the beginning of one": secret,
            "in capitals": self.valid.upper(),
            "unknown": make_api_key(),
            "expired": self.key(self._known, created_at=now - 2 * DAY, expires_at=now - DAY),
            "revoked": self.key(self._known, revoked_at=now),
            "of a disabled user": self.key(self._known, self._disabled_user()),
        }

    @property
    def _known(self) -> frozenset[str]:
        return frozenset(self._services.scopes())

    def _user(self, *roles: str) -> str:
        return create_user(self._app, f"testing-{new_id()[-12:]}", roles=roles)

    def _disabled_user(self) -> str:
        user_id = self._user(ADMIN_ROLE)
        self._services.users.change(COMMAND_LINE, user_id, None, disabled=True)
        return user_id
