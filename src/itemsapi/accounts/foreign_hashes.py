"""Foreign hashes: verify password hashes that another library made.

The users of an application keep their passwords when the layer comes in: hashes of Werkzeug, Django
and passlib, and plain bcrypt, are verified once, and the next sign-in replaces them with Argon2id.
bcrypt and passlib's own formats need the extra `hashes`; the others need nothing.

A hash says itself how much work it is. One that asks for more than a second or two matches no
password, so that a row that somebody wrote cannot stop the service. Formats that are fast to guess
(plain digests, MD5-crypt) are not supported.
"""

import hashlib
import hmac
import importlib
import math
import re
from base64 import b64decode
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from itemsapi.extras import missing
from itemsapi.observability.logging import log

MAX_PBKDF2_ITERATIONS = 4_000_000
MAX_SCRYPT_WORK = 2**21  # n * r * p
MAX_SCRYPT_MEMORY = 132 * MAX_SCRYPT_WORK + 2**20  # bytes
MAX_ARGON2_WORK = 2**20  # KiB * passes: at most 1 GiB
MAX_ARGON2_LANES = 64
MAX_BCRYPT_COST = 14
MAX_SHA_CRYPT_ROUNDS = 1_000_000
BCRYPT_BYTES = 72  # bcrypt never reads more; before version 5 the library cut the rest off itself

Match = re.Match[str]


@dataclass(frozen=True, slots=True)
class ForeignHash:
    """A stored hash; those with the same `parameters` take the same work."""

    parameters: str
    stored: str = field(repr=False)
    _verify: Callable[[str], bool] = field(repr=False)
    _max_bytes: float = math.inf

    def covers(self, password: str) -> bool:
        """Return whether the hash depends on the whole password: bcrypt reads its beginning."""
        return len(password.encode()) <= self._max_bytes

    def matches(self, password: str) -> bool:
        """Return whether a password, exactly as it was sent, has this hash.

        A password with NUL matches nothing: to PBKDF2 and scrypt, NULs at the end make no
        difference (RFC 2104).
        """
        if "\0" in password:
            return False
        try:
            return self._verify(password)
        except (ValueError, TypeError):  # the libraries: a malformed hash
            return False

    @property
    def decoy(self) -> str:
        """A hash whose verification costs the same time; the result is ignored."""
        return f"{self.stored[:-22]}{'0' * 20}{self.stored[-2:]}"


@dataclass(frozen=True, slots=True)
class _Format:
    """A format: its named groups are parameters; `work` is at most `max_work`.

    Of a password, `max_bytes` are read.
    """

    name: str
    pattern: re.Pattern[str]
    work: Callable[[Match], int]
    max_work: int
    verify: Callable[[Match, str], bool]
    library: str = ""  # the passlib handler that verifies it
    max_bytes: float = math.inf


def identify(stored: str) -> ForeignHash | None:
    """Return the foreign hash; None for a format, or an amount of work, that is not accepted."""
    for form in FORMATS:
        if match := form.pattern.fullmatch(stored):
            return _accept(form, match)
    _warn_once(
        "a user has a password hash in a format that is not supported; set them a new password"
    )
    return None


def _accept(form: _Format, match: Match) -> ForeignHash | None:
    if form.work(match) > form.max_work:
        _warn_once(f"a password hash ({form.name}) asks for more work than is accepted")
        return None
    if form.library and _handler(form.library) is None:
        _warn_once(missing("hashes", f"a password hash ({form.name})", "passlib"))
        return None
    parameters = ":".join([form.name, *(value or "" for value in match.groupdict().values())])

    def verify(password: str) -> bool:
        """Return whether a password has the hash."""
        return form.verify(match, password)

    return ForeignHash(parameters, match.string, verify, form.max_bytes)


@cache
def _warn_once(hint: str) -> None:
    """Log this once in a process: otherwise each sign-in would."""
    log.warning("password_hash_not_verified", hint=hint)


