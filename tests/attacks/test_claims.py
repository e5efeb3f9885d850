"""Claims with hostile values, correctly signed: only our own checks remain."""

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from itemsapi.tokens.claims import REQUIRED_CLAIMS
from support.forged_tokens import ACCEPTED, REJECTED, TokenForger
from support.odd_values import ID, NO_IDS, NO_WORDS

LOOSE = settings(
    max_examples=100,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
TIMES = ("exp", "iat", "auth_time", "gen")
WORDS = ("sub", "sid", "jti")
NO_NUMBERS: tuple[object, ...] = (
    None,
    True,
    False,
    "1",
    "",
    "9999999999",
    [],
    [1],
    {},
    1.5,
    1e10,
    -1,
    0,
    -(2**63),
    1e308,
    "Infinity",
    "0x7fffffff",
)
# The users of an application may have ids of any form.
NO_USER_IDS = (f"{ID}\n", f"{ID}\0", f"{ID[:-1]}\ud800", f"{ID[:-1]}\u202e", "\r\nX: y", "x" * 129)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)


@pytest.mark.parametrize("name", sorted(REQUIRED_CLAIMS))
def test_every_claim_is_required(forge: TokenForger, name: str) -> None:
    """A token without one of them is not ours; `exp` and `type` above all (S-024)."""
    assert forge.try_token(forge.with_claims(**{name: ...})) == REJECTED


@pytest.mark.parametrize("name", TIMES)
def test_a_token_is_rejected_when_a_numeric_claim_is_not_a_number(
    forge: TokenForger, name: str
) -> None:
    """Not a bool, not text, not a fraction, not zero or less (S-024)."""
    assert {forge.try_token(forge.with_claims(**{name: value})) for value in NO_NUMBERS} == {
        REJECTED
    }


def test_a_token_is_rejected_when_its_epoch_is_not_a_whole_number(forge: TokenForger) -> None:
    """It is zero before the first revocation (S-112)."""
    odd = [value for value in NO_NUMBERS if value != 0 or isinstance(value, bool)]
    assert {forge.try_token(forge.with_claims(epoch=value)) for value in odd} == {REJECTED}
    assert forge.try_token(forge.with_claims(epoch=0)) == ACCEPTED


@pytest.mark.parametrize("name", WORDS)
def test_a_token_is_rejected_when_an_id_is_not_a_word(forge: TokenForger, name: str) -> None:
    """Not null, not empty, not a number, not longer than an id (S-033)."""
    assert {forge.try_token(forge.with_claims(**{name: value})) for value in NO_WORDS} == {REJECTED}


@pytest.mark.parametrize("user_id", ["7", "x" * 128, "grace@example.com", ID.upper()])
def test_a_token_of_a_user_of_any_application_is_accepted(forge: TokenForger, user_id: str) -> None:
    """Its user may have a number, an address or another text as the id."""
    assert forge.try_token(forge.with_claims(sub=user_id)) == ACCEPTED


def test_a_token_is_rejected_when_the_id_of_the_user_is_not_printable(forge: TokenForger) -> None:
    """NUL or half of a surrogate pair would be an error in the database (S-033)."""
    verdicts = {forge.try_token(forge.with_claims(sub=value)) for value in NO_USER_IDS}
    assert verdicts == {REJECTED}


@pytest.mark.parametrize("name", ["sid", "jti"])
def test_a_token_is_rejected_when_an_id_has_another_form(forge: TokenForger, name: str) -> None:
    """NUL or half of a surrogate pair would be an error in the database (S-033)."""
    assert {forge.try_token(forge.with_claims(**{name: value})) for value in NO_IDS} == {REJECTED}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("gen", 2**63),
        ("gen", 10**30),
        ("epoch", 2**63),
        ("auth_time", 2**63 - 1),
        ("auth_time", 10**12),
        ("aud", ["itemsapi", "\ud800"]),
        ("aud", ["itemsapi", "x\0"]),
        ("amr", ["pwd", "\ud800"]),
        ("amr", ["\x1b[2J"]),
    ],
)
def test_a_token_is_rejected_when_a_claim_cannot_be_stored_or_returned(
    forge: TokenForger, name: str, value: object
) -> None:
    """In a row, in `GET /me` or in the response of introspection (S-033)."""
    assert forge.try_token(forge.with_claims(**{name: value})) == REJECTED


