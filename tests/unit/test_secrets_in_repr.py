"""No password and no token is in the `repr` of a value, from where it could get into a log."""

from datetime import UTC, datetime

import pytest

from itemsapi.issuer.grants import Grant
from itemsapi.issuer.login import LoginRequest
from itemsapi.issuer.passwords import PasswordChange

SECRETS = ("s3cret-one", "s3cret-two")


@pytest.mark.parametrize(
    "value",
    [
        LoginRequest("ada", SECRETS[0]),
        PasswordChange("u", "s", *SECRETS),
        Grant(SECRETS[0], 60, "", "s", SECRETS[1], "body", datetime.now(UTC)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_secret_is_not_in_the_repr(value: object) -> None:
    """Neither of passwords nor of tokens (S-150)."""
    assert [secret for secret in SECRETS if secret in repr(value)] == []
