"""Everything an operator may set, read once from `ITEMSAPI_*`.

`Settings` is frozen; `Settings.from_environment` turns text into it and refuses what is wrong or
unsafe with one line that names the setting. Nothing else in the package reads the environment.
"""

import dataclasses
import os
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, get_args
from urllib.parse import urlsplit

from itemsapi.web_addresses import is_origin, is_public_url

ENV_PREFIX = "ITEMSAPI_"
TEST_ENV_PREFIX = "ITEMSAPI_TEST_"  # read by the test suite only, never by the service

Profile = Literal["development", "production"]
Algorithm = Literal["EdDSA", "ES256", "RS256", "HS256"]

MIN_SECRET_BYTES = 32  # 256 bit: RFC 7518 section 3.2
KNOWN_SECRETS = frozenset({"secret", "changeme", "change-me", "super-secret", "dev", "password"})
# What pages may not say: a browser says it for them (Fetch Standard, "forbidden request-header"),
# or only a proxy may. Names with an underscore too: WSGI cannot tell X_Real_IP from X-Real-IP.
NOT_FOR_PAGES = re.compile(
    r"(proxy-|sec-|x-forwarded|x-original-|x-rewrite-|x-http-method|access-control-).*|.*_.*"
    r"|accept-(charset|encoding)|connection|content-length|cookie2?|date|dnt|expect|forwarded|host"
    r"|keep-alive|origin|referer|set-cookie|te|trailer|transfer-encoding|upgrade|via"
    r"|x-method-override|x-real-ip|\*",
    re.IGNORECASE,
)
NOT_FOR_SCRIPTS = re.compile(r"set-cookie2?|\*", re.IGNORECASE)  # Fetch: never shown to a script
LONGEST_DURATION = timedelta(days=36500)  # what is longer is no date any more
UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
MAX_PASSWORD_LENGTH = 256  # characters; longer ones are refused, never cut (S-040)
SECRET_FILE = "secret.key"  # noqa: S105 - a name of a file


class SettingsError(ValueError):
    """A setting is missing, wrong or unsafe; the message is the one line the operator sees."""


def duration(text: str) -> timedelta:
    """Read seconds with an optional suffix: `90`, `10m`, `12h`, `14d`."""
    match = re.fullmatch(r"(\d{1,9})([smhd]?)", text.strip(), re.ASCII)
    if match is None:
        msg = "is not a duration; write seconds or 90s, 10m, 12h, 14d"
        raise ValueError(msg)
    found = timedelta(seconds=int(match[1]) * UNITS[match[2]])
    if found > LONGEST_DURATION:
        msg = f"is too long; write {LONGEST_DURATION.days}d at most"
        raise ValueError(msg)
    return found


def switch(text: str) -> bool:
    """Read `on` or `off` (also `true`/`false`, `1`/`0`, `yes`/`no`)."""
    value = text.strip().lower()
    if value in {"on", "true", "1", "yes"}:
        return True
    if value in {"off", "false", "0", "no"}:
        return False
    msg = "is neither on nor off"
    raise ValueError(msg)


def whole(text: str) -> int:
    """Read a whole number of zero or more."""
    if not re.fullmatch(r"\d{1,9}", text.strip(), re.ASCII):
        msg = "is not a whole number"
        raise ValueError(msg)
    return int(text)


