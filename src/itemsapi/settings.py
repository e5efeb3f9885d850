"""The settings: environment variables `ITEMSAPI_*`, and `app.config` of an application.

`Settings` is frozen; `Settings.from_environment` parses the variables and rejects a wrong or unsafe
value with one line that names the setting. The rest of the service takes its settings from there;
only `itemsapi check` reads the variables too, to report on them. Two libraries have variables of
their own: `PROMETHEUS_MULTIPROC_DIR` of the metrics, and those of libpq for PostgreSQL (`PG...`).
"""

import dataclasses
import difflib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, get_args
from urllib.parse import urlsplit

from itemsapi.secret_key import (
    SECRET_FILE,
    is_unfit_previous,
    is_weak,
    read_secrets,
    text_of_secret,
)
from itemsapi.settings_error import ENV_PREFIX, SettingsError, setting_error
from itemsapi.settings_parsing import (
    one_of,
    parse_count,
    parse_duration,
    parse_hops,
    parse_list,
    parse_origins,
    parse_path,
    parse_rate,
    parse_request_headers,
    parse_response_headers,
    parse_switch,
    parse_text,
    require_unicode,
    text_of,
)
from itemsapi.settings_types import require_types
from itemsapi.web_addresses import is_public_url

__all__ = [
    "ENV_PREFIX",
    "MAX_PASSWORD_LENGTH",
    "Settings",
    "SettingsError",
    "find_unknown_settings",
    "not_a_setting",
]

TEST_ENV_PREFIX = "ITEMSAPI_TEST_"  # read by the test suite only, never by the service

Profile = Literal["development", "production"]
LogFormat = Literal["auto", "json", "text"]
Algorithm = Literal["EdDSA", "ES256", "RS256", "HS256"]

MAX_PASSWORD_LENGTH = 256  # characters; a longer one is rejected, never truncated (S-040)


