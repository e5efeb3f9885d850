"""An attack: a request that the gate must refuse, and the refusal that must come."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from itemsapi.gate.rules import Rule
from itemsapi.testing.stopped_views import Outcome

Headers = Mapping[str, str]


class Refusal(NamedTuple):
    """A response: its status, and the `error` of its challenge (RFC 6750 section 3.1)."""

    status: int
    error: str | None = None

    def __str__(self) -> str:
        """Return it as the table of the failures shows it."""
        return f"{self.status} {self.error or ''}".rstrip()

    def matches(self, outcome: Outcome, rule: Rule) -> bool:
        """Return whether a request was refused, and in this way.

        A credential of the application refuses in its own way, so a rule that accepts no access
        token may refuse by any challenge: `INVALID` (401 `invalid_token`) also matches a 401
        `invalid_partner_key` there. `ANY_CHALLENGE` permits that for one attack.
        """
        if outcome.reached or (outcome.admitted and self != NO_OBJECT):
            return False
        if self in {NO_OBJECT, AMBIGUOUS}:
            return outcome.status == self.status
        if self == ANY_CHALLENGE or not rule.accepts_access_token:
            return outcome.challenge and outcome.status in {401, 403}
        return outcome.challenge and (outcome.status, outcome.error) == self


MISSING = Refusal(401)  # the challenge has no error: there was no credential
INVALID = Refusal(401, "invalid_token")
LACKS_SCOPE = Refusal(403, "insufficient_scope")
SIGN_IN_TOO_OLD = Refusal(401, "insufficient_user_authentication")  # RFC 9470 section 3
ANY_CHALLENGE = Refusal(401, "with any challenge")
AMBIGUOUS = Refusal(400)  # two credentials (S-011)
NO_OBJECT = Refusal(404)  # by the check of the object, when the gate has admitted (S-081)


@dataclass(frozen=True, slots=True)
class Attack:
    """A request with a bad credential: where it is, and the refusal that must come."""

    name: str
    refusal: Refusal
    headers: Headers = field(default_factory=dict, repr=False)
    query: Mapping[str, str] = field(default_factory=dict, repr=False)
    form: Mapping[str, str] = field(default_factory=dict, repr=False)


def bearer(token: str) -> dict[str, str]:
    """Return the header with a token or an API key, as it should be sent."""
    return {"Authorization": f"Bearer {token}"}


def bearer_attack(name: str, token: str, refusal: Refusal = INVALID) -> Attack:
    """Return the attack that sends a token as it should be sent."""
    return Attack(name, refusal, bearer(token))