def listing(text: str) -> tuple[str, ...]:
    """Read a comma-separated list; blanks around and between entries do not count."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def origins(text: str) -> tuple[str, ...]:
    """Read a list of exact origins, `scheme://host[:port]` and nothing more (RFC 6454)."""
    found = listing(text)
    for origin in found:
        if not is_origin(origin):
            form = "scheme://host[:port] in lower case, without path or default port"
            msg = f"has {origin!r}; an origin is {form}"
            raise ValueError(msg)
    return found


def field_names(refused: re.Pattern[str]) -> Callable[[str], tuple[str, ...]]:
    """Make a reader of a list of header names (RFC 9110 section 5.6.2), without those `refused`."""

    def read(text: str) -> tuple[str, ...]:
        found = listing(text)
        for name in found:
            if not re.fullmatch(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+", name) or refused.fullmatch(name):
                msg = f"has {name!r}; list names of header fields that a page may use, without *"
                raise ValueError(msg)
        return found

    return read


def hops(text: str) -> int | None:
    """Read how many proxies there are; `none` says that 0 is no oversight."""
    return None if text.strip() == "none" else whole(text)


def rate(text: str) -> str | None:
    """Read a rate in the words of the `limits` library (`600/minute`), or `off`."""
    value = text.strip().lower()
    if value == "off":
        return None
    match = re.fullmatch(
        r"([0-9]{1,9})\s*(?:/|per)\s*(?:([0-9]{1,4})\s*)?(second|minute|hour|day)s?", value
    )
    if match is None or not int(match[1]) or not int(match[2] or 1):
        msg = "is not a rate; write 600/minute, or off for no limit"
        raise ValueError(msg)
    return value


def one_of(*choices: str) -> Callable[[str], str]:
    """Make a reader that takes exactly one of `choices`."""

    def read(text: str) -> str:
        if text.strip() in choices:
            return text.strip()
        msg = f"must be one of {', '.join(choices)}"
        raise ValueError(msg)

    return read


def text(value: str) -> str:
    """Read words as they stand, without the blanks around them."""
    if not value.strip():
        msg = "is empty; leave it out or give it a value"
        raise ValueError(msg)
    return value.strip()


def path(value: str) -> Path:
    """Read the path of a file or folder; blanks and line ends around it do not belong to it."""
    found = text(value)
    if "\0" in found:
        msg = "holds a NUL character"
        raise ValueError(msg)
    return Path(found)


def _setting(read: Callable[[str], Any], default: Any, *, repr: bool = True) -> Any:  # noqa: A002, ANN401 - as dataclasses.field has it
    return field(default=default, metadata={"read": read}, repr=repr)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the operator decided; every field is `ITEMSAPI_` and its name in capitals.

    Durations are `timedelta`. `secret_key` never shows in `repr`.
    """

    profile: Profile = _setting(one_of(*get_args(Profile)), "development")
    data_dir: Path = _setting(path, Path("itemsapi-data"))
    database_url: str = _setting(text, "", repr=False)
    database_pooler: Literal["auto", "on", "off"] = _setting(one_of("auto", "on", "off"), "auto")
    secret_key: str = _setting(text, "", repr=False)
    secret_key_file: Path | None = _setting(path, None)
    debug: bool = _setting(switch, default=False)

    public_url: str = _setting(text, "http://localhost:8000")
    audience: str = _setting(text, "itemsapi")
    allowed_origins: tuple[str, ...] = _setting(origins, ())
    cross_site_origins: tuple[str, ...] = _setting(origins, ())
    insecure_cookies: bool = _setting(switch, default=False)
    allow_headers: tuple[str, ...] = _setting(field_names(NOT_FOR_PAGES), ())
    expose_headers: tuple[str, ...] = _setting(field_names(NOT_FOR_SCRIPTS), ())
    trusted_proxies: int | None = _setting(hops, 0)  # None: there are none, and that is meant

    access_ttl: timedelta = _setting(duration, timedelta(minutes=10))
    refresh_grace: timedelta = _setting(duration, timedelta(seconds=20))
    refresh_heal: bool = _setting(switch, default=True)
    session_max_age: timedelta = _setting(duration, timedelta(days=90))
    session_max_idle: timedelta = _setting(duration, timedelta(days=14))
    session_limit: int = _setting(whole, 50)
    item_limit: int = _setting(whole, 100_000)
    item_bytes_limit: int = _setting(whole, 268_435_456)
    idempotency_key_limit: int = _setting(whole, 100_000)
    signing_alg: Algorithm = _setting(one_of(*get_args(Algorithm)), "EdDSA")
    key_rotation: timedelta = _setting(duration, timedelta(0))
    revocation_lag: timedelta = _setting(duration, timedelta(seconds=1))

    argon2_memory: int = _setting(whole, 19456)  # KiB; OWASP Password Storage Cheat Sheet
    argon2_time: int = _setting(whole, 2)
    argon2_parallelism: int = _setting(whole, 1)
    password_min_length: int = _setting(whole, 15)  # NIST SP 800-63B-4, no second factor

    rate_limit: str | None = _setting(rate, "600/minute")
    rate_limit_url: str = _setting(text, "memory://", repr=False)
    smtp_url: str | None = _setting(text, None, repr=False)
    mail_from: str | None = _setting(text, None)
    registration: Literal["closed", "open"] = _setting(one_of("closed", "open"), "closed")
    metrics: Literal["scope", "public"] = _setting(one_of("scope", "public"), "scope")
    docs: bool = _setting(switch, default=True)
    console: bool = _setting(switch, default=True)
    audit_retention: timedelta = _setting(duration, timedelta(days=365))
    blueprints: tuple[str, ...] = _setting(listing, ())

    def __post_init__(self) -> None:
        """Fill in what follows from other settings, then refuse unsafe combinations."""
        if not self.database_url:
            file = str((self.data_dir / "itemsapi.db").absolute())
            quoted = file.replace("%", "%25").replace("?", "%3F")  # it becomes part of an address
            object.__setattr__(self, "database_url", f"sqlite:///{quoted}")
        object.__setattr__(self, "public_url", self.public_url.rstrip("/"))
        for name, broken, why in _RULES:
            if broken(self):
                raise _wrong(name, why)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> "Settings":
        """Read and check the settings.

        Raises `SettingsError` with one line that names the setting at fault. In the development
        profile a missing secret is made in the data directory (mode 0600).
        """
        environ = os.environ if environ is None else environ
        given = {
            name.removeprefix(ENV_PREFIX).lower(): value
            for name, value in environ.items()
            if name.startswith(ENV_PREFIX) and not name.startswith(TEST_ENV_PREFIX)
        }
        settings = cls(**_read(given))
        return settings if settings.secret_key else settings.with_secret()

    def with_secret(self) -> "Settings":
        """Return these settings with the secret key from a file, made there in development."""
        file = self.secret_key_file or self.data_dir / SECRET_FILE
        try:
            if not file.exists():
                self._demand_leave()
                _make_secret(file)
            secret = file.read_text("utf-8").strip()
        except UnicodeDecodeError as error:
            why = f"cannot be read: {file} is no text; make one with `openssl rand -base64 48`"
            raise _wrong("secret_key_file", why) from error
        except OSError as error:
            raise _wrong("secret_key_file", f"cannot be read: {file} ({error.strerror})") from error
        if not secret:
            raise _wrong("secret_key_file", f"is empty: {file}")
        return dataclasses.replace(self, secret_key=secret)

    def _demand_leave(self) -> None:
        """Refuse to make a secret in production, or in the place of one that should be there."""
        if self.secret_key_file:
            raise _wrong("secret_key_file", f"is not there: {self.secret_key_file}")
        if self.production:
            why = f"is missing; set it, or {ENV_PREFIX}SECRET_KEY_FILE, to 32 random bytes or more"
            raise _wrong("secret_key", why)

    @property
    def production(self) -> bool:
        """Tell whether the strict profile is on."""
        return self.profile == "production"