def _setting(parse: Callable[[str], Any], default: Any, *, repr: bool = True) -> Any:  # noqa: A002, ANN401 - as dataclasses.field has it
    return field(default=default, metadata={"parse": parse}, repr=repr)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings; each field is the variable `ITEMSAPI_` plus its name in upper case.

    Durations are `timedelta`. `repr` never shows a secret key. In development `secret_key` may be
    empty: then the first process that needs one makes the file `secret_file`.
    """

    profile: Profile = _setting(one_of(*get_args(Profile)), "development")
    data_dir: Path = _setting(parse_path, Path("itemsapi-data"))
    database_url: str = _setting(parse_text, "", repr=False)
    database_pooler: Literal["auto", "on", "off"] = _setting(one_of("auto", "on", "off"), "auto")
    secret_key: str = _setting(parse_text, "", repr=False)
    secret_key_file: Path | None = _setting(parse_path, None)
    secret_key_previous: str = _setting(parse_text, "", repr=False)
    secret_key_previous_file: Path | None = _setting(parse_path, None)
    debug: bool = _setting(parse_switch, default=False)

    public_url: str = _setting(parse_text, "http://localhost:8000")
    audience: str = _setting(parse_text, "itemsapi")
    allowed_origins: tuple[str, ...] = _setting(parse_origins, ())
    cross_site_origins: tuple[str, ...] = _setting(parse_origins, ())
    insecure_cookies: bool = _setting(parse_switch, default=False)
    allow_headers: tuple[str, ...] = _setting(parse_request_headers, ())
    expose_headers: tuple[str, ...] = _setting(parse_response_headers, ())
    # 0: no number was given. None (`none`): the operator confirms that there are none.
    trusted_proxies: int | None = _setting(parse_hops, 0)

    access_ttl: timedelta = _setting(parse_duration, timedelta(minutes=10))
    refresh_grace: timedelta = _setting(parse_duration, timedelta(seconds=20))
    refresh_heal: bool = _setting(parse_switch, default=True)
    session_max_age: timedelta = _setting(parse_duration, timedelta(days=90))
    session_max_idle: timedelta = _setting(parse_duration, timedelta(days=14))
    session_limit: int = _setting(parse_count, 50)
    api_key_limit: int = _setting(parse_count, 50)
    item_limit: int = _setting(parse_count, 100_000)
    item_bytes_limit: int = _setting(parse_count, 268_435_456)
    idempotency_key_limit: int = _setting(parse_count, 100_000)
    signing_alg: Algorithm = _setting(one_of(*get_args(Algorithm)), "EdDSA")
    key_rotation: timedelta = _setting(parse_duration, timedelta(0))
    revocation_lag: timedelta = _setting(parse_duration, timedelta(seconds=1))

    argon2_memory: int = _setting(parse_count, 19456)  # KiB; OWASP Password Storage Cheat Sheet
    argon2_time: int = _setting(parse_count, 2)
    argon2_parallelism: int = _setting(parse_count, 1)
    password_min_length: int = _setting(parse_count, 15)  # NIST SP 800-63B-4, no second factor

    rate_limit: str | None = _setting(parse_rate, "600/minute")
    rate_limit_url: str = _setting(parse_text, "memory://", repr=False)
    metrics: Literal["scope", "public"] = _setting(one_of("scope", "public"), "scope")
    access_log: bool = _setting(parse_switch, default=False)
    log_format: LogFormat = _setting(one_of(*get_args(LogFormat)), "auto")
    docs: bool = _setting(parse_switch, default=True)
    console: bool = _setting(parse_switch, default=True)
    audit_retention: timedelta = _setting(parse_duration, timedelta(days=365))
    blueprints: tuple[str, ...] = _setting(parse_list, ())
    migrations: Path | None = _setting(parse_path, None)

    def __post_init__(self) -> None:
        """Check the types, derive values from other settings, then reject unsafe combinations.

        Raise `TypeError` for a value of a wrong type, and `SettingsError` for an unsafe one.
        """
        require_types(self)
        if not self.database_url:
            file = str((self.data_dir / "itemsapi.db").absolute())
            quoted = file.replace("%", "%25").replace("?", "%3F")  # it becomes part of a URL
            object.__setattr__(self, "database_url", f"sqlite:///{quoted}")
        object.__setattr__(self, "public_url", self.public_url.rstrip("/"))
        for name, is_broken, message in _RULES:
            if is_broken(self):
                raise setting_error(name, message)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> "Settings":
        """Read and validate the settings.

        Raise `SettingsError` with one line that names the wrong setting. Nothing is created.
        """
        environ = os.environ if environ is None else environ
        variables = {
            name.removeprefix(ENV_PREFIX).lower(): value
            for name, value in environ.items()
            if name.startswith(ENV_PREFIX) and not name.startswith(TEST_ENV_PREFIX)
        }
        return cls(**_parse(variables)).with_secrets()

    @classmethod
    def of_application(
        cls, config: Mapping[str, Any], environ: Mapping[str, str] | None = None
    ) -> "Settings":
        """Read the settings from the environment, and the others from an `app.config`.

        The environment comes first: who runs the application decides, not who wrote it. A value may
        also be a bool, a number, a `timedelta` of whole seconds, a path, bytes, or a list or set of
        these; None means that the setting is not given. Raise `SettingsError` as
        `from_environment`, and for a name in `config` that is no setting: it has been misspelled.
        """
        own = {name: value for name, value in config.items() if name.startswith(ENV_PREFIX)}
        for name in find_unknown_settings(own):
            raise SettingsError(f"{name} in app.config {not_a_setting(name)}")
        texts = {name: _text_of(name, value) for name, value in own.items() if value is not None}
        return cls.from_environment(texts | dict(os.environ if environ is None else environ))

    def with_secrets(self) -> "Settings":
        """Return these settings with the secret keys that are in files.

        Raise `SettingsError` for a file that is missing or has no secret, and in production without
        a secret. In development it may be missing in the data directory.
        """
        current, previous = read_secrets(self)
        if (current, previous) == (self.secret_key, self.secret_key_previous):
            return self
        return dataclasses.replace(self, secret_key=current, secret_key_previous=previous)

    @property
    def secret_file(self) -> Path:
        """Return the file that has the secret key if no setting has."""
        return self.secret_key_file or self.data_dir / SECRET_FILE

    @property
    def production(self) -> bool:
        """Return whether the strict profile is on."""
        return self.profile == "production"

    @property
    def logs_json(self) -> bool:
        """Return whether log lines are JSON, for programs; by default in production."""
        return self.production if self.log_format == "auto" else self.log_format == "json"


_SECRETS = {f"{ENV_PREFIX}SECRET_KEY", f"{ENV_PREFIX}SECRET_KEY_PREVIOUS"}


def _text_of(name: str, value: object) -> str:
    """Return the value of a setting as an environment variable has it."""
    try:
        if isinstance(value, bytes) and name in _SECRETS:
            return text_of_secret(value)
        return text_of(value)
    except ValueError as error:
        raise SettingsError(f"{name} {error}") from None


def _parse(variables: Mapping[str, str]) -> dict[str, Any]:
    fields = {setting.name: setting for setting in dataclasses.fields(Settings)}
    is_strict = variables.get("profile", "").strip() == "production"
    values: dict[str, Any] = {}
    for name, text in variables.items():
        if name not in fields:
            if is_strict:
                raise setting_error(name, not_a_setting(ENV_PREFIX + name.upper()))
            continue
        try:
            require_unicode(text)
            values[name] = fields[name].metadata["parse"](text)
        except ValueError as error:
            raise setting_error(name, str(error)) from None
    return values


def find_unknown_settings(environ: Mapping[str, Any]) -> list[str]:
    """Return the `ITEMSAPI_*` variables that are no setting, most likely misspelled."""
    return sorted(
        name
        for name in environ
        if name.startswith(ENV_PREFIX)
        and not name.startswith(TEST_ENV_PREFIX)
        and name not in _names()
    )


def not_a_setting(name: str) -> str:
    """Return what to tell of a variable that is no setting: the one that it resembles, if any."""
    # Without the prefix, which would make all names alike.
    names = [each.removeprefix(ENV_PREFIX) for each in _names()]
    close = difflib.get_close_matches(name.removeprefix(ENV_PREFIX), names, n=1)
    suggestion = f"did you mean {ENV_PREFIX}{close[0]}?" if close else ""
    return f"is not a setting; {suggestion or 'remove it; `itemsapi check` lists the settings'}"


def _names() -> list[str]:
    return [ENV_PREFIX + setting.name.upper() for setting in dataclasses.fields(Settings)]


def _is_loopback(url: str) -> bool:
    return urlsplit(url).hostname in {"localhost", "127.0.0.1", "::1"}


_RULES: tuple[tuple[str, Callable[[Settings], bool], str], ...] = (
    (
        "secret_key",
        lambda s: is_weak(s.secret_key),
        "is weak; use 32 random bytes or more, such as `itemsapi secret new` prints",
    ),
    (
        "secret_key_previous",
        lambda s: is_unfit_previous(s.secret_key_previous, s.secret_key),
        "is weak or the secret key itself; set it to the one that was in use before, or remove it",
    ),
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
        lambda s: s.insecure_cookies and (s.production or not _is_loopback(s.public_url)),
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
    ("session_limit", lambda s: s.session_limit < 1, "must be 1 or more"),
    ("api_key_limit", lambda s: s.api_key_limit < 1, "must be 1 or more"),
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
