"""Claims of verified tokens, and what a token must look like to have any.

The claims of an access token are those of RFC 9068 section 2.2 plus `sid` (OpenID Connect), `gen`
(the generation of the refresh token issued with it), `epoch` (the latest revocation of all tokens
of its user before it was issued, docs/adr/0004), `amr` and `auth_time` (RFC 8176, OpenID Connect),
and `type` and `fresh` (Flask-JWT-Extended). There is no mail address, name or role, so a token
cannot leak them.

The functions check what the JWT libraries leave open: the compact form, the header and every claim,
with their exact types (RFC 8725, RFC 9068, S-020 to S-033).
"""

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from itemsapi.problems import Problem, RefreshInvalid, TokenInvalid
from itemsapi.tokens.scopes import parse_scopes
from itemsapi.user_ids import is_user_id

MAX_TOKEN_LENGTH = 8192  # characters
MAX_JSON_BRACKETS = 16  # in a header or payload; this also limits how deeply it can nest
MAX_TEXT_LENGTH = 200  # characters of a header value, of a method in `amr` or of an audience
LEEWAY_SECONDS = 60  # how far `iat` and `nbf` may lie in the future; `exp` has no leeway
LIFETIME_JITTER = 0.05  # share of the lifetime: tokens issued together do not expire together
MAX_LIFETIME_SECONDS = (
    int(3600 * (1 + LIFETIME_JITTER)) + 1
)  # the maximum of ITEMSAPI_ACCESS_TTL plus its jitter
# A string of JSON, or an unclosed one up to the end; it never backtracks, so it takes linear time.
_STRING = re.compile(rb'"[^"\\]*+(?:\\.?[^"\\]*+)*+"?', re.DOTALL)
COMPACT_FORM = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
MAX_TIMESTAMP = 253_402_300_799  # the end of the year 9999: the last second of a `datetime`
MAX_COUNTER = 2**63 - 1  # of a generation or an epoch: the database stores 64 bits
ID_FORM = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
REQUIRED_CLAIMS = frozenset(
    "iss aud sub sid gen epoch jti iat exp scope auth_time amr type fresh".split()  # noqa: SIM905
)
# Those of the standards that say who, for whom, from when or how (RFC 7519 section 4.1, RFC 7800,
# RFC 8693, RFC 9068, RFC 9470, OpenID Connect), and all of ours.
RESERVED_CLAIMS = REQUIRED_CLAIMS | frozenset(
    {"nbf", "acr", "nonce", "azp", "client_id", "cnf", "act", "may_act", "csrf"}
)
MAX_ADDITIONAL_BYTES = 2048  # of the claims of an application: a token stays below 4 KiB
MAX_ADDITIONAL_BRACKETS = MAX_JSON_BRACKETS - 4  # the other claims of a payload have two
REQUIRED_REFRESH_CLAIMS = frozenset(
    {"iss", "aud", "sub", "sid", "gen", "jti", "iat", "exp", "type"}
)


@dataclass(frozen=True, slots=True)
class Claims:
    """The claims of a verified access token. Times are whole seconds since 1970.

    A token is remembered and serves many requests, so nothing in it can be changed: `raw` has
    tuples and read-only mappings. `nested` names the claims of `raw` that are one of them.
    """

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
    nested: tuple[str, ...] = ()

    def copy(self) -> dict[str, Any]:
        """Return all claims as new dictionaries and lists, as JSON has them."""
        copied = dict(self.raw)
        for name in self.nested:
            copied[name] = _thawed(copied[name])
        return copied


def _frozen(value: Any) -> Any:  # noqa: ANN401 - any value of JSON
    """Return a value of JSON that nobody can change."""
    if isinstance(value, dict):
        return MappingProxyType({name: _frozen(each) for name, each in value.items()})
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


def _thawed(value: Any) -> Any:  # noqa: ANN401 - as above
    """Return what `_frozen` was given."""
    if isinstance(value, MappingProxyType):
        return {name: _thawed(each) for name, each in value.items()}
    return list(map(_thawed, value)) if isinstance(value, tuple) else value