def _wrong(name: str, why: str) -> SettingsError:
    return SettingsError(f"{ENV_PREFIX}{name.upper()} {why}")


def _read(given: Mapping[str, str]) -> dict[str, Any]:
    fields = {one.name: one for one in dataclasses.fields(Settings)}
    strict = given.get("profile", "").strip() == "production"
    values: dict[str, Any] = {}
    for name, raw in given.items():
        if name not in fields:
            if strict:
                raise _wrong(name, "is not a setting; see `itemsapi check` for the list")
            continue
        try:
            values[name] = fields[name].metadata["read"](raw)
        except ValueError as error:
            raise _wrong(name, str(error)) from None
    return values


def secret_exposure_warning(settings: Settings) -> str | None:
    """Say in one line that others may read the file that the secret key comes from."""
    file = settings.secret_key_file or settings.data_dir / SECRET_FILE
    try:
        exposed, kept = file.stat().st_mode & 0o077, file.read_bytes().strip()
    except OSError:
        return None  # the secret comes from elsewhere
    if not exposed or not secrets.compare_digest(kept, settings.secret_key.encode()):
        return None
    return f"others may read {file}; run chmod 600 {file}"


def find_unknown_settings(environ: Mapping[str, str]) -> list[str]:
    """List the `ITEMSAPI_*` names that are no setting: most likely a slip of the pen."""
    known = {ENV_PREFIX + one.name.upper() for one in dataclasses.fields(Settings)}
    return sorted(
        name
        for name in environ
        if name.startswith(ENV_PREFIX)
        and not name.startswith(TEST_ENV_PREFIX)
        and name not in known
    )


