"""What keys are called."""

from itemsapi.tokens.keys import generate_key


def test_no_key_is_named_like_an_option() -> None:
    """One thumbprint in 64 begins with `-`, and `keys withdraw` must take every key (S-147)."""
    assert not any(generate_key("EdDSA").kid.startswith("-") for _ in range(1000))
