"""`WWW-Authenticate` challenges (RFC 6750 section 3, RFC 9110 section 11)."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from itemsapi.problem_list import list_problems
from itemsapi.problems import (
    Challenge,
    Problem,
    ScopeMissing,
    StepUpRequired,
    TokenMissing,
)
from itemsapi.tokens.scopes import Scope

CHALLENGES = [kind for kind in list_problems() if issubclass(kind, Challenge)]
# error and error_description: %x20-21 / %x23-5B / %x5D-7E (RFC 6750 section 3).
QUOTED = r'"[\x20-\x21\x23-\x5b\x5d-\x7e]*"'
SHAPE = re.compile(rf"Bearer realm={QUOTED}(, [a-z_]+={QUOTED})*")
NAME = st.from_regex(r"[a-z][a-z0-9_.-]{0,40}:[a-z][a-z0-9_.-]{0,40}", fullmatch=True)


def challenge(problem: Problem) -> str:
    """Return the challenge of a problem."""
    return problem.headers()["WWW-Authenticate"]


@pytest.mark.parametrize("kind", CHALLENGES, ids=lambda kind: kind.__name__)
def test_every_challenge_is_well_formed(kind: type[Challenge]) -> None:
    """Allowed characters only, each parameter once (S-008, S-010)."""
    header = challenge(ScopeMissing("items:read") if kind is ScopeMissing else kind())
    names = re.findall(r"(\w+)=", header)
    assert SHAPE.fullmatch(header)
    assert len(names) == len(set(names))


@pytest.mark.parametrize("kind", list_problems(), ids=lambda kind: kind.__name__)
def test_no_advice_names_a_path(kind: type[Problem]) -> None:
    """The paths of the layer depend on `url_prefix`."""
    assert not re.search(r"(GET|POST|PUT|PATCH|DELETE) /", kind.advice)


def test_the_advice_to_sign_in_again_names_no_path() -> None:
    """It has its own text."""
    assert StepUpRequired(60).detail == "Sign in again; that is valid for 60 s."


@pytest.mark.parametrize("kind", CHALLENGES, ids=lambda kind: kind.__name__)
def test_errors_are_those_of_the_rfc(kind: type[Challenge]) -> None:
    """With their status (RFC 6750 section 3.1); other challenges have no error."""
    assert (kind.error, kind.status) in {
        (None, 401), (None, 403), ("invalid_token", 401), ("insufficient_scope", 403),
        ("insufficient_user_authentication", 401),
    }  # fmt: skip


@given(names=st.lists(NAME, min_size=1, max_size=5, unique=True))
def test_a_missing_scope_is_named_whatever_its_name(names: list[str]) -> None:
    """All scopes of the rule, in one order, in allowed characters (S-009, S-010)."""
    scopes = [Scope(name, "A test") for name in names]
    header = challenge(ScopeMissing(*map(str, scopes)))
    assert SHAPE.fullmatch(header)
    assert header.endswith(f'scope="{" ".join(sorted(names))}"')


@given(detail=st.text(max_size=50))
def test_a_challenge_does_not_contain_the_detail(detail: str) -> None:
    """Text that a view sets appears in the body only (S-010)."""
    assert challenge(TokenMissing(detail)) == 'Bearer realm="itemsapi"'
