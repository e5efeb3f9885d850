"""The codec: makes tokens and reads them. The only module that knows JWT libraries.

Flask-JWT-Extended makes and decodes both kinds; what it and PyJWT leave open is closed here: the
compact form, the header and every claim are checked with their exact types (RFC 8725, RFC 9068,
S-020 to S-033). Time is judged by our own clock, so the libraries' leeway is set out of the way.
Access tokens are signed by the key ring; refresh tokens, which nobody but us reads, with HS256
under a key derived from the secret key: the same bytes again for the same generation, and a ring
key can retire one access lifetime after its last signature (docs/adr/0002).
"""

import base64
import json
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from flask import g
from flask_jwt_extended import JWTManager, create_access_token, create_refresh_token, decode_token
from jwt import PyJWK

from itemsapi.clock import Clock, stamp
from itemsapi.problems import GateUnavailable, Problem, RefreshInvalid, TokenInvalid
from itemsapi.settings import Settings
from itemsapi.tokens.claims import NAMES, Claims
from itemsapi.tokens.key_set import KeySet
from itemsapi.tokens.keys import Key, derive, symmetric_key
from itemsapi.tokens.scopes import join, split

if TYPE_CHECKING:
    from flask import Flask

MAX_TOKEN_LENGTH = 8192  # characters of a token
BRACKETS = 16  # in a header or payload: it cannot nest deeper than it opens
LEEWAY = 60  # seconds that `iat` and `nbf` may lie ahead; `exp` has none
JITTER = 0.05  # of the lifetime, so that a crowd does not come back in the same second
MAX_LIFETIME_SECONDS = (
    int(3600 * (1 + JITTER)) + 1
)  # the longest ITEMSAPI_ACCESS_TTL, and its jitter
CENTURIES = timedelta(days=365_000)
COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
LATEST = 253_402_300_799  # the end of the year 9999: the last second that a date can have
GREATEST = 2**63 - 1  # of a generation or an epoch: what the database keeps
ID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)  # as every id of ours
REFRESH_NAMES = frozenset({"iss", "aud", "sub", "sid", "gen", "jti", "iat", "exp", "type"})


@dataclass(frozen=True, slots=True)
class RefreshClaims:
    """What a verified refresh token says."""

    sub: str
    sid: str
    gen: int


@dataclass(frozen=True, slots=True)
class _Signing:
    """An identity as Flask-JWT-Extended passes it on: for whom, and with which key."""

    sub: str
    key: Key


