"""Claims of a verified access token, each with its exact type.

The list is RFC 9068 section 2.2 plus `sid` (OpenID Connect), `gen` (the generation of the refresh
token issued with it), `epoch` (the latest revocation of all tokens of its user before it was
issued, docs/adr/0004), `amr` and `auth_time` (RFC 8176, OpenID Connect), and `type` and `fresh`
(Flask-JWT-Extended). There is no mail address, name or role, so a token cannot leak them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

REQUIRED_CLAIMS = frozenset(
    "iss aud sub sid gen epoch jti iat exp scope auth_time amr type fresh".split()  # noqa: SIM905
)


@dataclass(frozen=True, slots=True)
class Claims:
    """Claims of a verified access token. Times are whole seconds since 1970."""

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
