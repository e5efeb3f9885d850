"""Rules: a rule accepts claims or raises a problem."""

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
    """Return claims with these scopes."""
    nothing: Mapping[str, object] = {}
    return Claims("u", "s", 1, 0, "j", 1, 2, 1, ("pwd",), scopes, nothing, nothing)


@given(required=some_scopes.filter(bool), granted=some_scopes)
def test_all_scopes_of_a_rule_are_required(
    required: frozenset[str], granted: frozenset[str]
) -> None:
    """No other scope replaces a missing one (S-009, S-085)."""
    rule = Rule("scopes", tuple(required))
    if required <= granted:
        rule.check(claims(granted))
        return
    with pytest.raises(ScopeMissing) as raised:
        rule.check(claims(granted))
    assert raised.value.scopes == tuple(sorted(required))


@pytest.mark.parametrize("kind", ["signed in", "scopes"])
def test_a_rule_rejects_a_request_without_claims(kind: str) -> None:
    """A missing token is not a token without scopes (S-001)."""
    with pytest.raises(TokenMissing):
        Rule(kind, (ITEMS_READ,) if kind == "scopes" else ()).check(None)  # type: ignore[arg-type]  # a parameter is text


@pytest.mark.parametrize("kind", ["public", "refresh token", "refresh token or signed in"])
def test_the_other_kinds_need_no_claims(kind: str) -> None:
    """The view or the issuer checks what they require instead."""
    rule = Rule(kind)  # type: ignore[arg-type]  # as above
    rule.check(None)
    rule.check(claims(frozenset()))
    assert rule.accepts_access_token is False


@given(kind=st.text(max_size=30))
def test_an_unknown_kind_rejects_every_request(kind: str) -> None:
    """Fail closed, whatever kind a rule has (S-002)."""
    if kind in {"public", "refresh token", "refresh token or signed in"}:
        return
    with pytest.raises(TokenMissing):
        Rule(kind).check(None)  # type: ignore[arg-type]  # that is the point


def test_the_text_of_a_rule_is_that_of_the_matrix() -> None:
    """Scopes by name, the other kinds by their own."""
    assert str(Rule("scopes", ("users:read", ITEMS_READ))) == "items:read users:read"
    assert str(Rule("signed in")) == "signed in"