@pytest.mark.parametrize(
    ("name", "value", "verdict"),
    [
        ("gen", 2**63 - 1, ACCEPTED),
        ("gen", 2**63, REJECTED),
        ("gen", 0, REJECTED),
        ("epoch", 0, ACCEPTED),
        ("epoch", 2**63 - 1, ACCEPTED),
        ("auth_time", 1, ACCEPTED),
        ("auth_time", 253_402_300_799, ACCEPTED),
        ("auth_time", 253_402_300_800, REJECTED),
        ("amr", ["x", "y" * 200], ACCEPTED),
        ("amr", ["y" * 201], REJECTED),
        ("amr", [""], REJECTED),
    ],
)
def test_the_limits_of_claims_are_exact(
    forge: TokenForger, name: str, value: object, verdict: str
) -> None:
    """S-033: 64 bits, the last second of the calendar, 200 characters."""
    assert forge.try_token(forge.with_claims(**{name: value})) == verdict


@pytest.mark.parametrize(("brackets", "verdict"), [(14, ACCEPTED), (15, REJECTED)])
def test_a_payload_nests_at_most_sixteen_deep(
    forge: TokenForger, brackets: int, verdict: str
) -> None:
    """S-014: the payload itself and `amr` are two of them."""
    nested: object = 1
    for _ in range(brackets):
        nested = [nested]
    assert forge.try_token(forge.with_claims(x=nested)) == verdict


@pytest.mark.parametrize("name", ["fresh", "amr"])
def test_a_token_is_rejected_when_another_claim_is_malformed(forge: TokenForger, name: str) -> None:
    """Views may read these claims, so their types are checked (S-033)."""
    odd: list[object] = [None, 1, "x", {}, [1], [[]], [None], [""]]
    assert {forge.try_token(forge.with_claims(**{name: value})) for value in odd} == {REJECTED}


@LOOSE
@given(
    name=st.sampled_from(sorted(REQUIRED_CLAIMS - {"aud", "fresh", "amr", "scope", "sub"})),
    value=json_values,
)
@example(name="gen", value=2**63 - 1)
@example(name="gen", value=2**63)
@example(name="auth_time", value=253_402_300_799)
@example(name="auth_time", value=253_402_300_800)
def test_no_value_of_a_claim_causes_an_error(forge: TokenForger, name: str, value: object) -> None:
    """Any JSON in any claim: 401, or the same meaning as before; never 5xx (S-014)."""
    verdict = forge.try_token(forge.with_claims(**{name: value}))
    least = {"gen": 1, "auth_time": 1, "epoch": 0}.get(name)
    most = 253_402_300_799 if name == "auth_time" else 2**63 - 1  # the end of 9999; a bigint
    number = type(value) is int and least is not None and least <= value <= most
    assert verdict == ACCEPTED if number else verdict == REJECTED


@LOOSE
@given(extra=st.dictionaries(st.text(max_size=10), json_values, max_size=4))
def test_unknown_claims_are_ignored(forge: TokenForger, extra: dict[str, object]) -> None:
    """A later version may add some (S-014, S-028)."""
    surplus = {
        name: value for name, value in extra.items() if name not in REQUIRED_CLAIMS | {"nbf"}
    }
    assert forge.try_token(forge.with_claims(**surplus)) in {ACCEPTED, REJECTED}


def test_an_access_token_has_exactly_the_documented_claims(forge: TokenForger) -> None:
    """No mail address, no name, no role (S-032): the list is in tokens.claims."""
    assert forge.payload.keys() == REQUIRED_CLAIMS - {"nbf"} | {"aud"}
    assert forge.header.keys() == {"alg", "kid", "typ"}
