"""Scopes: what a token may be used for, `resource:action` (RFC 6749 section 3.3)."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

_NAME = re.compile(r"[a-z][a-z0-9_.-]{0,40}:[a-z][a-z0-9_.-]{0,40}")
_NO_SCOPES = "the scopes of a user are a list of names such as ['orders:read'], [] for none,"
MAX_SCOPE_LENGTH = 2000  # characters of a scope string that a client may send


def require_scope_name(name: object) -> None:
    """Raise `ValueError` for a name that no scope can have, `TypeError` for what is no text."""
    if not isinstance(name, str):
        kind = type(name).__name__
        msg = f"a {kind} is no scope; write a Scope or its name, as in @requires(ORDERS_READ)"
        raise TypeError(msg)
    if not _NAME.fullmatch(name):
        msg = f"{name!r} is not a scope; write resource:action in lower case"
        raise ValueError(msg)


@dataclass(frozen=True, slots=True)
class Scope:
    """A scope: its name, and a description of what it permits.

    Raise `ValueError` unless the name is `resource:action` in lower case.
    """

    name: str
    description: str

    def __post_init__(self) -> None:
        """Reject names that must not appear in a token or a challenge."""
        require_scope_name(self.name)

    def __str__(self) -> str:
        """Return the name, as in tokens."""
        return self.name


ITEMS_READ = Scope("items:read", "See your items")
ITEMS_WRITE = Scope("items:write", "Create, change and delete your items")
ITEMS_ADMIN = Scope("items:admin", "Reach everybody's items, as far as the other item scopes go")
USERS_READ = Scope("users:read", "See users and their roles")
USERS_WRITE = Scope("users:write", "Create users, disable them, set passwords and roles")
ROLES_WRITE = Scope("roles:write", "Change what a role may do")
AUDIT_READ = Scope("audit:read", "Read the audit trail")
METRICS_READ = Scope("metrics:read", "Read the metrics")
TOKENS_READ = Scope("tokens:read", "Ask whether a token is active (introspection)")
SESSIONS_WRITE = Scope("sessions:write", "See and end the sessions of any user")

# The only scope of a user who signed in with a temporary password: it permits nothing but to change
# that password (S-119). No role contains it, and a token with it has no other scope, so that
# services that verify tokens themselves find no scope they know.
PASSWORD_CHANGE = Scope("password:change", "Set another password, and nothing else")

BUILTIN_SCOPES = (
    ITEMS_READ,
    ITEMS_WRITE,
    ITEMS_ADMIN,
    USERS_READ,
    USERS_WRITE,
    ROLES_WRITE,
    SESSIONS_WRITE,
    AUDIT_READ,
    METRICS_READ,
    TOKENS_READ,
)


class ScopeRegistry:
    """The scopes that the application knows: those of its routes and blueprints."""

    def __init__(self, scopes: Iterable[Scope] = ()) -> None:
        """Start with these scopes; the gate adds those of the application."""
        self._scopes = {scope.name: scope for scope in scopes}

    def register(self, scopes: Iterable[Scope]) -> None:
        """Add scopes, once the blueprints that declare them are registered."""
        self._scopes |= {scope.name: scope for scope in scopes}

    @property
    def by_name(self) -> Mapping[str, Scope]:
        """Every known scope by its name."""
        return self._scopes

    @property
    def names(self) -> frozenset[str]:
        """The names of all known scopes."""
        return frozenset(self._scopes)


def scope_names(scopes: Iterable[Scope | str]) -> frozenset[str]:
    """Return the names of scopes, each given as a `Scope` or by name.

    Raise `ValueError` for a name that no scope can have, and `TypeError` for a text in place of a
    collection: its letters would be the names.
    """
    if isinstance(scopes, str):
        msg = f"scopes={scopes!r} is a text; write scopes=[{scopes!r}]"
        raise TypeError(msg)
    names = [scope.name if isinstance(scope, Scope) else scope for scope in scopes]
    for name in names:
        require_scope_name(name)
    return frozenset(names)


def parse_scopes(text: str) -> frozenset[str]:
    """Parse a scope string: names separated by single spaces, compared exactly.

    Raise `ValueError` for anything else: two spaces, tabs, other characters (RFC 6749 section 3.3).
    """
    if text == "":
        return frozenset()
    names = text.split(" ")
    if len(text) > MAX_SCOPE_LENGTH or not all(_NAME.fullmatch(name) for name in names):
        msg = "not a scope string"
        raise ValueError(msg)
    return frozenset(names)


def scope_names_of_user(scopes: object) -> frozenset[str]:
    """Return the names of scopes as an application gives them: names, `Scope` objects, a string.

    Raise `TypeError` for anything else: a user with no scope has an empty list, not None.
    """
    given = scopes.split() if isinstance(scopes, str) else scopes
    if not isinstance(given, Iterable) or isinstance(given, Mapping):
        raise TypeError(f"{_NO_SCOPES} and not {type(given).__name__}")
    names = [each.name if isinstance(each, Scope) else each for each in given]
    for name in names:
        if not isinstance(name, str):
            raise TypeError(f"{_NO_SCOPES} and not of {type(name).__name__}")
    return frozenset(names)


def format_scopes(names: Iterable[str]) -> str:
    """Format a set of scopes as one string, sorted, so that equal sets give equal strings."""
    return " ".join(sorted(names))
