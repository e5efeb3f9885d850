"""Claims: what a verified access token says, each with its exact type.

The list is RFC 9068 section 2.2 with `sid` (OpenID Connect), `gen` (the generation of the refresh
token it came with), `epoch` (the last recall of its user that it comes after, docs/adr/0004), `amr`
and `auth_time` (RFC 8176, OpenID Connect), and `type` and `fresh` (Flask-JWT-Extended). No mail
address, no name, no role: what is not there cannot leak.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

NAMES = frozenset("iss aud sub sid gen epoch jti iat exp scope auth_time amr type fresh".split())  # noqa: SIM905


@dataclass(frozen=True, slots=True)
class Claims:
    """A verified access token. Times are whole seconds since 1970."""

    sub: str
    sid: str
    gen: int
    epoch: int
    jti: str
    iat: int
    exp: int
    auth_time: int
    amr: tuple[str, ...]
    scopes: frozenset[str]
    raw: Mapping[str, Any]
    header: Mapping[str, Any]