def _number(name: str) -> Callable[[Match], int]:
    return lambda match: int(match[name] or 0)


def _product(*names: str) -> Callable[[Match], int]:
    return lambda match: math.prod(int(match[name]) for name in names)


def _argon2_work(match: Match) -> int:
    """Return memory times passes; too many lanes count as too much work."""
    if int(match["lanes"]) > MAX_ARGON2_LANES:
        return MAX_ARGON2_WORK + 1
    return int(match["memory"]) * int(match["passes"])


# Verification without a further library.


def _werkzeug(match: Match, password: str) -> bool:
    # Werkzeug brings its development server, which no command needs.
    from werkzeug.security import check_password_hash  # noqa: PLC0415

    return check_password_hash(match.string, password)


def _django_pbkdf2(match: Match, password: str) -> bool:
    return hmac.compare_digest(
        hashlib.pbkdf2_hmac(
            match["digest"], password.encode(), match[3].encode(), int(match["iterations"])
        ),
        b64decode(match[4]),
    )


def _django_scrypt(match: Match, password: str) -> bool:
    n, r, p = (int(match[name]) for name in ("n", "r", "p"))
    expected = b64decode(match[5])
    made = hashlib.scrypt(
        password.encode(),
        salt=match[2].encode(),
        n=n,
        r=r,
        p=p,
        maxmem=MAX_SCRYPT_MEMORY,
        dklen=len(expected),
    )
    return hmac.compare_digest(made, expected)


def _argon2(match: Match, password: str) -> bool:
    try:
        return PasswordHasher().verify(match[1], password)
    except (VerificationError, InvalidHashError):
        return False


# Verification by passlib's handlers, from the distribution `libpass`.


@cache
def _handler(name: str) -> Callable[[str, str], bool] | None:
    """Return the function that verifies a format, or None if the extra is not installed."""
    try:
        handler = getattr(importlib.import_module("passlib.hash"), name)
        if "bcrypt" in name:
            importlib.import_module("bcrypt")
    except ImportError:
        return None
    verify: Callable[[str, str], bool] = handler.verify
    return verify


def _by_library(name: str) -> Callable[[Match, str], bool]:
    def verify(match: Match, password: str) -> bool:
        """Verify by the library's function, if it is installed."""
        handler = _handler(name)
        return handler is not None and handler(password, match.string)

    return verify


def _bcrypt(match: Match, password: str) -> bool:
    """Verify the bytes that bcrypt reads, because the hash was made of those."""
    handler = _handler("bcrypt")
    secret = password.encode()[:BCRYPT_BYTES]
    return handler is not None and handler(secret, match[1])  # type: ignore[arg-type]  # bytes too


def _django_bcrypt_sha256(match: Match, password: str) -> bool:
    handler = _handler("bcrypt")
    return handler is not None and handler(hashlib.sha256(password.encode()).hexdigest(), match[1])


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text, re.ASCII)


_BCRYPT = r"(\$2[aby]\$(?P<cost>\d\d)\$[./A-Za-z0-9]{53})"
_ARGON2 = r"\$v=19\$m=(?P<memory>\d{1,9}),t=(?P<passes>\d{1,9}),p=(?P<lanes>\d{1,9})\$[^$]+\$[^$]+"
_TOKEN = "[./A-Za-z0-9+=]"  # noqa: S105 - the characters of a salt or digest

_COUNT = r"\d{1,12}"

