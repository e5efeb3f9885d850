"""Settings parsers: each turns the text of an environment variable into the value of a setting.

`text_of` makes such a text of the value of an application.

A parser raises `ValueError`; its message completes a sentence that begins with the setting's name.
"""

import re
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path, PurePath

from itemsapi.web_addresses import is_origin

MAX_DURATION = timedelta(days=36500)  # a longer one leads beyond the last date
_SECONDS_PER_UNIT = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}

_HEADER_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110 section 5.6.2
_NO_UTF8 = "has bytes that are no text in UTF-8"
# Headers that no page may send: browsers set them (Fetch Standard, "forbidden request-header"), or
# only a proxy may. Names with an underscore too: WSGI cannot distinguish X_Real_IP from X-Real-IP.
_FORBIDDEN_REQUEST_HEADERS = re.compile(
    r"(proxy-|sec-|x-forwarded|x-original-|x-rewrite-|x-http-method|access-control-).*|.*_.*"
    r"|accept-(charset|encoding)|connection|content-length|cookie2?|date|dnt|expect|forwarded|host"
    r"|keep-alive|origin|referer|set-cookie|te|trailer|transfer-encoding|upgrade|via"
    r"|x-method-override|x-real-ip|\*",
    re.IGNORECASE,
)
# Headers that no script may read (Fetch Standard, "forbidden response-header name").
_FORBIDDEN_RESPONSE_HEADERS = re.compile(r"set-cookie2?|\*", re.IGNORECASE)


def parse_duration(text: str) -> timedelta:
    """Return a duration in seconds or with a suffix: `90`, `10m`, `12h`, `14d`."""
    match = re.fullmatch(r"(\d{1,9})([smhd]?)", text.strip(), re.ASCII)
    if match is None:
        msg = "is not a duration; write seconds or 90s, 10m, 12h, 14d"
        raise ValueError(msg)
    duration = timedelta(seconds=int(match[1]) * _SECONDS_PER_UNIT[match[2]])
    if duration > MAX_DURATION:
        msg = f"is too long; write {MAX_DURATION.days}d at most"
        raise ValueError(msg)
    return duration


def whole_seconds(duration: timedelta) -> int:
    """Return a duration of zero or more in seconds; a part of a second is never rounded."""
    if duration < timedelta(0) or duration.microseconds:
        msg = "must be whole seconds, zero or more"
        raise ValueError(msg)
    return duration.days * 86400 + duration.seconds


def parse_switch(text: str) -> bool:
    """Return whether a switch is `on` (`true`, `1`, `yes`) or `off` (`false`, `0`, `no`)."""
    value = text.strip().lower()
    if value in {"on", "true", "1", "yes"}:
        return True
    if value in {"off", "false", "0", "no"}:
        return False
    msg = "is neither on nor off"
    raise ValueError(msg)


def parse_count(text: str) -> int:
    """Return a whole number of zero or more."""
    if not re.fullmatch(r"\d{1,9}", text.strip(), re.ASCII):
        msg = "is not a whole number"
        raise ValueError(msg)
    return int(text)


def parse_list(text: str) -> tuple[str, ...]:
    """Return the entries of a comma-separated list, without the blanks around them."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def parse_origins(text: str) -> tuple[str, ...]:
    """Return a list of exact origins, `scheme://host[:port]` and nothing more (RFC 6454)."""
    origins = parse_list(text)
    for origin in origins:
        if not is_origin(origin):
            form = "scheme://host[:port] in lower case, without path or default port"
            msg = f"has {origin!r}; an origin is {form}"
            raise ValueError(msg)
    return origins


def parse_request_headers(text: str) -> tuple[str, ...]:
    """Return a list of names of headers that pages may send."""
    return _parse_header_names(text, _FORBIDDEN_REQUEST_HEADERS)


def parse_response_headers(text: str) -> tuple[str, ...]:
    """Return a list of names of headers that scripts may read."""
    return _parse_header_names(text, _FORBIDDEN_RESPONSE_HEADERS)


def _parse_header_names(text: str, forbidden: re.Pattern[str]) -> tuple[str, ...]:
    names = parse_list(text)
    for name in names:
        if not _HEADER_NAME.fullmatch(name) or forbidden.fullmatch(name):
            msg = f"has {name!r}; list names of header fields that a page may use, without *"
            raise ValueError(msg)
    return names


def parse_hops(text: str) -> int | None:
    """Return the number of proxies; None for `none`, which confirms that there are none."""
    return None if text.strip() == "none" else parse_count(text)


def parse_rate(text: str) -> str | None:
    """Return a rate in the notation of the `limits` library (`600/minute`); None for `off`."""
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
    """Return a parser that accepts exactly one of `choices`."""

    def parse(text: str) -> str:
        """Return the text if it is one of the choices."""
        if text.strip() in choices:
            return text.strip()
        msg = f"must be one of {', '.join(choices)}"
        raise ValueError(msg)

    return parse


def parse_text(text: str) -> str:
    """Return a text without the blanks around it."""
    if not text.strip():
        msg = "is empty; leave it out or give it a value"
        raise ValueError(msg)
    return text.strip()


def parse_path(text: str) -> Path:
    """Return the path of a file or folder, without the blanks and line ends around it."""
    path = parse_text(text)
    if "\0" in path:
        msg = "contains a NUL character"
        raise ValueError(msg)
    return Path(path)


def require_unicode(text: str) -> None:
    """Raise `ValueError` for a text with half of a pair: bytes of the environment, or a mistake."""
    if any("\ud800" <= char <= "\udfff" for char in text):
        raise ValueError(_NO_UTF8)


def text_of(value: object) -> str:
    """Return the value of a setting in `app.config` as the text of an environment variable.

    Lists and sets have commas. What has no text that says the same is a `ValueError`: another
    library's value prints as anything, a URL of SQLAlchemy without its password.
    """
    if isinstance(value, list | tuple | set | frozenset) and not hasattr(value, "_fields"):
        entries = [_text_of_one(entry) for entry in value]
        return ",".join(entries if isinstance(value, list | tuple) else sorted(entries))
    return _text_of_one(value)


def format_value(value: object) -> str:
    """Return a value as people write it: `90d`, `on`, `https://a.example, https://b.example`."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, timedelta):
        return _duration(whole_seconds(value))
    return ", ".join(value) if isinstance(value, tuple) else str(value)


def _duration(seconds: int) -> str:
    """Return a duration in the largest unit that it is a multiple of."""
    for unit, length in sorted(_SECONDS_PER_UNIT.items(), key=lambda pair: -pair[1]):
        if unit and seconds and seconds % length == 0:
            return f"{seconds // length}{unit}"
    return "0"


def _text_of_one(value: object) -> str:
    """Return the text of a value that is no list."""
    if isinstance(value, str):
        return str.__str__(value)  # of an enum that is a text, its value
    if isinstance(value, timedelta):
        return f"{whole_seconds(value)}s"
    if isinstance(value, bytes):
        return _decode(value)
    if isinstance(value, bool | int | float | Decimal | PurePath):
        return str(value)
    msg = f"is of the type {type(value).__name__}; write it as a text"
    raise ValueError(msg)


def _decode(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError(_NO_UTF8) from None