@dataclass(frozen=True, slots=True)
class RefreshClaims:
    """The claims of a verified refresh token."""

    sub: str
    sid: str
    gen: int


def parse_header(token: str, typ: str, error: type[Problem]) -> dict[str, Any]:
    """Return the header; check the compact form, and that it has exactly our members.

    Sources: S-022, S-026.
    """
    require_length(token, error)
    if not COMPACT_FORM.fullmatch(token):
        raise error
    if not all(_is_canonical(part) for part in token.split(".")):
        raise error
    header = _parse_object(token.split(".", maxsplit=1)[0], error)
    if header.keys() != {"alg", "kid", "typ"} or not all(map(_is_short_printable, header.values())):
        raise error
    if header["typ"].lower() not in {typ, f"application/{typ}"}:
        raise error
    return header


def require_length(token: str, error: type[Problem]) -> None:
    """Raise `error` for a token that is too long for any view."""
    if len(token) > MAX_TOKEN_LENGTH:
        raise error


def parse_payload(token: str, error: type[Problem]) -> dict[str, Any]:
    """Return the payload of a token whose signature is verified."""
    return _parse_object(token.split(".", 2)[1], error)


def _is_canonical(part: str) -> bool:
    """Return whether a part is the canonical base64url of its bytes: no unused bits at the end."""
    return base64.urlsafe_b64encode(decode_base64url(part)).rstrip(b"=").decode() == part


def decode_base64url(part: str) -> bytes:
    """Decode base64url; the alphabet was checked, so only an impossible length can fail."""
    try:
        return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except ValueError:
        return b""


def _parse_object(part: str, error: type[Problem]) -> dict[str, Any]:
    """Parse one JSON object: UTF-8 without BOM, no duplicate name, no NaN (RFC 7519 section 4)."""
    raw = decode_base64url(part)
    if _count_brackets(raw) > MAX_JSON_BRACKETS:
        raise error
    try:
        value = json.loads(
            raw.decode(), object_pairs_hook=_unique_members, parse_constant=_reject_constant
        )
    except ValueError:
        raise error from None
    if not isinstance(value, dict):
        raise error
    return value


def _count_brackets(raw: bytes) -> int:
    """Return the number of lists and objects in JSON; brackets within strings are text."""
    skeleton = _STRING.sub(b"", raw)
    return skeleton.count(b"{") + skeleton.count(b"[")


def _unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        msg = "a name occurs twice"
        raise ValueError(msg)
    return members


def _reject_constant(name: str) -> None:
    msg = f"{name} is not JSON"
    raise ValueError(msg)


def parse_claims(payload: dict[str, Any], header: Mapping[str, Any]) -> Claims:
    """Return the claims of an access token, current or not. Raise `TokenInvalid`.

    Each claim has its exact type: `true` is not a number, a list not a scope (S-085).
    """
    amr = payload.get("amr")
    if not (
        payload.keys() >= REQUIRED_CLAIMS
        and payload["type"] == "access"
        and is_user_id(payload["sub"])
        and all(_is_id(payload[name]) for name in ("sid", "jti"))
        and all(
            _is_count(payload[name], maximum=MAX_TIMESTAMP) for name in ("iat", "exp", "auth_time")
        )
        and _is_count(payload["gen"])
        and _is_count(payload["epoch"], minimum=0)
        and _is_audience(payload["aud"])
        and isinstance(payload["fresh"], bool)
        and isinstance(payload["scope"], str)
        and isinstance(amr, list)
        and all(map(_is_short_printable, amr))
        and _is_count(payload.get("nbf", 1), maximum=MAX_TIMESTAMP)
    ):
        raise TokenInvalid
    try:
        scopes = parse_scopes(payload["scope"])
    except ValueError:
        raise TokenInvalid from None
    names = ("sub", "sid", "gen", "epoch", "jti", "iat", "exp", "auth_time")
    copied = {name: payload[name] for name in names}
    nested = tuple(name for name, value in payload.items() if isinstance(value, dict | list))
    raw, header = _frozen(payload), MappingProxyType(dict(header))
    return Claims(**copied, amr=tuple(amr), scopes=scopes, raw=raw, header=header, nested=nested)