FORMATS = (
    _Format(
        "werkzeug-scrypt",
        _pattern(
            rf"scrypt:(?P<n>{_COUNT}):(?P<r>{_COUNT}):(?P<p>{_COUNT})\$[^$]+\$[0-9a-f]{{128}}"
        ),
        _product("n", "r", "p"),
        MAX_SCRYPT_WORK,
        _werkzeug,
    ),
    _Format(
        "werkzeug-pbkdf2",
        _pattern(
            rf"pbkdf2:(?P<digest>sha1|sha224|sha256|sha384|sha512):(?P<iterations>{_COUNT})"
            r"\$[^$]+\$[0-9a-f]{40,128}"
        ),
        _number("iterations"),
        MAX_PBKDF2_ITERATIONS,
        _werkzeug,
    ),
    _Format(
        "django-pbkdf2",
        _pattern(
            rf"pbkdf2_(?P<digest>sha1|sha256)\$(?P<iterations>{_COUNT})\$([^$]+)\$({_TOKEN}{{28,44}})"
        ),
        _number("iterations"),
        MAX_PBKDF2_ITERATIONS,
        _django_pbkdf2,
    ),
    _Format(
        "django-scrypt",
        _pattern(
            rf"scrypt\$(?P<n>{_COUNT})\$([^$]+)\$(?P<r>{_COUNT})\$(?P<p>{_COUNT})\$({_TOKEN}{{88}})"
        ),
        _product("n", "r", "p"),
        MAX_SCRYPT_WORK,
        _django_scrypt,
    ),
    _Format(
        "argon2",
        _pattern(rf"(?:argon2)?(\$argon2(?P<kind>id|i|d){_ARGON2})"),
        _argon2_work,
        MAX_ARGON2_WORK,
        _argon2,
    ),
    _Format(
        "bcrypt",
        _pattern(rf"(?:bcrypt\$)?{_BCRYPT}"),
        _number("cost"),
        MAX_BCRYPT_COST,
        _bcrypt,
        "bcrypt",
        BCRYPT_BYTES,
    ),
    _Format(
        "django-bcrypt-sha256",
        _pattern(rf"bcrypt_sha256\${_BCRYPT}"),
        _number("cost"),
        MAX_BCRYPT_COST,
        _django_bcrypt_sha256,
        "bcrypt",
    ),
    _Format(
        "passlib-bcrypt-sha256",
        _pattern(
            r"\$bcrypt-sha256\$(?:v=2,t=2[aby],r=|2[aby],)(?P<cost>\d{1,2})"
            r"\$[./A-Za-z0-9]{22}\$[./A-Za-z0-9]{31}"
        ),
        _number("cost"),
        MAX_BCRYPT_COST,
        _by_library("bcrypt_sha256"),
        "bcrypt_sha256",
    ),
    *(
        _Format(
            f"passlib-{name}",
            _pattern(rf"\$pbkdf2{mark}\$(?P<iterations>{_COUNT})\${_TOKEN}*\${_TOKEN}{{27,86}}"),
            _number("iterations"),
            MAX_PBKDF2_ITERATIONS,
            _by_library(name),
            name,
        )
        for name, mark in (
            ("pbkdf2_sha1", ""),
            ("pbkdf2_sha256", "-sha256"),
            ("pbkdf2_sha512", "-sha512"),
        )
    ),
    _Format(
        "passlib-scrypt",
        _pattern(
            rf"\$scrypt\$ln=(?P<n>\d{{1,2}}),r=(?P<r>{_COUNT}),p=(?P<p>{_COUNT})"
            rf"\${_TOKEN}*\${_TOKEN}{{43}}"
        ),
        lambda match: (1 << int(match["n"])) * int(match["r"]) * int(match["p"]),
        MAX_SCRYPT_WORK,
        _by_library("scrypt"),
        "scrypt",
    ),
    *(
        _Format(
            name,
            _pattern(
                rf"\${mark}\$(?:rounds=(?P<rounds>{_COUNT})\$)?[./A-Za-z0-9]{{0,16}}"
                rf"\$[./A-Za-z0-9]{{{length}}}"
            ),
            _number("rounds"),
            MAX_SHA_CRYPT_ROUNDS,
            _by_library(name),
            name,
        )
        for name, mark, length in (("sha256_crypt", "5", 43), ("sha512_crypt", "6", 86))
    ),
)
