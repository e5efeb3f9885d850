"""Challenges: what `WWW-Authenticate` may hold (RFC 6750 section 3, RFC 9110 section 11)."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from itemsapi.problems import Challenge, Problem, ScopeMissing, TokenMissing, list_problems
from itemsapi.tokens.scopes import Scope

CHALLENGES = [kind for kind in list_problems() if issubclass(kind, Challenge)]
# error and error_description: %x20-21 / %x23-5B / %x5D-7E (RFC 6750 section 3).
QUOTED = r'"[\x20-\x21\x23-\x5b\x5d-\x7e]*"'
SHAPE = re.compile(rf"Bearer realm={QUOTED}(, [a-z_]+={QUOTED})*")
NAME = st.from_regex(r"[a-z][a-z0-9_.-]{0,40}:[a-z][a-z0-9_.-]{0,40}", fullmatch=True)


def challenge(problem: Problem) -> str:
    """Return the challenge of a refusal."""
    return problem.headers()["WWW-Authenticate"]


@pytest.mark.parametrize("kind", CHALLENGES, ids=lambda kind: kind.__name__)
def test_every_challenge_is_well_formed(kind: type[Challenge]) -> None:
    """Allowed characters only, each parameter once (S-008, S-010)."""
    said = challenge(ScopeMissing("items:read") if kind is ScopeMissing else kind())
    names = re.findall(r"(\w+)=", said)
    assert SHAPE.fullmatch(said)
    assert len(names) == len(set(names))


@pytest.mark.parametrize("kind", CHALLENGES, ids=lambda kind: kind.__name__)
def test_errors_are_those_of_the_rfc(kind: type[Challenge]) -> None:
    """With their status (RFC 6750 section 3.1); others name no error."""
    assert (kind.error, kind.status) in {
        (None, 401), (None, 403), ("invalid_token", 401), ("insufficient_scope", 403),
        ("insufficient_user_authentication", 401),
    }  # fmt: skip


@given(names=st.lists(NAME, min_size=1, max_size=5, unique=True))
def test_a_missing_scope_is_named_whatever_its_name(names: list[str]) -> None:
    """All scopes of the rule, in one order, in allowed characters (S-009, S-010)."""
    scopes = [Scope(name, "A test") for name in names]
    said = challenge(ScopeMissing(*map(str, scopes)))
    assert SHAPE.fullmatch(said)
    assert said.endswith(f'scope="{" ".join(sorted(names))}"')


@given(detail=st.text(max_size=50))
def test_a_detail_never_gets_into_a_challenge(detail: str) -> None:
    """Whatever a view says in its own words goes into the body alone (S-010)."""
    assert challenge(TokenMissing(detail)) == 'Bearer realm="itemsapi"'