class TokenCodec:
    """Makes and reads the two kinds of token, on an application it is installed on."""

    def __init__(self, settings: Settings, key_set: KeySet, clock: Clock) -> None:
        """Take the key ring; the key of refresh tokens follows from the secret key."""
        self._key_set, self._clock = key_set, clock
        self._issuer, self._audience = settings.public_url, settings.audience
        self._life = settings.access_ttl.total_seconds()
        self._refresh_key = symmetric_key(derive(settings.secret_key, "refresh tokens"))
        self._signing: dict[str, PyJWK] = {}
        self._verifying: dict[str, PyJWK] = {}

    def install(self, app: "Flask") -> None:
        """Configure Flask-JWT-Extended on `app`; it never reads a request, the gate does."""
        app.config.update(
            JWT_ALGORITHM=None,  # each PyJWK brings its own
            JWT_DECODE_ALGORITHMS=["EdDSA", "ES256", "RS256", "HS256"],
            JWT_DECODE_LEEWAY=CENTURIES,
            JWT_DECODE_ISSUER=self._issuer,
            JWT_DECODE_AUDIENCE=self._audience,
            JWT_ENCODE_ISSUER=self._issuer,
            JWT_ENCODE_AUDIENCE=self._audience,
            JWT_ENCODE_NBF=False,
            JWT_TOKEN_LOCATION=["headers"],
            JWT_COOKIE_CSRF_PROTECT=False,  # or every token carries a random claim for it
        )
        manager = JWTManager(app)
        manager.user_identity_loader(lambda identity: identity.sub)
        manager.encode_key_loader(lambda identity: self._private(identity.key))
        manager.decode_key_loader(lambda header, _: self._public(self._key(header["kid"])))
        # Beside the gate its own `@jwt_required` would know neither time nor revocations.
        manager.token_in_blocklist_loader(lambda _, claims: _let_in() != claims)

    def access_token(  # noqa: PLR0913 - the claims are what they are
        self,
        *,
        sub: str,
        sid: str,
        gen: int,
        epoch: int,
        scopes: frozenset[str],
        auth_time: int,
        amr: tuple[str, ...],
        iat: int,
        latest: int,
        fresh: bool,
    ) -> tuple[str, int]:
        """Make an access token; return it and its life in seconds, jitter included.

        It is good no longer than `latest`, when its session ends (S-064).
        """
        spread = random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - no secret
        life = max(0, min(round(self._life * spread), latest - iat))
        claims = {
            "sid": sid, "gen": gen, "epoch": epoch, "iat": iat, "exp": iat + life,
            "scope": join(scopes), "auth_time": auth_time, "amr": list(amr),
        }  # fmt: skip
        key = self._key_set.now().current
        headers = {"typ": "at+jwt", "kid": key.kid}
        token = create_access_token(
            _Signing(sub, key), fresh=fresh, additional_claims=claims, additional_headers=headers
        )
        return token, life

    def refresh_token(self, *, sub: str, sid: str, gen: int, made: datetime, ends: datetime) -> str:
        """Make the refresh token of one generation: the same arguments, the same bytes."""
        claims = {
            "sid": sid, "gen": gen, "jti": f"{sid}.{gen}", "iat": stamp(made), "exp": stamp(ends),
        }  # fmt: skip
        headers = {"typ": "rt+jwt", "kid": self._refresh_key.kid}
        token: str = create_refresh_token(
            _Signing(sub, self._refresh_key), additional_claims=claims, additional_headers=headers
        )
        return token

    def read_access(self, token: str) -> Claims:
        """Verify an access token. Raises `TokenInvalid`, and `GateUnavailable` without keys."""
        header = _header(token, "at+jwt", TokenInvalid)
        key = self._key_set.find(header["kid"])
        payload = self._verified(token, header, key, TokenInvalid)
        claims = _claims(payload, header)
        now = stamp(self._clock())
        begins = max(claims.iat, payload.get("nbf", 0))
        ends = claims.exp
        if not (
            begins <= now + LEEWAY and max(begins, now) < ends <= claims.iat + MAX_LIFETIME_SECONDS
        ):
            raise TokenInvalid
        return claims

    def read_refresh(self, token: str) -> RefreshClaims:
        """Verify a refresh token, or raise `RefreshInvalid`; its row says whether it holds.

        Raises `GateUnavailable` without keys: with a wrong secret key nobody is signed out.
        """
        self._key_set.now()
        header = _header(token, "rt+jwt", RefreshInvalid)
        key = self._refresh_key if header["kid"] == self._refresh_key.kid else None
        payload = self._verified(token, header, key, RefreshInvalid)
        if not (payload.keys() >= REFRESH_NAMES and payload["type"] == "refresh"):
            raise RefreshInvalid
        if not (_id(payload["sub"]) and _id(payload["sid"]) and _count(payload["gen"])):
            raise RefreshInvalid
        return RefreshClaims(payload["sub"], payload["sid"], payload["gen"])

    def _verified(
        self, token: str, header: Mapping[str, Any], key: Key | None, refusal: type[Problem]
    ) -> dict[str, Any]:
        if key is None or header["alg"] != key.alg:
            raise refusal
        try:
            decode_token(token)
        except GateUnavailable:
            raise
        except Exception:  # noqa: BLE001 - whatever a library thinks of hostile bytes, it is "no"
            raise refusal from None
        return _object(token.split(".", 2)[1], refusal)

    def _key(self, kid: str) -> Key:
        if kid == self._refresh_key.kid:
            return self._refresh_key
        key = self._key_set.find(kid)
        if key is None:
            raise TokenInvalid
        return key

    def _private(self, key: Key) -> PyJWK:
        if key.kid not in self._signing:
            self._signing[key.kid] = PyJWK(key.members(), algorithm=key.alg)
        return self._signing[key.kid]

    def _public(self, key: Key) -> PyJWK:
        """Return what verifies and cannot sign; PyJWT verifies nothing with a private RSA key."""
        if key.kid not in self._verifying:
            members = key.public_jwk() or key.members()
            self._verifying[key.kid] = PyJWK(members, algorithm=key.alg)
        return self._verifying[key.kid]