def _make_secret(path: Path) -> None:
    """Write a new random secret; of several starting processes the first one wins."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
        draft.touch(mode=0o600)
        draft.write_text(secrets.token_urlsafe(48) + "\n", "utf-8")
        try:
            os.link(draft, path)  # atomic, and fails if another process was first
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    except OSError as error:
        raise _wrong("data_dir", f"cannot be written: {path.parent} ({error.strerror})") from error


def _weak(secret: str) -> bool:
    return bool(secret) and (
        len(secret.encode()) < MIN_SECRET_BYTES
        or secret.lower() in KNOWN_SECRETS
        or len(set(secret)) < 8  # noqa: PLR2004 - "aaaa..." is long and yet no secret
    )


def _loopback(url: str) -> bool:
    return urlsplit(url).hostname in {"localhost", "127.0.0.1", "::1"}


_RULES: tuple[tuple[str, Callable[[Settings], bool], str], ...] = (
    ("secret_key", lambda s: _weak(s.secret_key), "is weak; use 32 random bytes or more"),
    ("debug", lambda s: s.production and s.debug, "must be off in production"),
    (
        "public_url",
        lambda s: not is_public_url(s.public_url),
        "is not an http(s) address; write https://host, https://host:8443 or https://host/path",
    ),
    (
        "public_url",
        lambda s: s.production and not s.public_url.startswith("https://"),
        "must be https in production",
    ),
    (
        "insecure_cookies",
        lambda s: s.insecure_cookies and (s.production or not _loopback(s.public_url)),
        "is for a loopback address in development only",
    ),
    (
        "cross_site_origins",
        lambda s: not set(s.cross_site_origins) <= set(s.allowed_origins),
        "must be among ITEMSAPI_ALLOWED_ORIGINS",
    ),
    (
        "access_ttl",
        lambda s: not timedelta(seconds=1) <= s.access_ttl <= timedelta(hours=1),
        "must be between 1s and 1h",
    ),
    ("refresh_grace", lambda s: s.refresh_grace > timedelta(minutes=1), "must be 60s at most"),
    (
        "session_max_idle",
        lambda s: not timedelta(0) < s.session_max_idle <= s.session_max_age,
        "must be above 0 and at most ITEMSAPI_SESSION_MAX_AGE",
    ),
    (
        "registration",
        lambda s: s.registration != "closed",
        "can only be closed in this version; make users with `itemsapi users add`",
    ),
    ("session_limit", lambda s: s.session_limit < 1, "must be 1 or more"),
    ("item_limit", lambda s: s.item_limit < 1, "must be 1 or more"),
    ("item_bytes_limit", lambda s: s.item_bytes_limit < 1, "must be 1 or more"),
    ("idempotency_key_limit", lambda s: s.idempotency_key_limit < 1, "must be 1 or more"),
    (
        "revocation_lag",
        lambda s: not timedelta(0) <= s.revocation_lag <= timedelta(seconds=5),
        "must be 5s at most",
    ),
    (
        "argon2_memory",
        lambda s: s.argon2_memory * s.argon2_time < 2 * 19456 and s.argon2_memory < 47104,  # noqa: PLR2004
        "with ITEMSAPI_ARGON2_TIME is below 19456 KiB x 2 or 47104 KiB x 1 (OWASP)",
    ),
    ("argon2_time", lambda s: s.argon2_time < 1, "must be 1 or more"),
    ("argon2_parallelism", lambda s: s.argon2_parallelism < 1, "must be 1 or more"),
    (
        "argon2_parallelism",
        lambda s: s.argon2_parallelism * 8 > s.argon2_memory,
        "must be an eighth of ITEMSAPI_ARGON2_MEMORY at most (RFC 9106 section 3.1)",
    ),
    (
        "password_min_length",
        lambda s: not 8 <= s.password_min_length <= MAX_PASSWORD_LENGTH,  # noqa: PLR2004
        f"must be between 8 and {MAX_PASSWORD_LENGTH}",
    ),
    ("trusted_proxies", lambda s: (s.trusted_proxies or 0) > 10, "must be 10 at most"),  # noqa: PLR2004
)
