"""How an endpoint says who may use it: one decorator, above or below `route`, in any order.

The decorators only leave a note on the function; the gate enforces it, the rulebook makes sure at
boot that every route has exactly one, OpenAPI shows it. Nothing is wrapped, so no order of
decorators can open a route.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TypeVar

from itemsapi.gate.rules import Rule
from itemsapi.tokens.scopes import Scope

NOTE = "__itemsapi_rule__"
ABOVE = "__itemsapi_rule_above__"  # rules of the wrappers around a function

View = TypeVar("View", bound=Callable[..., object])


def requires(*scopes: Scope | str) -> Callable[[View], View]:
    """Let in who has *all* of `scopes`, each a `Scope` or the name of a known one.

    Raises `ValueError` without any: "signed in, whatever the scopes" is `@signed_in`.
    """
    if not scopes:
        msg = "@requires() names no scope; use @signed_in or @public(why)"
        raise ValueError(msg)
    return _noted(Rule("scopes", scopes))


def signed_in(view: View) -> View:
    """Let in everybody with a good access token."""
    return _noted(Rule("signed in"))(view)


def signed_in_to_change_password(view: View) -> View:
    """Let in everybody with a good access token, also one that may only set another password."""
    return _noted(Rule("signed in", before_password_change=True))(view)


def public(reason: str, *, limited: bool = True) -> Callable[[View], View]:
    """Let in everybody, and say why that is right; the matrix shows the reason.

    With `limited=False` no rate limit counts the route: for what costs next to nothing and must be
    answered whoever else asks from the same address, as a load balancer's question.
    """
    if not isinstance(reason, str) or not reason.strip():  # type: ignore[redundant-expr]  # @public without () hands a function
        msg = '@public needs a reason: @public("why everybody may use this")'
        raise ValueError(msg)
    return _noted(Rule("public", reason=reason, limited=limited))


def refresh_token(view: View) -> View:
    """Let in who shows a refresh token, in the body or in the cookie; the flow verifies it."""
    return _noted(Rule("refresh token"))(view)


def refresh_token_or_signed_in(view: View) -> View:
    """Let in who shows a refresh token or a good access token: to sign out, which all may."""
    return _noted(Rule("refresh token or signed in", before_password_change=True))(view)


def declared_rules(view: object) -> tuple[Rule, ...]:
    """Return the rules noted on a view, what it wraps, and (for a class) its bases; each once.

    A rule on a wrapper of the view counts only against others: had it been forgotten on the view
    itself, that is no rule; had another been given, one of the two would silently have no effect.
    """
    noted = [rule for layer in _layers(view) for rule in _own(layer)]
    noted += getattr(view, ABOVE, ()) if noted else ()
    return tuple(rule for at, rule in enumerate(noted) if not any(rule is r for r in noted[:at]))


def _layers(view: object) -> Iterator[object]:
    """Yield a class and all its bases: of two rules the nearest must not hide the other.

    Or a function and all that it wraps; wrappers that wrap one another end the search.
    """
    if isinstance(view, type):
        yield from view.__mro__
        return
    seen: list[object] = []
    while view is not None and not any(view is layer for layer in seen):
        seen.append(view)
        yield view
        view = getattr(view, "__wrapped__", None)


def _own(layer: object) -> tuple[Rule, ...]:
    found = vars(layer).get(NOTE, ()) if isinstance(layer, type) else getattr(layer, NOTE, ())
    return tuple(found)


def _noted(rule: Rule) -> Callable[[View], View]:
    def note(view: View) -> View:
        setattr(view, NOTE, (*_own(view), rule))
        for wrapped in list(_layers(getattr(view, "__wrapped__", None))):
            with suppress(AttributeError):  # builtins take no notes
                setattr(wrapped, ABOVE, (*getattr(wrapped, ABOVE, ()), rule))
        return view

    return note
