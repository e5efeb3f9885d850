"""Times in claims, correctly signed: their form, the leeway and the longest life."""

import json
import math

import pytest

from support.forged_tokens import ACCEPTED, REJECTED, TokenForger

HOUR_AND_JITTER = 3781  # seconds: the longest life that can be set, and 5 % of it


@pytest.mark.parametrize("name", ["nbf", "iat", "exp"])
@pytest.mark.parametrize("text", ["1e9999", "-1e9999", "1" + "0" * 400, "1.0", "1e10", "NaN"])
def test_a_token_is_rejected_when_a_time_is_huge_or_fractional(
    forge: TokenForger, name: str, text: str
) -> None:
    """Only finite whole numbers, in any notation (S-024)."""
    claims = {claim: value for claim, value in forge.payload.items() if claim != name}
    body = f'{{"{name}": {text}, {json.dumps(claims)[1:]}'
    assert forge.try_token(forge.token(payload=body)) == REJECTED


@pytest.mark.parametrize("value", [True, "1", [], {}, 1.5, None, -1, math.pi])
def test_a_token_is_rejected_when_nbf_is_not_a_whole_number(
    forge: TokenForger, value: object
) -> None:
    """Our tokens have none, so an odd one is a forgery (S-024)."""
    assert forge.try_token(forge.with_claims(nbf=value)) == REJECTED


@pytest.mark.parametrize(
    ("iat", "life", "verdict"),
    [
        (0, 600, ACCEPTED),
        (60, 600, ACCEPTED),
        (61, 600, REJECTED),
        (-600, 600, REJECTED),
        (-600, 601, ACCEPTED),
        (0, HOUR_AND_JITTER, ACCEPTED),
        (0, HOUR_AND_JITTER + 1, REJECTED),
        (-HOUR_AND_JITTER, 2 * HOUR_AND_JITTER, REJECTED),
        (10, -5, REJECTED),
        (10, 0, REJECTED),
    ],
)
def test_times_and_lifetime_have_exact_limits(
    forge: TokenForger, iat: int, life: int, verdict: str
) -> None:
    """`iat` at most a minute ahead, `exp` without leeway, a maximum lifetime (S-024)."""
    now = int(forge.backend.clock().timestamp())
    token = forge.with_claims(iat=now + iat, exp=now + iat + life)
    assert forge.try_token(token) == verdict


@pytest.mark.parametrize(("nbf", "verdict"), [(-60, ACCEPTED), (60, ACCEPTED), (61, REJECTED)])
def test_nbf_has_a_minute_of_leeway(forge: TokenForger, nbf: int, verdict: str) -> None:
    """Documented and bounded (S-024)."""
    now = int(forge.backend.clock().timestamp())
    assert forge.try_token(forge.with_claims(nbf=now + nbf)) == verdict