def _let_in() -> Mapping[str, Any] | None:
    """Return the claims that the gate left for `get_jwt()`, if it let anybody in."""
    found: Mapping[str, Any] | None = g.get("_jwt_extended_jwt")
    return found


def _header(token: str, typ: str, refusal: type[Problem]) -> dict[str, Any]:
    """Check the compact form, then the header: exactly the members that we write (S-022, S-026)."""
    if len(token) > MAX_TOKEN_LENGTH or not COMPACT.fullmatch(token):
        raise refusal
    if not all(_canonical(part) for part in token.split(".")):
        raise refusal
    header = _object(token.split(".", maxsplit=1)[0], refusal)
    if header.keys() != {"alg", "kid", "typ"} or not all(_word(v) for v in header.values()):
        raise refusal
    if header["typ"].lower() not in {typ, f"application/{typ}"}:
        raise refusal
    return header


def _canonical(part: str) -> bool:
    """Tell whether a part is the one spelling of its bytes: no loose bits at the end."""
    return base64.urlsafe_b64encode(_bytes(part)).rstrip(b"=").decode() == part


def _bytes(part: str) -> bytes:
    """Decode base64url; the alphabet was checked, so only an impossible length is left to fail."""
    try:
        return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except ValueError:
        return b""


def _object(part: str, refusal: type[Problem]) -> dict[str, Any]:
    """Read one JSON object: UTF-8 without BOM, no name twice, no NaN (RFC 7519 section 4)."""
    raw = _bytes(part)
    if raw.count(b"{") + raw.count(b"[") > BRACKETS:
        raise refusal
    try:
        value = json.loads(raw.decode(), object_pairs_hook=_once, parse_constant=_refuse_constant)
    except ValueError:
        raise refusal from None
    if not isinstance(value, dict):
        raise refusal
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        msg = "a name stands twice"
        raise ValueError(msg)
    return members


def _refuse_constant(name: str) -> None:
    msg = f"{name} is no JSON"
    raise ValueError(msg)


def _word(value: object) -> bool:
    """Tell whether this may stand in an answer or a log: short, and nothing in it that is unseen.

    Half of a surrogate pair is unseen as well, and fails whatever writes UTF-8.
    """
    return isinstance(value, str) and 0 < len(value) <= 200 and value.isprintable()  # noqa: PLR2004


def _id(value: object) -> bool:
    """Tell whether this has the form of our ids; nothing else is asked of a database (S-033)."""
    return isinstance(value, str) and ID.fullmatch(value) is not None


def _count(value: object, *, least: int = 1, most: int = GREATEST) -> bool:
    return type(value) is int and least <= value <= most


def _audience(value: object) -> bool:
    """Tell whether all of an audience is words: the library looks for ours alone."""
    return all(map(_word, value if isinstance(value, list) else [value]))


def _claims(payload: dict[str, Any], header: Mapping[str, Any]) -> Claims:
    """Check every claim with its exact type; a bool is no number and a list no scope (S-085)."""
    amr = payload.get("amr")
    if not (
        payload.keys() >= NAMES
        and payload["type"] == "access"
        and all(_id(payload[name]) for name in ("sub", "sid", "jti"))
        and all(_count(payload[name], most=LATEST) for name in ("iat", "exp", "auth_time"))
        and _count(payload["gen"])
        and _count(payload["epoch"], least=0)
        and _audience(payload["aud"])
        and isinstance(payload["fresh"], bool)
        and isinstance(payload["scope"], str)
        and isinstance(amr, list)
        and all(_word(method) for method in amr)
        and _count(payload.get("nbf", 1), most=LATEST)
    ):
        raise TokenInvalid
    try:
        scopes = split(payload["scope"])
    except ValueError:
        raise TokenInvalid from None
    names = ("sub", "sid", "gen", "epoch", "jti", "iat", "exp", "auth_time")
    given = {name: payload[name] for name in names}
    return Claims(**given, amr=tuple(amr), scopes=scopes, raw=payload, header=header)
