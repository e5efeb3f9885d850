"""Rules: a rule looks at claims and says yes, or raises why not."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from itemsapi.gate.rules import Rule
from itemsapi.problems import ScopeMissing, TokenMissing
from itemsapi.tokens.claims import Claims
from itemsapi.tokens.scopes import BUILTIN_SCOPES, ITEMS_READ

NAMES = [scope.name for scope in BUILTIN_SCOPES]
some_scopes = st.frozensets(st.sampled_from(NAMES))


def claims(scopes: frozenset[str]) -> Claims:
    """Return the claims of somebody with these scopes."""
    nothing: Mapping[str, object] = {}
    return Claims("u", "s", 1, 0, "j", 1, 2, 1, ("pwd",), scopes, nothing, nothing)


@given(wanted=some_scopes.filter(bool), held=some_scopes)
def test_all_scopes_of_the_rule_must_be_held(wanted: frozenset[str], held: frozenset[str]) -> None:
    """No other scope makes up for one that is missing (S-009, S-085)."""
    rule = Rule("scopes", tuple(wanted))
    if wanted <= held:
        rule.check(claims(held))
        return
    with pytest.raises(ScopeMissing) as refusal:
        rule.check(claims(held))
    assert refusal.value.scopes == tuple(sorted(wanted))


@pytest.mark.parametrize("kind", ["signed in", "scopes"])
def test_nobody_is_let_in_without_claims(kind: str) -> None:
    """A missing token is not a token without scopes (S-001)."""
    with pytest.raises(TokenMissing):
        Rule(kind, (ITEMS_READ,) if kind == "scopes" else ()).check(None)  # type: ignore[arg-type]  # a parameter is text


@pytest.mark.parametrize("kind", ["public", "refresh token", "refresh token or signed in"])
def test_the_other_kinds_need_no_claims(kind: str) -> None:
    """What they need instead, the view or the flow looks at."""
    rule = Rule(kind)  # type: ignore[arg-type]  # as above
    rule.check(None)
    rule.check(claims(frozenset()))
    assert rule.accepts_access_token is False


@given(kind=st.text(max_size=30))
def test_an_unknown_kind_lets_nobody_in(kind: str) -> None:
    """Fail closed, whatever a rule made by hand may say (S-002)."""
    if kind in {"public", "refresh token", "refresh token or signed in"}:
        return
    with pytest.raises(TokenMissing):
        Rule(kind).check(None)  # type: ignore[arg-type]  # that is the point


def test_a_rule_reads_as_the_matrix_prints_it() -> None:
    """Scopes by name, the other kinds by their own."""
    assert str(Rule("scopes", ("users:read", ITEMS_READ))) == "items:read users:read"
    assert str(Rule("signed in")) == "signed in"
