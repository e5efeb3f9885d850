"""Decorators that declare who may use an endpoint: one per view, in any order with `route`.

They only mark the function. The gate enforces the rule, the rulebook checks at boot that every
route has exactly one, and OpenAPI shows it. Nothing is wrapped, so no order of decorators can
open a route.

`@requires` and `@signed_in` take the same options. A route without `by=` accepts the access token
only, so that a new credential opens no route.
"""

from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from datetime import timedelta
from typing import Any, TypeVar, overload

from itemsapi.gate.object_check import Check, ObjectCheck
from itemsapi.gate.rules import BY_ACCESS_TOKEN, Rule, each_once
from itemsapi.settings_parsing import parse_duration, whole_seconds
from itemsapi.tokens.scopes import Scope, scope_names

RULES = "__itemsapi_rules__"
NEEDS_CALLER = "__itemsapi_needs_caller__"  # what in a view works only where there is a caller
WRAPPER_RULES = "__itemsapi_wrapper_rules__"  # rules of the functions that wrap this one

View = TypeVar("View", bound=Callable[..., object])


def requires(
    *scopes: Scope | str,
    by: Collection[str] = BY_ACCESS_TOKEN,
    within: str | int | timedelta | None = None,
    on: Check | None = None,
) -> Callable[[View], View]:
    """Require a caller with *all* of `scopes`, each a `Scope` or the name of a known one.

    `by`: the names of all credentials that the route accepts, in place of the access token alone.
    `within`: the greatest age of the sign-in, as `"5m"`, seconds or a `timedelta` (RFC 9470); for
    access tokens only. `on`: a function of the view's arguments that returns whether the caller may
    reach the object; False is a 404.

    Raise `ValueError` without a scope (for "signed in, with any scopes" use `@signed_in`), for a
    name that no scope can have, for `by=` without a name, and for a wrong `within`; `TypeError`
    without parentheses, and if `on` is no function with named arguments.
    """
    if not scopes:
        msg = "@requires() names no scope; use @signed_in or @public(reason)"
        raise ValueError(msg)
    scope_names(scopes)
    return _declare(Rule("scopes", scopes, **_options(by, within, on)))


@overload
def signed_in(view: View, /) -> View: ...


@overload
def signed_in(
    *, by: Collection[str] = ..., within: str | int | timedelta | None = ..., on: Check | None = ...
) -> Callable[[View], View]: ...


def signed_in(
    view: View | None = None,
    /,
    *,
    by: Collection[str] = BY_ACCESS_TOKEN,
    within: str | int | timedelta | None = None,
    on: Check | None = None,
) -> View | Callable[[View], View]:
    """Require a caller, with any scopes: write `@signed_in`, or `@signed_in(by=...)`.

    `by`, `within` and `on` are those of `requires`.

    Raise `ValueError` for `by=` without a name and for a wrong `within`, `TypeError` if `on` is no
    function with named arguments.
    """
    decorate = _declare(Rule("signed in", **_options(by, within, on)))
    return decorate if view is None else decorate(view)


def signed_in_to_change_password(view: View) -> View:
    """Require a valid access token; one that permits only a change of password is enough."""
    return _declare(Rule("signed in", before_password_change=True))(view)


def public(reason: str, *, limited: bool = True) -> Callable[[View], View]:
    """Require nothing; `reason` says why, and the access matrix shows it.

    With `limited=False` the rate limit does not apply: for a route that costs next to nothing and
    must always respond, such as the health check of a load balancer.
    """
    if not isinstance(reason, str) or not reason.strip():  # type: ignore[redundant-expr]  # @public without () passes a function
        msg = '@public needs a reason: @public("why everybody may use this")'
        raise ValueError(msg)
    return _declare(Rule("public", reason=reason, limited=limited))


def refresh_token(view: View) -> View:
    """Require a refresh token, in the body or in the cookie; the issuer verifies it."""
    return _declare(Rule("refresh token"))(view)


def refresh_token_or_signed_in(view: View) -> View:
    """Require a refresh token or a valid access token: every session may be signed out."""
    return _declare(Rule("refresh token or signed in", before_password_change=True))(view)


def handler_of(view: object, method: str) -> object:
    """Return the function that handles a method: the view, or the one of a MethodView's class."""
    view_class = getattr(view, "view_class", None)
    if view_class is None:
        return view
    handler = getattr(view_class, method.lower(), None)
    return getattr(view_class, "get", None) if handler is None and method == "HEAD" else handler


def declared_rules(view: object) -> tuple[Rule, ...]:
    """Return the rules of a view, of what it wraps, and (for a class) of its bases; each once.

    The rule of a wrapper counts only beside a rule of the view: if the view has none, a wrapper's
    rule is not enough; if it has a different one, one of the two would silently have no effect.
    """
    rules = [rule for part in wrapped_functions(view) for rule in _own_rules(part)]
    rules += getattr(view, WRAPPER_RULES, ()) if rules else ()
    return tuple(each_once(rules))


def _options(
    by: Collection[str], within: str | int | timedelta | None, on: Check | None
) -> dict[str, Any]:
    """Return the fields of the rule for the options of a decorator. Raise `ValueError`."""
    names = frozenset({by} if isinstance(by, str) else by or ())
    if not names or not all(name and isinstance(name, str) for name in names):
        msg = f"by={by!r} names no credential; leave it out for the access token"
        raise ValueError(msg)
    if within is None:
        seconds = None
    elif names == BY_ACCESS_TOKEN:
        seconds = _seconds(within)
    else:
        msg = "within= is for access tokens alone: no other credential comes from a sign-in"
        raise ValueError(msg)
    return {"by": names, "within_seconds": seconds, "on": None if on is None else ObjectCheck(on)}


def _seconds(within: str | int | timedelta) -> int:
    """Return the greatest age of a sign-in. Raise `ValueError` for what is no duration."""
    try:
        if isinstance(within, timedelta):
            return whole_seconds(within)
        return whole_seconds(parse_duration(str(within)))
    except ValueError as error:
        msg = f"within={within!r} {error}"
        raise ValueError(msg) from None


def wrapped_functions(view: object) -> Iterator[object]:
    """Yield a class and all its bases, so that no rule of a base is overlooked.

    Or yield a function and all functions that it wraps; stop at a cycle of wrappers.
    """
    if isinstance(view, type):
        yield from view.__mro__
        return
    seen: list[object] = []
    while view is not None and not any(view is part for part in seen):
        seen.append(view)
        yield view
        view = getattr(view, "__wrapped__", None)


def _own_rules(part: object) -> tuple[Rule, ...]:
    rules = vars(part).get(RULES, ()) if isinstance(part, type) else getattr(part, RULES, ())
    return tuple(rules)


def _declare(rule: Rule) -> Callable[[View], View]:
    def decorate(view: View) -> View:
        """Mark the view and what it wraps with the rule. Raise `TypeError` for what takes none."""
        try:
            setattr(view, RULES, (*_own_rules(view), rule))
        except AttributeError:  # a bound method, or a builtin
            msg = f"{view!r} takes no rule; decorate a function, or a class of the type MethodView"
            raise TypeError(msg) from None
        for wrapped in list(wrapped_functions(getattr(view, "__wrapped__", None))):
            with suppress(AttributeError):  # builtins have no attributes
                setattr(wrapped, WRAPPER_RULES, (*getattr(wrapped, WRAPPER_RULES, ()), rule))
        return view

    return decorate
