"""Scopes: what a token may be used for, `resource:action` (RFC 6749 section 3.3)."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

_NAME = re.compile(r"[a-z][a-z0-9_.-]{0,40}:[a-z][a-z0-9_.-]{0,40}")
LONGEST = 2000  # characters of a scope string that a client may send


@dataclass(frozen=True, slots=True)
class Scope:
    """One scope: its name and what it lets you do, in words for people.

    Raises `ValueError` if the name is not `resource:action` in lower case.
    """

    name: str
    meaning: str

    def __post_init__(self) -> None:
        """Refuse names that could not stand in a token or a challenge."""
        if not _NAME.fullmatch(self.name):
            msg = f"{self.name!r} is no scope; write resource:action in lower case"
            raise ValueError(msg)

    def __str__(self) -> str:
        """Return the name, as it stands in tokens."""
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
SESSIONS_WRITE = Scope("sessions:write", "End the sessions of any user")

# Of who signed in with a one-time password: it opens nothing but a change of it (S-119). No role
# gives it, and a token that has it has no other, so that whoever verifies tokens by themselves
# finds no scope that they know.
PASSWORD_CHANGE = Scope("password:change", "Set another password, and nothing else")

BUILTIN = (
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


def split(text: str) -> frozenset[str]:
    """Read a scope string: names parted by single spaces, compared whole and as they stand.

    Raises `ValueError` for anything else: two spaces, tabs, other characters (RFC 6749 3.3).
    """
    if text == "":
        return frozenset()
    names = text.split(" ")
    if len(text) > LONGEST or not all(_NAME.fullmatch(name) for name in names):
        msg = "not a scope string"
        raise ValueError(msg)
    return frozenset(names)


def join(names: Iterable[str]) -> str:
    """Write a set of scopes as one string, sorted, so that equal sets are equal strings."""
    return " ".join(sorted(names))