def require_current(claims: Claims, now: int) -> None:
    """Raise `TokenInvalid` for a token that is expired, not valid yet, or valid for too long.

    `now` is in seconds since 1970.
    """
    valid_from = max(claims.iat, claims.raw.get("nbf", 0))
    if valid_from > now + LEEWAY_SECONDS:
        raise TokenInvalid
    if not max(valid_from, now) < claims.exp <= claims.iat + MAX_LIFETIME_SECONDS:
        raise TokenInvalid


def copy_additional_claims(claims: object) -> dict[str, Any]:
    """Return the claims that an application adds to an access token. Raise `ValueError`.

    They are a JSON object that survives the way into a token and out of it, without reserved names,
    of at most 2 KiB as they are written: in ASCII, without spaces.
    """
    if not isinstance(claims, Mapping):
        raise ValueError(f"it returned {type(claims).__name__}, not a dict")  # noqa: TRY004 - one kind for all
    if not all(isinstance(name, str) for name in claims):
        raise ValueError("the name of a claim is not a string")
    if reserved := sorted(RESERVED_CLAIMS & claims.keys()):
        raise ValueError(f"the claim {reserved[0]} is reserved; choose another name")
    raw = _dump(claims)
    if len(raw) > MAX_ADDITIONAL_BYTES:
        raise ValueError(f"the claims have {len(raw)} bytes; {MAX_ADDITIONAL_BYTES} are allowed")
    if _count_brackets(raw) > MAX_ADDITIONAL_BRACKETS:
        raise ValueError(f"the claims have more than {MAX_ADDITIONAL_BRACKETS} lists and objects")
    copied: dict[str, Any] = json.loads(raw)
    return copied


def _dump(claims: Mapping[str, Any]) -> bytes:
    """Return claims as a token has them, in ASCII: a letter such as `ж` is written in 6 bytes.

    Raise `ValueError` for a value that JSON does not have.
    """
    try:
        text = json.dumps(dict(claims), ensure_ascii=False, allow_nan=False)
        is_same = json.loads(text.encode()) == claims
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"a claim is no JSON: {error}") from error
    if not is_same:
        raise ValueError("a claim is no JSON: it would come back as another value")
    return json.dumps(dict(claims), separators=(",", ":")).encode()


def parse_refresh_claims(payload: dict[str, Any]) -> RefreshClaims:
    """Return the claims of a refresh token. Raise `RefreshInvalid`."""
    if not (payload.keys() >= REQUIRED_REFRESH_CLAIMS and payload["type"] == "refresh"):
        raise RefreshInvalid
    if not (is_user_id(payload["sub"]) and _is_id(payload["sid"]) and _is_count(payload["gen"])):
        raise RefreshInvalid
    return RefreshClaims(payload["sub"], payload["sid"], payload["gen"])


def _is_short_printable(value: object) -> bool:
    """Return whether this may appear in a response or a log: short and printable.

    Half of a surrogate pair is not printable, and could not be encoded as UTF-8.
    """
    return isinstance(value, str) and 0 < len(value) <= MAX_TEXT_LENGTH and value.isprintable()


def _is_id(value: object) -> bool:
    """Return whether this has the form of our ids; nothing else reaches the database (S-033)."""
    return isinstance(value, str) and ID_FORM.fullmatch(value) is not None


def _is_count(value: object, *, minimum: int = 1, maximum: int = MAX_COUNTER) -> bool:
    return type(value) is int and minimum <= value <= maximum


def _is_audience(value: object) -> bool:
    """Return whether every audience is a short printable text.

    The library only checks that ours is among them.
    """
    return all(map(_is_short_printable, value if isinstance(value, list) else [value]))
