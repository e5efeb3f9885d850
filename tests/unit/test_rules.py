"""Rules: a rule accepts claims or raises a problem, and documents both."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from itemsapi.gate.csrf import origin_of
from itemsapi.gate.openapi import describe_rule, problems_of_rule, security_requirements
from itemsapi.gate.rules import Rule
from itemsapi.problems import (
    CrossSite,
    GateUnavailable,
    PasswordChangeRequired,
    Problem,
    RefreshInvalid,
    RefreshReused,
    ScopeMissing,
    TokenInvalid,
    TokenMissing,
    TooManyRequests,
)
from itemsapi.tokens.claims import Claims
from itemsapi.tokens.scopes import BUILTIN_SCOPES, ITEMS_READ, PASSWORD_CHANGE

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


def test_a_rule_is_limited_and_needs_a_password_of_ones_own_by_default() -> None:
    """S-119: what a rule permits beyond that, its route says."""
    rule = Rule("signed in")
    assert (rule.limited, rule.before_password_change, rule.scope_names) == (
        True,
        False,
        frozenset(),
    )


@pytest.mark.parametrize("kind", ["signed in", "scopes"])
def test_a_token_of_a_temporary_password_is_rejected(kind: str) -> None:
    """S-119: before its missing scope is reported."""
    with pytest.raises(PasswordChangeRequired):
        Rule(kind, (ITEMS_READ,)).check(claims(frozenset({PASSWORD_CHANGE.name})))  # type: ignore[arg-type]  # a parameter is text


def test_a_token_of_a_temporary_password_is_accepted_where_the_rule_says_so() -> None:
    """S-119: to change that password."""
    Rule("signed in", before_password_change=True).check(claims(frozenset({PASSWORD_CHANGE.name})))


def test_the_text_of_a_rule_names_its_exceptions() -> None:
    """The access matrix shows them."""
    assert str(Rule("public", limited=False)) == "public, never limited"
    assert str(Rule("signed in", before_password_change=True)) == (
        "signed in, before a password change too"
    )


@pytest.mark.parametrize(
    ("kind", "accepts"),
    [
        ("public", (False, False)),
        ("signed in", (True, False)),
        ("scopes", (True, False)),
        ("refresh token", (False, True)),
        ("refresh token or signed in", (False, True)),
    ],
)
def test_each_kind_of_rule_accepts_its_credentials(kind: str, accepts: tuple[bool, bool]) -> None:
    """An access token, a refresh token, or none."""
    rule = Rule(kind)  # type: ignore[arg-type]  # as above
    assert (rule.accepts_access_token, rule.accepts_refresh_token) == accepts


BY_ACCESS_TOKEN = {TokenMissing, TokenInvalid, GateUnavailable}
BY_REFRESH_TOKEN = {RefreshInvalid, RefreshReused, CrossSite}


@pytest.mark.parametrize(
    ("rule", "problems"),
    [
        (Rule("public", limited=False), set()),
        (Rule("public"), {TooManyRequests}),
        (Rule("signed in"), {TooManyRequests, PasswordChangeRequired, *BY_ACCESS_TOKEN}),
        (Rule("signed in", before_password_change=True), {TooManyRequests, *BY_ACCESS_TOKEN}),
        (
            Rule("scopes", (ITEMS_READ,)),
            {TooManyRequests, PasswordChangeRequired, ScopeMissing, *BY_ACCESS_TOKEN},
        ),
        (Rule("refresh token"), {TooManyRequests, *BY_REFRESH_TOKEN}),
    ],
)
def test_a_rule_documents_the_problems_it_can_cause(
    rule: Rule, problems: set[type[Problem]]
) -> None:
    """No more and no less."""
    assert set(problems_of_rule(rule)) == problems


@pytest.mark.parametrize(
    ("rule", "requirements"),
    [
        (Rule("public"), []),
        (Rule("signed in"), [{"bearer": []}]),
        (Rule("scopes", ("b:x", "a:x")), [{"bearer": ["a:x", "b:x"]}]),
        (Rule("refresh token"), [{}]),
        (Rule("refresh token or signed in"), [{"bearer": []}, {}]),
    ],
)
def test_a_rule_documents_the_credentials_it_accepts(
    rule: Rule, requirements: list[dict[str, list[str]]]
) -> None:
    """A refresh token has no scheme, so its route needs none."""
    assert security_requirements(rule) == requirements


def test_only_the_rule_of_a_public_route_is_described_with_its_reason() -> None:
    """The others need none."""
    assert describe_rule(Rule("public", reason="all may look")) == "public: all may look"
    assert describe_rule(Rule("signed in", reason="none")) == "signed in"


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://Shop.example/app", "https://shop.example"),
        ("https://shop.example:443", "https://shop.example"),
        ("http://shop.example:80/", "http://shop.example"),
        ("https://shop.example:80", "https://shop.example:80"),
        ("http://shop.example:443", "http://shop.example:443"),
        ("https://shop.example:8443", "https://shop.example:8443"),
        ("http://[::1]:8000/x", "http://[::1]:8000"),
    ],
)
def test_an_origin_is_written_as_browsers_write_it(url: str, origin: str) -> None:
    """RFC 6454 section 6.2: in lower case, without the default port of its scheme."""
    assert origin_of(url) == origin
